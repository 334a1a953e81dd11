//! `sudare-host doctor`: one line a part, and what to do about those that are wrong.

mod ini;
mod xrdp;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sudare_host_ext::cover::fonts::Fonts;
use sudare_host_ext::state::HostState;

use crate::{Settings, output};

pub(crate) fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut wrong = 0;
    let mut say = |part: &str, result: Result<String, String>| {
        let (mark, text) = match result {
            Ok(text) => ("ok     ", text),
            Err(text) => {
                wrong += 1;
                ("PROBLEM", text)
            }
        };
        output::line(&format!("{mark}  {part}: {text}"));
    };
    let config = match settings.load(&[]) {
        Ok(config) => config,
        Err(error) => {
            say("settings", Err(format!("{error:#}")));
            anyhow::bail!("1 problem. Mend it and run doctor again");
        }
    };
    say("settings", Ok("read".into()));
    say("state folder", private(&config.state_dir));
    say(
        "keys, records and certificate",
        HostState::load(&config.state_dir)
            .map(|s| format!("host {}, policy {}", s.host_record.record().host_id, s.policy.record().serial))
            .map_err(|e| e.to_string()),
    );
    let evidence_dir = config.evidence_dir();
    let evidence =
        if evidence_dir.exists() { private(&evidence_dir) } else { Ok("made at the first start".into()) };
    say("evidence folder", evidence);
    say("font for the cover", font());
    say(
        "RDP port",
        TcpListener::bind(config.listen).map(|_| format!("{} is free", config.listen)).map_err(|e| {
            format!("{}: {e}. The host may be running already; otherwise choose another port", config.listen)
        }),
    );
    for (part, finding) in xrdp::checks(&config) {
        say(part, finding);
    }
    anyhow::ensure!(wrong == 0, "{wrong} problem(s). Mend them and run doctor again");
    Ok(())
}

fn private(dir: &Path) -> Result<String, String> {
    let meta =
        std::fs::metadata(dir).map_err(|e| format!("{}: {e}. Run `sudare-host init`", dir.display()))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "{} has mode {mode:o}. Run `chmod 700` on it: others can read keys",
            dir.display()
        ));
    }
    Ok(format!("{} is private", dir.display()))
}

fn font() -> Result<String, String> {
    if Fonts::load().can_draw("画面") {
        Ok("Japanese can be drawn".into())
    } else {
        Err("no Japanese font; the cover stays black without words. Install fonts-ipafont-gothic or fonts-noto-cjk".into())
    }
}
