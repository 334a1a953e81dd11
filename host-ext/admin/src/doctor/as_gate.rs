//! What a gate meets when it begins, tried under the gates' account: its settings, keys and records, the devices, the
//! recorder, the host behind it, and whose desktop that is.
//!
//! Root could read and reach nearly everything, so doctor as root runs this program once more as that account.

use std::ffi::OsStr;

use serde_json::Value;
use sudare_base::accounts::GateAccount;
use sudare_base::config::HostConfig;
use sudare_base::program::Settings;
use sudare_base::{clock, output};
use sudare_evidence::report::wire::State;
use sudare_evidence::report::{EvidenceSink as _, Remote};
use sudare_gate::targets::Targets;
use sudare_guard::session::evidence::REMOTE_LATE_MS;
use sudare_protocol::hex::hex;
use sudare_protocol::rules::Durable;
use sudare_records::state::{self, HostState};

use super::as_user;
use super::{Finding, dates, enrolled, font, gate};

const SETTINGS: &str = "settings of the gates";
/// What is printed below, so that a name is one of ours whatever was said.
const PARTS: [&str; 7] = [
    SETTINGS,
    "keys and records",
    "enrolled devices",
    "font for the cover",
    "recorder for gates",
    "host behind the gate",
    "whose desktop",
];

/// As the account, if this is root; otherwise as whoever runs doctor.
pub(super) fn checks(
    settings: &Settings,
    config: &HostConfig,
    account: Option<&GateAccount>,
) -> Vec<Finding> {
    match account.filter(|_| rustix::process::geteuid().is_root()) {
        None => met(config),
        Some(account) => {
            let said = again(settings, &config.run_as, account);
            said.and_then(|said| read(&said)).unwrap_or_else(|error| vec![(SETTINGS, Err(error))])
        }
    }
}

/// What the account does: prints what it met.
pub(crate) fn print(settings: &Settings) {
    let findings = match settings.load(&[]) {
        Ok(config) => met(&config),
        Err(error) => vec![(
            SETTINGS,
            Err(format!(
                "gates cannot read them: {error}. Run `chmod 644` on the file, and `chmod 755` on its folder"
            )),
        )],
    };
    output::json(&super::rows(&findings).to_string());
}

fn again(settings: &Settings, user: &str, account: &GateAccount) -> Result<String, String> {
    let mut arguments = vec![OsStr::new("as-gate").to_owned()];
    for (flag, path) in [("--config", settings.file()), ("--state-dir", settings.state_dir.as_deref())] {
        if let Some(path) = path {
            let path = std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?;
            arguments.extend([flag.into(), path.into_os_string()]);
        }
    }
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    as_user::output(user, account, None, &arguments)
}

fn read(said: &str) -> Result<Vec<Finding>, String> {
    let rows: Vec<Value> = serde_json::from_str(said)
        .map_err(|e| format!("what the gates' account met cannot be read: {e}. Run doctor again"))?;
    let of = |row: &Value| {
        let part = PARTS.into_iter().find(|part| row["part"] == *part).unwrap_or(SETTINGS);
        let text = row["text"].as_str().unwrap_or_default().to_owned();
        (part, if row["ok"] == true { Ok(text) } else { Err(text) })
    };
    Ok(rows.iter().map(of).collect())
}

fn met(config: &HostConfig) -> Vec<Finding> {
    let mut findings = vec![
        (SETTINGS, Ok("read".into())),
        ("keys and records", records(config)),
        ("enrolled devices", enrolled::check(&config.state_dir, clock::wall_ms())),
        ("font for the cover", font()),
        ("recorder for gates", recorder(config)),
    ];
    // Settings that cannot be used are a finding already.
    let targets = Targets::read(&config.gate_target, &config.gate_targets);
    findings.extend(targets.iter().flat_map(Targets::all).flat_map(|target| gate::host(config, target)));
    findings
}

/// Signatures and dates; also where there is no gate.
pub(super) fn records(config: &HostConfig) -> Result<String, String> {
    let state = HostState::load(&config.state_dir).map_err(|e| e.to_string())?;
    let (host, policy, now_ms) = (state.host_record.record(), state.policy.record(), clock::wall_ms());
    Ok(format!(
        "host {}, policy {}{}{}",
        host.host_id,
        policy.serial,
        dates::soon("host record", host.not_after_ms, now_ms),
        dates::soon("policy", policy.not_after_ms, now_ms)
    ))
}

/// Asks what a gate asks before it shows a desktop.
fn recorder(config: &HostConfig) -> Result<String, String> {
    let lost = |e: &dyn std::fmt::Display| {
        super::advise(
            format!("gates get no answer from the recorder, so desktops stay covered: {e}"),
            "See whether it runs, and the modes on the way to its socket",
        )
    };
    let mut remote = Remote::connect(&config.recorder_socket, [0; 16]).map_err(|e| lost(&e))?;
    let state = remote.state().map_err(|e| lost(&e))?;
    // Records and devices that cannot be read are findings of their own.
    if let Ok(host) = HostState::load(&config.state_dir) {
        let rules = host.policy.record().rules();
        kept_elsewhere(rules.durable, config.ship_state_dir.is_some(), &state)?;
        let log = host.host_record.record().log.as_deref();
        believed(log, remote.log_vkey())?;
    }
    let devices = state::registry(&config.state_dir).ok().and_then(|registry| registry.list().ok());
    for id in devices.unwrap_or_default() {
        if !remote.has_room(&id).map_err(|e| lost(&e))? {
            return Err(full(&hex(&id)));
        }
    }
    Ok("answers them, and has room for each device".into())
}

fn full(device: &str) -> String {
    format!(
        "device {device} has used up what it may store in a day, so its desktop stays covered until midnight UTC. Find out why it has so many incidents"
    )
}

/// Under such a policy gates cover until the copy off the host has everything.
fn kept_elsewhere(durable: Durable, is_set: bool, state: &State) -> Result<(), String> {
    if durable != Durable::Remote {
        return Ok(());
    }
    let policy = "the policy wants evidence off this host (durable = \"remote\"), and";
    match state.behind_ms {
        None if is_set => Err(format!(
            "{policy} the recorder does not know the shipper's folder yet, so desktops stay covered. Run `systemctl restart sudare-recorder` once sudare-ship has run"
        )),
        None => Err(format!(
            "{policy} nothing copies it, so desktops stay covered. Set `ship_state_dir`, and run `systemctl enable --now sudare-ship`"
        )),
        Some(late) if late > REMOTE_LATE_MS => Err(format!(
            "{policy} the copy is {} s late, so desktops stay covered. See `journalctl -u sudare-ship`",
            late / 1_000
        )),
        Some(_) => Ok(()),
    }
}

/// Clients keep an incident until the log that their host's record names proves that it has it.
fn believed(named: Option<&str>, log: &str) -> Result<(), String> {
    match named {
        Some(named) if named != log => Err(
            "host.record names another log than the one that this recorder keeps, so clients never believe that their incidents were kept. The security team signs the record again, with the line of `sudare-recorder --print-key`"
                .into(),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_said_is_read_with_our_names_only() {
        let findings: Vec<Finding> =
            vec![("keys and records", Err("none. Make some".into())), ("whose desktop", Ok("told".into()))];
        assert_eq!(read(&super::super::rows(&findings).to_string()).unwrap(), findings);
        let other = read(r#"[{"part":"something else","ok":"yes","text":"?"}]"#).unwrap();
        assert_eq!(other, [(SETTINGS, Err("?".into()))]);
        assert!(read("no such command").unwrap_err().contains("again"));
    }

    #[test]
    fn a_recorder_that_does_not_answer_gates_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let config = HostConfig::load(None, &[]).unwrap();
        let config = HostConfig { recorder_socket: dir.path().join("socket"), ..config };
        let said = recorder(&config).unwrap_err();
        assert!(said.contains("stay covered") && said.contains("its socket"), "{said}");
        assert!(full("ab").contains("device ab") && full("ab").contains("midnight"));
    }

    #[test]
    fn evidence_that_has_to_leave_the_host_and_does_not_is_found() {
        let state = |behind_ms| State { size: 1, shipped: behind_ms, behind_ms };
        assert!(kept_elsewhere(Durable::Local, false, &state(None)).is_ok());
        let said = |is_set, behind| kept_elsewhere(Durable::Remote, is_set, &state(behind)).unwrap_err();
        assert!(said(false, None).contains("ship_state_dir"));
        assert!(said(true, None).contains("restart sudare-recorder"));
        assert!(said(true, Some(61_000)).contains("61 s late"));
        assert!(kept_elsewhere(Durable::Remote, true, &state(Some(REMOTE_LATE_MS))).is_ok());
    }

    #[test]
    fn a_record_that_names_another_log_is_found() {
        assert!(believed(None, "log").is_ok() && believed(Some("log"), "log").is_ok());
        assert!(believed(Some("other"), "log").unwrap_err().contains("--print-key"));
    }
}
