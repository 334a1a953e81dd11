//! The policy as the security team writes it: a TOML file that becomes a record.

mod eyes;
mod groups;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use sudare_base::files;
use sudare_protocol::keyfile;
use sudare_protocol::notice::{Notice, Words};
use sudare_protocol::records::{EvidenceDuty, Policy};
use sudare_protocol::rules::{
    ByteKey, Durable, EvidenceRules, FULL_RETENTION_HOURS, RETENTION_HOURS, Screenshot,
};
use sudare_protocol::seal::{Custodian, Recipients};

use self::eyes::EyesFile;
use self::groups::GroupFile;

const POLICY_MAX_BYTES: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    organisation: String,
    serial: u64,
    auditors: Vec<String>,
    #[serde(default)]
    evidence: Duty,
    #[serde(default)]
    timings: BTreeMap<String, u64>,
    rules: Option<RulesFile>,
    eyes: Option<EyesFile>,
    notice: Option<NoticeFile>,
    #[serde(default)]
    groups: Vec<GroupFile>,
}

/// What employees accept before anything looks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeFile {
    version: u32,
    owner: WordsFile,
    contact: WordsFile,
    purpose: WordsFile,
    retention: WordsFile,
    alternative: WordsFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordsFile {
    ja: String,
    en: String,
}

impl From<WordsFile> for Words {
    fn from(WordsFile { ja, en }: WordsFile) -> Self {
        Words { japanese: ja, english: en }
    }
}

impl From<NoticeFile> for Notice {
    fn from(file: NoticeFile) -> Self {
        Notice {
            version: file.version,
            owner: file.owner.into(),
            contact: file.contact.into(),
            purpose: file.purpose.into(),
            retention: file.retention.into(),
            alternative: file.alternative.into(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Duty {
    #[default]
    Required,
    BestEffort,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RulesFile {
    screenshot: ScreenshotRule,
    durable: DurableRule,
    full_retention_hours: u32,
    retention_hours: u32,
    custodian: Option<String>,
    approvers: Vec<String>,
}

impl Default for RulesFile {
    fn default() -> Self {
        RulesFile {
            screenshot: ScreenshotRule::Full,
            durable: DurableRule::Local,
            full_retention_hours: FULL_RETENTION_HOURS,
            retention_hours: RETENTION_HOURS,
            custodian: None,
            approvers: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScreenshotRule {
    Full,
    Masked,
    Hash,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DurableRule {
    Local,
    Remote,
}

/// Reads the file; `validity` is the first and the last moment in Unix milliseconds.
pub(crate) fn read(path: &Path, validity: (u64, u64)) -> anyhow::Result<Policy> {
    let bytes = files::read_bounded(path, POLICY_MAX_BYTES)?.with_context(|| {
        format!("{} is missing. Write it; docs/guide/security-team.md shows one", path.display())
    })?;
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))?;
    parse(&text, validity).with_context(|| format!("{} is not a policy. Correct it", path.display()))
}

fn parse(text: &str, (not_before_ms, not_after_ms): (u64, u64)) -> anyhow::Result<Policy> {
    let file: PolicyFile = toml::from_str(text)?;
    Recipients::parse(&file.auditors)?;
    Ok(Policy {
        organisation: file.organisation,
        serial: file.serial,
        not_before_ms,
        not_after_ms,
        auditors: file.auditors,
        evidence: match file.evidence {
            Duty::Required => EvidenceDuty::Required,
            Duty::BestEffort => EvidenceDuty::BestEffort,
        },
        timings: file.timings,
        rules: file.rules.map(RulesFile::into_rules).transpose()?,
        eyes: file.eyes.map(EyesFile::into_rules),
        notice: file.notice.map(Notice::from),
        groups: groups::groups(file.groups, not_before_ms)?,
    })
}

impl RulesFile {
    fn into_rules(self) -> anyhow::Result<EvidenceRules> {
        if let Some(custodian) = &self.custodian {
            Custodian::parse(custodian).context("`custodian` is not an age recipient")?;
        }
        let key = |line: &String| {
            let key = keyfile::parse_public(line)
                .with_context(|| format!("approver {line:?} is not a public key"))?;
            Ok(ByteKey(key.to_bytes()))
        };
        Ok(EvidenceRules {
            screenshot: match self.screenshot {
                ScreenshotRule::Full => Screenshot::Full,
                ScreenshotRule::Masked => Screenshot::Masked,
                ScreenshotRule::Hash => Screenshot::Hash,
            },
            durable: match self.durable {
                DurableRule::Local => Durable::Local,
                DurableRule::Remote => Durable::Remote,
            },
            full_retention_hours: self.full_retention_hours,
            retention_hours: self.retention_hours,
            custodian: self.custodian,
            approvers: self.approvers.iter().map(key).collect::<anyhow::Result<_>>()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sudare_protocol::SigningKey;
    use sudare_protocol::eyes::{EyesRules, FirstCheck, Liveness, NotMeasurable, Recognition};
    use sudare_protocol::seal::Identity;

    pub(crate) fn policy(more: &str) -> anyhow::Result<Policy> {
        let (one, two) = (Identity::generate().recipient(), Identity::generate().recipient());
        let text =
            format!("organisation = \"Example\"\nserial = 1\nauditors = [\"{one}\", \"{two}\"]\n{more}");
        parse(&text, (0, 1))
    }

    #[test]
    fn a_policy_without_rules_has_the_defaults() {
        let policy = policy("").unwrap();
        assert_eq!((policy.evidence, policy.rules.clone()), (EvidenceDuty::Required, None));
        assert_eq!(policy.rules(), EvidenceRules::default());
    }

    #[test]
    fn every_rule_can_be_written() {
        let approver = |n: u8| keyfile::public_line(&SigningKey::from_bytes(&[n; 32]).verifying_key());
        let custodian = Identity::generate().recipient();
        let more = format!(
            "evidence = \"best-effort\"\n[rules]\nscreenshot = \"hash\"\ndurable = \"remote\"\n\
             full_retention_hours = 24\nretention_hours = 48\ncustodian = \"{custodian}\"\n\
             approvers = [\"{}\", \"{}\"]\n",
            approver(1).trim(),
            approver(2).trim()
        );
        let policy = policy(&more).unwrap();
        let rules = policy.rules();
        assert_eq!(policy.evidence, EvidenceDuty::BestEffort);
        assert_eq!((rules.screenshot, rules.durable), (Screenshot::Hash, Durable::Remote));
        assert_eq!((rules.full_retention_hours, rules.retention_hours), (24, 48));
        assert_eq!((rules.custodian, rules.approvers.len()), (Some(custodian), 2));
    }

    #[test]
    fn liveness_can_be_asked_for_and_what_suits_it_need_not_be_written() {
        assert_eq!(policy("").unwrap().eyes, None);
        let eyes = |more: &str| policy(&format!("[eyes]\n{more}")).unwrap().eyes();
        assert_eq!(eyes(""), EyesRules::default());
        let preferred = eyes("liveness = \"light-preferred\"");
        assert_eq!(
            (preferred.liveness, preferred.not_measurable),
            (Liveness::LightPreferred, NotMeasurable::GoOn)
        );
        let required = eyes("liveness = \"light-required\"\nfirst_check = \"turn\"\nholds_minutes = 0");
        assert_eq!((required.not_measurable, required.first_check), (NotMeasurable::Turn, FirstCheck::Turn));
        assert_eq!((required.holds_minutes, required.check()), (0, Ok(())));
        let cover = eyes("liveness = \"light-required\"\nnot_measurable = \"cover\"\naway_minutes = 9");
        assert_eq!((cover.not_measurable, cover.away_minutes), (NotMeasurable::Cover, 9));
    }

    #[test]
    fn recognition_can_be_chosen_without_a_check_of_liveness() {
        let recognition = |more: &str| policy(more).unwrap().eyes().recognition;
        assert_eq!(recognition(""), Recognition::Normal);
        assert_eq!(recognition("[eyes]\nliveness = \"light-preferred\""), Recognition::Normal);
        for wanted in Recognition::ALL {
            let more = format!("[eyes]\nrecognition = \"{}\"", wanted.as_str());
            assert_eq!(recognition(&more), wanted);
            assert_eq!(policy(&more).unwrap().eyes().liveness, Liveness::Passive);
        }
    }

    #[test]
    fn misspelt_names_and_values_are_refused_by_name() {
        for (more, word) in [
            ("[rules]\nscreenshots = \"full\"", "screenshots"),
            ("[rules]\nscreenshot = \"blurred\"", "blurred"),
            ("[rules]\ncustodian = \"ssh-ed25519 x\"", "custodian"),
            ("[rules]\napprovers = [\"x\"]", "approver"),
            ("evidence = \"maybe\"", "maybe"),
            ("[eyes]\nliveness = \"light\"", "light"),
            ("[eyes]\nblinking = true", "blinking"),
            ("[eyes]\nrecognition = \"stricter\"", "stricter"),
        ] {
            let error = format!("{:#}", policy(more).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
