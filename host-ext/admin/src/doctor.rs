//! `sudare-host doctor`: one line for each part, and for each problem what to do.

mod access;
pub(crate) mod alone;
pub(crate) mod certificate;
mod gate;
mod ini;
mod layout;
pub(crate) mod probe;
mod recorder;
mod retention;
mod services;
mod sockets;
mod users;
mod xrdp;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Args;
use sudare_base::accounts::GateAccount;
use sudare_base::config::HostConfig;
use sudare_base::output;
use sudare_base::program::Settings;
use sudare_gate::target::{Place, Target};
use sudare_guard::cover::fonts::Fonts;
use sudare_records::state::{self, HostState};

/// Report what is wrong with this host, and how to fix it. Run it as root; other users see less.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print one JSON object: {"ok","findings":[{"part","ok","text"}]}
    #[arg(long)]
    json: bool,
}

/// A part, with its state or its problem and the remedy.
type Finding = (&'static str, Result<String, String>);

impl Doctor {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let findings = match settings.load(&[]) {
            Ok(config) => checks(&config),
            Err(error) => vec![("settings", Err(format!("{error:#}")))],
        };
        let wrong = findings.iter().filter(|(_, result)| result.is_err()).count();
        if self.json {
            output::json(&json(&findings).to_string());
        } else {
            findings.iter().map(row).for_each(|line| output::line(&line));
        }
        anyhow::ensure!(wrong == 0, "{wrong} problem(s). Fix them and run doctor again");
        Ok(())
    }
}

fn checks(config: &HostConfig) -> Vec<Finding> {
    let mut findings = vec![
        ("settings", Ok("read".into())),
        ("state folder", private(&config.state_dir)),
        (
            "keys and records",
            HostState::load(&config.state_dir)
                .map(|s| {
                    format!("host {}, policy {}", s.host_record.record().host_id, s.policy.record().serial)
                })
                .map_err(|e| e.to_string()),
        ),
        ("font for the cover", font()),
    ];
    let evidence_dir = config.evidence_dir();
    if config.recorder_evidence_dir() != evidence_dir && evidence_dir.exists() {
        findings.push(("evidence of the embedded host", private(&evidence_dir)));
    }
    let guards_here = gate::is_installed() || xrdp::is_installed();
    findings.extend(if guards_here { guarded(config) } else { embedded(config) });
    findings.extend(recorder::checks(config, guards_here));
    findings.extend(services::checks(config));
    findings
}

/// A host with a gate, or one that is to have one.
fn guarded(config: &HostConfig) -> Vec<Finding> {
    let account = GateAccount::of(&config.run_as);
    let mut findings = vec![
        ("units of the services", layout::check(Path::new("/"))),
        ("enrolled devices", devices(&config.state_dir)),
        ("users of the devices", users::check(config)),
    ];
    findings.extend(retention::checks());
    if let Ok(account) = account {
        findings
            .push(("owner of the state folder", access::owner(&config.state_dir, &config.run_as, account)));
    }
    findings.extend(gate::checks(config, account.as_ref().ok()));
    findings.push((
        "user of the gates",
        account.map(|_| format!("gates run as {}", config.run_as)).map_err(|e| e.to_string()),
    ));
    if let Ok(Target { place: Place::Unix(socket), .. }) = config.gate_target.parse() {
        findings.extend(xrdp::checks(&socket));
    }
    findings
}

fn embedded(config: &HostConfig) -> Vec<Finding> {
    let text =
        "not installed; only sudare-embedded works without it. To guard a host: docs/guide/vdi-admin.md";
    let listen = config.listen;
    let free = TcpListener::bind(listen).map(|_| format!("{listen} is free")).map_err(|e| {
        format!("{listen}: {e}. If sudare-embedded is not the one that uses it, choose another port")
    });
    vec![("gate", Ok(text.into())), ("RDP port", free)]
}

/// Without one, nobody is shown anything.
fn devices(state_dir: &Path) -> Result<String, String> {
    let registry = state::registry(state_dir).map_err(|e| e.to_string())?;
    let devices = registry.list().map_err(|e| e.to_string())?;
    let usable = |id| {
        let device = registry.device(id).ok().flatten();
        device.is_some_and(|device| !device.revoked && !device.templates.is_empty())
    };
    match devices.iter().filter(|id| usable(id)).count() {
        0 => Err(
            "there is none with an operator, so every desktop stays covered. Run `sudare-host device add`"
                .into(),
        ),
        usable => Ok(format!("{usable} of {} can be used", devices.len())),
    }
}

fn row((part, result): &Finding) -> String {
    match result {
        Ok(text) => format!("ok       {part}: {text}"),
        Err(text) => format!("PROBLEM  {part}: {text}"),
    }
}

fn json(findings: &[Finding]) -> serde_json::Value {
    let rows = findings.iter().map(|(part, result)| {
        let (Ok(text) | Err(text)) = result;
        serde_json::json!({ "part": part, "ok": result.is_ok(), "text": text })
    });
    let ok = findings.iter().all(|(_, result)| result.is_ok());
    serde_json::json!({ "ok": ok, "findings": rows.collect::<Vec<_>>() })
}

/// A problem, whose text may contain advice already, and what else to do.
fn advise(problem: impl std::fmt::Display, advice: &str) -> String {
    format!("{}. {advice}", problem.to_string().trim_end_matches('.'))
}

fn private(dir: &Path) -> Result<String, String> {
    let meta =
        std::fs::metadata(dir).map_err(|e| format!("{}: {e}. Run `sudare-host init`", dir.display()))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "{} has mode {mode:o}, so others can read keys. Run `chmod 700` on it",
            dir.display()
        ));
    }
    Ok(format!("{} is private", dir.display()))
}

fn font() -> Result<String, String> {
    if Fonts::load().can_draw("画面") {
        Ok("Japanese can be drawn".into())
    } else {
        Err("no Japanese font is installed, so the cover is black without text. Install fonts-ipafont-gothic or fonts-noto-cjk".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_one_full_stop() {
        assert_eq!(advise("the disk is full", "Enlarge it"), "the disk is full. Enlarge it");
        assert_eq!(advise("full. Stopped.", "Enlarge it"), "full. Stopped. Enlarge it");
    }

    #[test]
    fn a_host_on_which_nobody_is_enrolled_is_found() {
        let dir = tempfile::tempdir().unwrap();
        // Not even keys.
        assert!(devices(dir.path()).is_err());
        sudare_records::keys::init(dir.path()).unwrap();
        let organisation = sudare_protocol::SigningKey::from_bytes(&[9; 32]).verifying_key();
        let line = sudare_protocol::keyfile::public_line(&organisation);
        std::fs::write(dir.path().join("organisation.pub"), line).unwrap();
        assert!(devices(dir.path()).unwrap_err().contains("device add"));
    }

    #[test]
    fn a_problem_is_reported_as_text_and_as_json() {
        let findings: Vec<Finding> =
            vec![("clock", Ok("fine".into())), ("disk", Err("full. Enlarge it".into()))];
        assert_eq!(row(&findings[1]), "PROBLEM  disk: full. Enlarge it");
        let json = json(&findings);
        assert_eq!((&json["ok"], &json["findings"][0]["ok"]), (&false.into(), &true.into()));
        assert_eq!(json["findings"][1]["text"], "full. Enlarge it");
    }
}
