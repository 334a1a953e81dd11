//! `sudare-host doctor`: one line a part, and what to do about those that are wrong.

mod ini;
mod pam;
mod recorder;
mod services;
mod xrdp;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Args;
use sudare_base::config::HostConfig;
use sudare_base::output;
use sudare_base::program::Settings;
use sudare_guard::cover::fonts::Fonts;
use sudare_records::state::HostState;

/// Says what is wrong with this host, and how to mend it. Run it as root: others see less.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// One JSON object: {"ok","findings":[{"part","ok","text"}]}
    #[arg(long)]
    json: bool,
}

/// A part, and how it is or what is wrong with it and how to mend that.
type Finding = (&'static str, Result<String, String>);

impl Doctor {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let findings = match settings.load(&[]) {
            Ok(config) => checks(&config),
            Err(error) => vec![("settings", Err(format!("{error:#}")))],
        };
        let wrong = findings.iter().filter(|(_, result)| result.is_err()).count();
        if self.json {
            output::line(&json(&findings).to_string());
        } else {
            findings.iter().map(words).for_each(|line| output::line(&line));
        }
        anyhow::ensure!(wrong == 0, "{wrong} problem(s). Mend them and run doctor again");
        Ok(())
    }
}

fn checks(config: &HostConfig) -> Vec<Finding> {
    let mut findings = vec![
        ("settings", Ok("read".into())),
        ("state folder", private(&config.state_dir)),
        (
            "keys, records and certificate",
            HostState::load(&config.state_dir)
                .map(|s| {
                    format!("host {}, policy {}", s.host_record.record().host_id, s.policy.record().serial)
                })
                .map_err(|e| e.to_string()),
        ),
        ("font for the cover", font()),
        (
            "RDP port",
            TcpListener::bind(config.listen).map(|_| format!("{} is free", config.listen)).map_err(|e| {
                format!(
                    "{}: {e}. The host may be running already; otherwise choose another port",
                    config.listen
                )
            }),
        ),
    ];
    let evidence_dir = config.evidence_dir();
    if config.recorder_evidence_dir() != evidence_dir && evidence_dir.exists() {
        findings.push(("evidence of the embedded host", private(&evidence_dir)));
    }
    let guards_here = xrdp::is_installed();
    findings.extend(xrdp::checks(config));
    findings.extend(recorder::checks(config, guards_here));
    findings.extend(services::checks(config));
    findings
}

fn words((part, result): &Finding) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_to_people_and_to_programs() {
        let findings: Vec<Finding> =
            vec![("clock", Ok("fine".into())), ("disk", Err("full. Enlarge it".into()))];
        assert_eq!(words(&findings[1]), "PROBLEM  disk: full. Enlarge it");
        let json = json(&findings);
        assert_eq!((&json["ok"], &json["findings"][0]["ok"]), (&false.into(), &true.into()));
        assert_eq!(json["findings"][1]["text"], "full. Enlarge it");
    }
}
