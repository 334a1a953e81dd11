//! `[[groups]]`: what differs for some people.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use sudare_protocol::eyes::Recognition;
use sudare_protocol::groups::{Group, OBSERVED_MAX_MS};

use super::eyes::EyesFile;

const DAY_MS: u64 = 24 * 3_600_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupFile {
    name: String,
    /// User names, `@group`, `device:<id>`, or `*`.
    members: Vec<String>,
    #[serde(default)]
    mode: Mode,
    /// How many days a pilot takes, from the policy's first moment.
    observe_days: Option<u64>,
    #[serde(default)]
    timings: BTreeMap<String, u64>,
    eyes: Option<EyesFile>,
}

/// How far Sudare goes with these people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// As the eyes of the group, or of the policy, say.
    #[default]
    Recognise,
    /// No face is compared.
    Presence,
    /// What is seen is recorded, and covers nothing.
    Observe,
}

/// As records have them; `None` without any.
pub(super) fn groups(files: Vec<GroupFile>, from_ms: u64) -> anyhow::Result<Option<Vec<Group>>> {
    let read = |file: GroupFile| {
        let name = file.name.clone();
        file.into_group(from_ms).with_context(|| format!("group {name:?}"))
    };
    let groups = files.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Some(groups).filter(|groups| !groups.is_empty()))
}

impl GroupFile {
    fn into_group(self, from_ms: u64) -> anyhow::Result<Group> {
        let GroupFile { name, members, mode, observe_days, timings, eyes } = self;
        ensure!(
            observe_days.is_some() == (mode == Mode::Observe),
            "mode = \"observe\" and observe_days belong together: a pilot has an end. Write both, or neither"
        );
        let observed = observe_days.map(|days| from_ms.saturating_add(days.saturating_mul(DAY_MS)));
        ensure!(
            observe_days.is_none_or(|days| (1..=OBSERVED_MAX_MS / DAY_MS).contains(&days)),
            "observe_days must be 1 to {}",
            OBSERVED_MAX_MS / DAY_MS
        );
        let mut eyes = eyes.map(EyesFile::into_rules);
        if mode == Mode::Presence {
            eyes.get_or_insert_default().recognition = Recognition::Presence;
        }
        Ok(Group { name, members, timings, eyes, observed_until_ms: observed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::policy;
    use super::*;

    #[test]
    fn a_policy_without_groups_has_none() {
        assert_eq!(policy("").unwrap().groups, None);
    }

    #[test]
    fn every_mode_can_be_written() {
        let text = "
[[groups]]
name = \"night shift\"
members = [\"@night\", \"carol\"]
timings = { absence_ms = 3000 }
eyes = { recognition = \"strict\" }
[[groups]]
name = \"without faces\"
members = [\"device:00112233445566778899aabbccddeeff\"]
mode = \"presence\"
[[groups]]
name = \"pilot\"
members = [\"*\"]
mode = \"observe\"
observe_days = 14";
        let groups = policy(text).unwrap().groups.unwrap();
        assert_eq!(groups[0].timings["absence_ms"], 3_000);
        assert_eq!(groups[0].eyes.unwrap().recognition, Recognition::Strict);
        assert_eq!(groups[1].eyes.unwrap().recognition, Recognition::Presence);
        assert_eq!(groups[1].observed_until_ms, None);
        assert_eq!((groups[2].eyes, groups[2].observed_until_ms), (None, Some(14 * DAY_MS)));
    }

    #[test]
    fn a_pilot_without_an_end_and_an_end_without_a_pilot_are_refused() {
        for (more, word) in [
            ("mode = \"observe\"", "observe_days"),
            ("observe_days = 3", "observe_days"),
            ("mode = \"observe\"\nobserve_days = 31", "1 to 30"),
            ("mode = \"observe\"\nobserve_days = 0", "1 to 30"),
            ("mode = \"watch\"", "watch"),
            ("modes = \"observe\"", "modes"),
        ] {
            let text = format!("[[groups]]\nname = \"pilot\"\nmembers = [\"*\"]\n{more}");
            let error = format!("{:#}", policy(&text).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
