//! What doctor may mend by itself, and what it leaves to a person. Pure: what is wrong comes in, what to do goes out.
//!
//! It mends what was as we installed it and is no longer: modes and owners, folders, units of ours, the public line of
//! the log. It never restarts xrdp or a service that runs, for sessions depend on them; it changes no key, no record and
//! no evidence, and it decides nothing in a person's place.

use super::Finding;

/// Something that is harmless to do, in the order in which it is done; each leaves alone what is right already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Our folders, by systemd-tmpfiles.
    Folders,
    /// The folder between gate and xrdp, which xrdp's unit makes as it starts.
    Way,
    /// Modes and owners of the gates' folder.
    StateFolder,
    /// The same of the recorder's, and owners in the evidence.
    RecorderFolder,
    /// The settings and the list of holds, which services read.
    Settings,
    /// Where sessions make the sockets of their displays.
    Displays,
    Unit(&'static str),
    /// It waits for the recorder.
    LogLine,
    /// The timer, if one half of it is on.
    Timer,
}

/// What to do about a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Steps(&'static [Step]),
    Person(&'static str),
}

const RECORDER: &[Step] = &[Step::Folders, Step::RecorderFolder, Step::Unit("sudare-recorder.service")];
const SESSIONS: &str = "a restart of xrdp would end sessions that are running";
const SIGNED: &str = "only the security team signs records, and only an admin enrols devices";
const PROGRAMS: &str = "programs and packages are installed by whoever runs this host";
const SPACE: &str = "somebody has to decide what may be deleted, or to enlarge the disk";
const DECISION: &str = "it needs the decision of somebody who knows this host";
const NOT_ENOUGH: &str = "modes, owners, folders and units are as they should be, and that was not enough";

fn remedy(part: &str) -> Remedy {
    use Remedy::{Person, Steps};
    match part {
        "state folder"
        | "owner of the state folder"
        | "keys and records"
        | "enrolled devices"
        | "users of NLA"
        | "credential of the host" => Steps(&[Step::Folders, Step::StateFolder]),
        "settings of the gates" | "legal holds" => Steps(&[Step::Folders, Step::Settings]),
        "recorder"
        | "recorder for gates"
        | "unit of the recorder"
        | "recorder's folder"
        | "recorder's evidence"
        | "recorder's key and records"
        | "evidence can be written" => Steps(RECORDER),
        "line of the log" => Steps(&[Step::Folders, Step::LogLine]),
        "retention's timer" => Steps(&[Step::Timer]),
        "gate's port" => Steps(&[Step::Unit("sudare-gate.socket")]),
        "whose desktop" | "unit of desktop owners" => Steps(&[Step::Unit("sudare-owner.service")]),
        "unit of the copy" => Steps(&[Step::Folders, Step::Unit("sudare-ship.service")]),
        "unit of the alarms" => Steps(&[Step::Folders, Step::Unit("sudare-forward.service")]),
        "way to the host" | "nobody else gets in" => Steps(&[Step::Way]),
        "display sockets" => Steps(&[Step::Displays]),
        "retention" => {
            Person("its run erases evidence, which somebody should start who has read why it failed")
        }
        "certificate for clients" => Person("employees have to be told the pin of another certificate first"),
        "xrdp"
        | "program of the gate"
        | "program of screenshots"
        | "program of NLA"
        | "program of desktops"
        | "units of the services"
        | "start of desktops"
        | "font for the cover" => Person(PROGRAMS),
        "disk of the evidence" | "space for sessions" => Person(SPACE),
        part if part.starts_with("xrdp") => Person(SESSIONS),
        "host behind the gate" | "unit of xrdp" | "sesman's answer" => Person(SESSIONS),
        _ => Person(DECISION),
    }
}

/// The steps against these findings, each once, with the part that wants it first.
pub(super) fn plan(findings: &[Finding]) -> Vec<(&'static str, Step)> {
    let mut plan: Vec<(&'static str, Step)> = Vec::new();
    for (part, _) in findings.iter().filter(|(_, result)| result.is_err()) {
        let Remedy::Steps(steps) = remedy(part) else { continue };
        for step in steps {
            if plan.iter().all(|(_, planned)| planned != step) {
                plan.push((part, *step));
            }
        }
    }
    plan.sort_by_key(|(_, step)| *step);
    plan
}

/// Why each problem that is left is left, once all steps were done.
pub(super) fn left(findings: &[Finding]) -> Vec<(&'static str, &'static str)> {
    let problems = findings.iter().filter(|(_, result)| result.is_err());
    let why = |part: &str| match remedy(part) {
        Remedy::Person(why) => why,
        Remedy::Steps(_) if ["keys and records", "enrolled devices"].contains(&part) => SIGNED,
        Remedy::Steps(_) => NOT_ENOUGH,
    };
    problems.map(|(part, _)| (*part, why(part))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(parts: &[&'static str]) -> Vec<Finding> {
        parts.iter().map(|part| (*part, Err("wrong".into()))).collect()
    }

    #[test]
    fn each_step_is_done_once_and_folders_before_what_lies_in_them() {
        let findings = wrong(&["line of the log", "whose desktop", "recorder", "recorder for gates"]);
        assert_eq!(
            plan(&findings),
            [
                ("line of the log", Step::Folders),
                ("recorder", Step::RecorderFolder),
                ("whose desktop", Step::Unit("sudare-owner.service")),
                ("recorder", Step::Unit("sudare-recorder.service")),
                ("line of the log", Step::LogLine),
            ]
        );
        assert_eq!(plan(&[("recorder", Ok("well".into()))]), []);
    }

    #[test]
    fn sessions_records_and_evidence_are_left_to_a_person_with_the_reason() {
        for (part, word) in [
            ("host behind the gate", "end sessions"),
            ("xrdp's settings in force", "end sessions"),
            ("xrdp-sesman", "end sessions"),
            ("retention", "erases evidence"),
            ("certificate for clients", "pin"),
            ("enrolled devices", "security team"),
            ("disk of the evidence", "deleted"),
            ("something new", "decision"),
            ("recorder", "not enough"),
        ] {
            let left = left(&wrong(&[part]));
            assert!(left[0].1.contains(word), "{left:?}");
        }
        let people = ["host behind the gate", "xrdp's settings in force", "retention", "something new"];
        assert_eq!(plan(&wrong(&people)), []);
        assert_eq!(left(&[("recorder", Ok("well".into()))]), []);
    }

    #[test]
    fn no_step_is_about_a_unit_that_is_not_ours() {
        let parts = [
            "gate's port",
            "whose desktop",
            "recorder",
            "unit of the copy",
            "unit of the alarms",
            "unit of xrdp",
        ];
        let units = plan(&wrong(&parts)).into_iter().filter_map(|(_, step)| match step {
            Step::Unit(unit) => Some(unit),
            _ => None,
        });
        let units: Vec<_> = units.collect();
        assert!(units.len() == 5 && units.iter().all(|unit| unit.starts_with("sudare-")), "{units:?}");
    }
}
