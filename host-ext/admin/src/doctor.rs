//! `sudare-host doctor`: one line for each part, and for each problem what to do.

mod ini;
mod layout;
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
            output::line(&json(&findings).to_string());
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
        (
            "RDP port",
            TcpListener::bind(config.listen).map(|_| format!("{} is free", config.listen)).map_err(|e| {
                format!(
                    "{}: {e}. If sudare-embedded is not the one that uses it, choose another port",
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
    fn a_problem_is_reported_as_text_and_as_json() {
        let findings: Vec<Finding> =
            vec![("clock", Ok("fine".into())), ("disk", Err("full. Enlarge it".into()))];
        assert_eq!(row(&findings[1]), "PROBLEM  disk: full. Enlarge it");
        let json = json(&findings);
        assert_eq!((&json["ok"], &json["findings"][0]["ok"]), (&false.into(), &true.into()));
        assert_eq!(json["findings"][1]["text"], "full. Enlarge it");
    }
}
