//! `sudare-host doctor`: one line for each part, and for each problem what to do; with `--fix`, mends what is safe.
//!
//! It goes the way of a log-on, and never says that all is well where one would fail:
//!
//! ```text
//! client ─► port, certificate (gate) ─► what a gate meets under its own account (as_gate): settings, keys, records,
//!           devices (enrolled), recorder, host behind it ─► whose desktop ─► xrdp ─► sesman, session (desktop, people)
//! evidence: recorder, writable, retention, services          systemd: units          mending: remedy ─► mend, owners
//! ```

mod access;
pub(crate) mod alone;
pub(crate) mod as_gate;
mod as_user;
pub(crate) mod certificate;
pub(crate) mod dates;
mod desktop;
mod enrolled;
mod gate;
mod ini;
mod layout;
mod mend;
mod owners;
mod people;
pub(crate) mod probe;
mod recorder;
mod remedy;
mod retention;
mod services;
mod sockets;
mod units;
mod users;
pub(crate) mod writable;
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

/// Report what is wrong with this host, and how to fix it. Run it as root; other users see less.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Mend modes, owners, folders, stopped services of ours and a missing log.vkey; no session is touched
    #[arg(long)]
    fix: bool,
    /// Print one JSON object: {"ok","findings":[{"part","ok","text"}],"fixed":[{"part","text"}],"left":[{"part","why"}]}
    #[arg(long)]
    json: bool,
}

/// A part, with its state or its problem and the remedy.
pub(crate) type Finding = (&'static str, Result<String, String>);

/// All that there is to say.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
    /// What was done, or could not be.
    tried: Vec<(&'static str, Result<String, String>)>,
    /// Problems that `--fix` leaves to a person, and why.
    left: Vec<(&'static str, &'static str)>,
}

impl Doctor {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.fix || rustix::process::geteuid().is_root(),
            "only root can mend this host. Run doctor --fix as root"
        );
        let mut report = Report { findings: look(settings), ..Report::default() };
        if self.fix {
            if let Ok(config) = settings.load(&[]) {
                let plan = remedy::plan(&report.findings);
                report.tried = mend::all(&plan, &config, settings.file());
            }
            if !report.tried.is_empty() {
                report.findings = look(settings);
            }
            report.left = remedy::left(&report.findings);
        }
        if self.json {
            output::json(&report.json().to_string());
        } else {
            report.lines().iter().for_each(|line| output::line(line));
        }
        let wrong = report.findings.iter().filter(|(_, result)| result.is_err()).count();
        anyhow::ensure!(wrong == 0, "{wrong} problem(s). Fix them and run doctor again");
        Ok(())
    }
}

impl Report {
    fn lines(&self) -> Vec<String> {
        let tried = self.tried.iter().map(|(part, result)| match result {
            Ok(text) => format!("fixed    {part}: {text}"),
            Err(text) => format!("failed   {part}: {text}"),
        });
        let left = self.left.iter().map(|(part, why)| format!("left     {part}: {why}"));
        tried.chain(self.findings.iter().map(row)).chain(left).collect()
    }

    fn json(&self) -> serde_json::Value {
        let fixed = self.tried.iter().filter_map(|(part, result)| {
            Some(serde_json::json!({ "part": part, "text": result.as_ref().ok()? }))
        });
        let left = self.left.iter().map(|(part, why)| serde_json::json!({ "part": part, "why": why }));
        let ok = self.findings.iter().all(|(_, result)| result.is_ok());
        serde_json::json!({
            "ok": ok,
            "findings": rows(&self.findings),
            "fixed": fixed.collect::<Vec<_>>(),
            "left": left.collect::<Vec<_>>(),
        })
    }
}

/// All findings.
pub(crate) fn look(settings: &Settings) -> Vec<Finding> {
    match settings.load(&[]) {
        Ok(config) => checks(settings, &config),
        Err(error) => vec![("settings", Err(format!("{error:#}")))],
    }
}

fn checks(settings: &Settings, config: &HostConfig) -> Vec<Finding> {
    let mut findings = vec![("settings", Ok("read".into())), ("state folder", private(&config.state_dir))];
    let evidence_dir = config.evidence_dir();
    if config.recorder_evidence_dir() != evidence_dir && evidence_dir.exists() {
        findings.push(("evidence of the embedded host", private(&evidence_dir)));
    }
    let guards_here = gate::is_installed() || xrdp::is_installed();
    let recorder = recorder::reach(&config.recorder_socket);
    findings.extend(if guards_here {
        guarded(settings, config, recorder.as_ref().ok())
    } else {
        embedded(config)
    });
    findings.extend(recorder::checks(config, guards_here, &recorder));
    findings.extend(services::checks(config));
    findings
}

/// A host with a gate, or one that is to have one.
fn guarded(settings: &Settings, config: &HostConfig, recorder: Option<&recorder::Reached>) -> Vec<Finding> {
    let account = GateAccount::of(&config.run_as);
    let mut findings = vec![("units of the services", layout::check(Path::new("/")))];
    if let Ok(account) = account {
        findings
            .push(("owner of the state folder", access::owner(&config.state_dir, &config.run_as, account)));
    }
    findings.push((
        "user of the gates",
        account.as_ref().map(|_| format!("gates run as {}", config.run_as)).map_err(ToString::to_string),
    ));
    findings.extend(gate::checks(config, account.as_ref().ok()));
    findings.extend(as_gate::checks(settings, config, account.as_ref().ok()));
    findings.push(("users of the devices", users::check(config)));
    let target = config.gate_target.parse();
    if let Ok(Target { place: Place::Unix(socket), .. }) = &target {
        findings.extend(xrdp::checks(config, socket));
    }
    let is_here = matches!(target, Ok(Target { place: Place::Unix(_), .. }));
    findings.extend(units::checks(config, is_here));
    findings.extend(retention::checks(config, recorder.map(|reached| reached.log_vkey.as_str())));
    findings
}

fn embedded(config: &HostConfig) -> Vec<Finding> {
    let text =
        "not installed; only sudare-embedded works without it. To guard a host: docs/guide/vdi-admin.md";
    let listen = config.listen;
    let free = TcpListener::bind(listen).map(|_| format!("{listen} is free")).map_err(|e| {
        format!("{listen}: {e}. If sudare-embedded is not the one that uses it, choose another port")
    });
    vec![
        ("keys and records", as_gate::records(config)),
        ("font for the cover", font()),
        ("gate", Ok(text.into())),
        ("RDP port", free),
    ]
}

fn row((part, result): &Finding) -> String {
    match result {
        Ok(text) => format!("ok       {part}: {text}"),
        Err(text) => format!("PROBLEM  {part}: {text}"),
    }
}

fn rows(findings: &[Finding]) -> serde_json::Value {
    let rows = findings.iter().map(|(part, result)| {
        let (Ok(text) | Err(text)) = result;
        serde_json::json!({ "part": part, "ok": result.is_ok(), "text": text })
    });
    rows.collect()
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
    fn a_problem_what_was_mended_and_what_is_left_are_reported_as_text_and_as_json() {
        let findings: Vec<Finding> =
            vec![("clock", Ok("fine".into())), ("disk", Err("full. Enlarge it".into()))];
        let tried = vec![("clock", Ok("started it".into())), ("disk", Err("no".into()))];
        let report = Report { findings, tried, left: vec![("disk", "somebody decides")] };
        assert_eq!(
            report.lines(),
            [
                "fixed    clock: started it",
                "failed   disk: no",
                "ok       clock: fine",
                "PROBLEM  disk: full. Enlarge it",
                "left     disk: somebody decides",
            ]
        );
        let json = report.json();
        assert_eq!((&json["ok"], &json["findings"][0]["ok"]), (&false.into(), &true.into()));
        assert_eq!(json["findings"][1]["text"], "full. Enlarge it");
        assert_eq!(json["fixed"], serde_json::json!([{ "part": "clock", "text": "started it" }]));
        assert_eq!(json["left"], serde_json::json!([{ "part": "disk", "why": "somebody decides" }]));
    }
}
