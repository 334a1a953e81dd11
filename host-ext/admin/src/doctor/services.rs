//! Checks the services that talk to other machines: the shipper, the forwarder, and what fetches records.

use std::fs::{File, TryLockError};
use std::path::Path;

use sudare_base::clock;
use sudare_base::config::HostConfig;
use sudare_evidence::status::fleet::Status as Fleet;
use sudare_evidence::status::forward::{self, State, Status as Forward};
use sudare_evidence::status::ship::{NotaryStatus, Status as Ship};

use super::{Finding, advise};

/// A destination that fails for longer is not merely restarting.
const FAILING_MAX_MS: u64 = 10 * 60 * 1000;

/// Checks both, as far as they are set up.
pub(super) fn checks(config: &HostConfig) -> Vec<Finding> {
    let ship_dir = config.ship_state_dir.as_deref();
    let mut findings = vec![("copy of the evidence", ship_dir.map_or_else(no_copy, ship))];
    // A status that cannot be read is a finding already.
    let status = ship_dir.and_then(|dir| Ship::read(dir).ok().flatten());
    findings.extend(status.iter().flat_map(|status| notaries(&status.notaries)));
    findings.push(("alarms", config.forward_state_dir.as_deref().map_or_else(no_alarms, forward)));
    findings.push(("records of the organisation", fleet(&config.state_dir.join("fleet"), clock::wall_ms())));
    findings
}

/// Whether the organisation's bundle comes.
fn fleet(dir: &Path, now_ms: u64) -> Result<String, String> {
    let Some(status) = Fleet::read(dir).map_err(|e| advise(e, "Run doctor as root"))? else {
        return Ok("put here by hand. See sudare-fleet.service to have them fetched".into());
    };
    let serial =
        status.serial.map_or_else(|| "no bundle yet".to_owned(), |serial| format!("bundle {serial}"));
    let error = status.error.as_deref().unwrap_or("see `journalctl -u sudare-fleet`").trim_end_matches('.');
    let late_ms = now_ms.saturating_sub(status.last_success_ms.unwrap_or(0));
    match (&status.failing_since_ms, late_ms > FAILING_MAX_MS) {
        (Some(_), true) => Err(format!("{serial} from {}, and none since: {error}", status.from)),
        (Some(_), false) => {
            Ok(format!("{serial} from {}; the last attempt failed and is being repeated", status.from))
        }
        (None, true) => Err(format!(
            "{serial} from {}, and nobody has looked for {} minutes. Run `systemctl enable --now sudare-fleet`",
            status.from,
            late_ms / 60_000
        )),
        (None, false) => Ok(format!("{serial} from {}", status.from)),
    }
}

fn no_copy() -> Result<String, String> {
    Ok("not set up, so evidence is on this host only. See sudare-ship.service, and set `ship_state_dir`"
        .into())
}

fn no_alarms() -> Result<String, String> {
    Ok("not set up. See sudare-forward.service, and set `forward_state_dir`".into())
}

fn ship(dir: &Path) -> Result<String, String> {
    let start = "Run `systemctl enable --now sudare-ship`";
    let status = Ship::read(dir).map_err(|e| advise(e, "Run doctor as root"))?;
    let Some(status) = status else {
        return Err(format!("nothing has been copied yet. Fill in /etc/sudare/ship.env. {start}"));
    };
    if !is_held(&dir.join("lock")) {
        return Err(stopped(&status, start));
    }
    copied(&status, clock::wall_ms())
}

/// Where it ended by itself, starting it again would not help: it says what does.
fn stopped(status: &Ship, start: &str) -> String {
    match (&status.error, &status.detail) {
        (Some(error), Some(detail)) => {
            format!("stopped after {} entries ({error}): {}", status.shipped, detail.trim_end_matches('.'))
        }
        _ => format!("stopped after {} entries. {start}", status.shipped),
    }
}

fn copied(status: &Ship, now_ms: u64) -> Result<String, String> {
    let progress = format!("{} of {} entries are at {}", status.shipped, status.local, status.destination);
    match status.failing_since_ms {
        Some(since_ms) if now_ms.saturating_sub(since_ms) > FAILING_MAX_MS => Err(format!(
            "{progress}; it has been failing for {} minutes: {}",
            now_ms.saturating_sub(since_ms) / 60_000,
            status.detail.as_deref().unwrap_or("see `journalctl -u sudare-ship`")
        )),
        // It ends each time, and systemd starts it again: no repetition helps.
        Some(_) if status.error.as_deref().is_some_and(needs_somebody) => Err(format!(
            "{progress} ({}): {}",
            status.error.as_deref().unwrap_or_default(),
            status.detail.as_deref().unwrap_or("see `journalctl -u sudare-ship`")
        )),
        Some(_) => Ok(format!("{progress}; the last attempt failed and is being repeated")),
        None => Ok(format!("{progress}, retention {}", status.retention)),
    }
}

/// The names of errors that a shipper repeats by itself; all others need somebody (docs/reference/programs.md).
fn needs_somebody(error: &str) -> bool {
    !["remote", "bucket", "local", "local-missing", "state"].contains(&error)
}

/// The answers of the witness and the time-stamp service, where they are used. Nothing on the host waits for them,
/// but a refusal may mean an attack that only they can see.
fn notaries(notaries: &NotaryStatus) -> Vec<Finding> {
    let row = |part, entries: u64, error: &Option<String>, did: &str| match error {
        Some(error) => Some((
            part,
            Err(advise(
                format!("{entries} entries were {did}, and now: {error}"),
                "The copy goes on. If this persists, tell the security team",
            )),
        )),
        None if entries > 0 => Some((part, Ok(format!("{entries} entries were {did}")))),
        None => None,
    };
    let rows = [
        row("witness", notaries.cosigned, &notaries.witness_error, "cosigned"),
        row("time stamps", notaries.stamped, &notaries.stamper_error, "stamped"),
    ];
    rows.into_iter().flatten().collect()
}

fn forward(dir: &Path) -> Result<String, String> {
    let status = forward::read(dir).map_err(|e| advise(e, "Run doctor as root"))?;
    alarms(status.as_ref())
}

fn alarms(status: Option<&Forward>) -> Result<String, String> {
    let start = "Run `systemctl enable --now sudare-forward`";
    let Some(status) = status else {
        return Err(format!("no alarm has been sent yet. Fill in /etc/sudare/forward.env. {start}"));
    };
    if !status.running {
        return Err(format!("no longer sent, and {} are waiting. {start}", status.waiting_events));
    }
    let error = status.last_error.as_deref().unwrap_or("see `journalctl -u sudare-forward`");
    match status.state {
        State::Contradiction => {
            Err(advise(format!("the log contradicts itself: {error}"), "Tell the security team"))
        }
        State::Waiting => Err(format!(
            "{} are waiting; {} failed {} times: {error}",
            status.waiting_events, status.to, status.failed_tries
        )),
        State::New | State::Idle | State::Sending => {
            Ok(format!("{} were accepted by {}", status.accepted_events, status.to))
        }
    }
}

/// Whether a process holds the lock.
fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_does_not_advance_is_found() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ship(dir.path()).unwrap_err().contains("ship.env"));
        let status = Ship { shipped: 3, local: 9, destination: "s3://b/p".into(), ..Ship::default() };
        std::fs::write(dir.path().join("status.json"), serde_json::to_vec(&status).unwrap()).unwrap();
        assert!(ship(dir.path()).unwrap_err().contains("stopped after 3 entries"));
        let lock = File::create(dir.path().join("lock")).unwrap();
        lock.try_lock().unwrap();
        assert!(ship(dir.path()).unwrap().contains("3 of 9 entries are at s3://b/p"));
        let set_back = Ship {
            failing_since_ms: Some(clock::wall_ms()),
            error: Some("remote-ahead".into()),
            detail: Some("the store here was rolled back to an older state. Tell the security team".into()),
            ..status
        };
        std::fs::write(dir.path().join("status.json"), serde_json::to_vec(&set_back).unwrap()).unwrap();
        let told = ship(dir.path()).unwrap_err();
        assert!(told.contains("(remote-ahead)") && told.contains("rolled back to an older state"), "{told}");
        drop(lock);
        let told = ship(dir.path()).unwrap_err();
        assert!(
            told.contains("stopped after 3 entries (remote-ahead)") && !told.contains("enable --now"),
            "{told}"
        );
        std::fs::write(dir.path().join("status.json"), "{").unwrap();
        assert!(ship(dir.path()).is_err());
    }

    #[test]
    fn a_destination_that_fails_is_a_problem_only_after_a_while() {
        let failing = Ship {
            failing_since_ms: Some(1_000),
            detail: Some("the bucket refuses. Ask for a key.".into()),
            ..Ship::default()
        };
        assert!(copied(&failing, 2_000).unwrap().contains("being repeated"));
        let text = copied(&failing, 1_000 + FAILING_MAX_MS + 60_000).unwrap_err();
        assert!(text.contains("11 minutes") && text.contains("Ask for a key"), "{text}");
    }

    #[test]
    fn a_refusing_witness_is_reported_beside_a_working_copy() {
        assert_eq!(notaries(&NotaryStatus::default()), []);
        let refused = Some("the log was rewritten. Keep both.".to_owned());
        let said =
            NotaryStatus { cosigned: 7, witness_error: refused, stamped: 6, ..NotaryStatus::default() };
        let rows = notaries(&said);
        let (witness, why) = (&rows[0].0, rows[0].1.as_ref().unwrap_err());
        assert!(
            *witness == "witness" && why.contains("7 entries") && why.contains("rewritten. Keep"),
            "{why}"
        );
        assert_eq!(rows[1], ("time stamps", Ok("6 entries were stamped".into())));
    }

    #[test]
    fn alarms_that_do_not_leave_are_found() {
        assert!(alarms(None).unwrap_err().contains("forward.env"));
        let status = |state, running| Forward {
            state,
            running,
            to: "tls://siem.example:6514".into(),
            last_error: Some("refused".into()),
            ..Forward::default()
        };
        assert!(alarms(Some(&status(State::Idle, false))).unwrap_err().contains("sudare-forward"));
        assert!(alarms(Some(&status(State::Waiting, true))).unwrap_err().contains("refused"));
        assert!(alarms(Some(&status(State::Contradiction, true))).unwrap_err().contains("security team"));
        assert!(alarms(Some(&status(State::Sending, true))).unwrap().contains("siem.example"));
    }

    #[test]
    fn a_service_that_is_not_set_up_is_no_problem() {
        let config = HostConfig::load(None, &[]).unwrap();
        assert!(checks(&config).iter().all(|(_, result)| result.is_ok()));
    }
}
