//! A policy's rules about evidence, beyond whether it is required: which pictures are kept, for how long,
//! and who can open them.

use ed25519_dalek::VerifyingKey;
use minicbor::{Decode, Encode};

use crate::evidence::Label;
use crate::limits::{APPROVERS_MAX, APPROVERS_MIN, RETENTION_MAX_HOURS, TEXT_MAX_BYTES};
use crate::text::is_plain;

/// How the screen is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Screenshot {
    /// The picture as it was.
    #[n(0)]
    #[default]
    Full,
    /// Pixelated before sealing, so that the kind of work is recognisable but text is not.
    #[n(1)]
    Masked,
    /// Only the salted hash: for data that must not be stored, such as card numbers.
    #[n(2)]
    Hash,
}

/// When evidence counts as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Durable {
    /// When the host's disk has it.
    #[n(0)]
    #[default]
    Local,
    /// When the remote store has it, too.
    #[n(1)]
    Remote,
}

/// Hours that full pictures are kept unless the policy says otherwise.
pub const FULL_RETENTION_HOURS: u32 = 72;
/// Hours that everything else of an incident is kept unless the policy says otherwise.
pub const RETENTION_HOURS: u32 = 14 * 24;

/// Part of a policy; a policy without it has the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EvidenceRules {
    #[n(0)]
    pub screenshot: Screenshot,
    #[n(1)]
    pub durable: Durable,
    /// Pictures on which faces can be recognised: kept this long.
    #[n(2)]
    pub full_retention_hours: u32,
    /// All other pictures: kept this long, and not shorter than the full ones.
    #[n(3)]
    pub retention_hours: u32,
    /// age recipient (`age1…`) of a separate service: the headers of full pictures are sealed to it
    /// once more, so that no auditor opens one alone.
    #[n(4)]
    pub custodian: Option<String>,
    /// Ed25519 keys of which two different ones must sign before evidence is erased early.
    #[cbor(n(5))]
    pub approvers: Vec<ByteKey>,
}

/// An Ed25519 public key as a CBOR byte string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct ByteKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl Default for EvidenceRules {
    fn default() -> Self {
        EvidenceRules {
            screenshot: Screenshot::default(),
            durable: Durable::default(),
            full_retention_hours: FULL_RETENTION_HOURS,
            retention_hours: RETENTION_HOURS,
            custodian: None,
            approvers: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    #[error(
        "retention of {full} hours for full pictures and {all} for all others is not possible: each must be 1 to {RETENTION_MAX_HOURS}, and full pictures must not outlive the others. The security team must correct it"
    )]
    Retention { full: u32, all: u32 },
    #[error("the custodian is not an age recipient. The security team must correct it")]
    Custodian,
    #[error(
        "the policy names {0} approvers, but either none or {APPROVERS_MIN} to {APPROVERS_MAX} different, valid keys are required. The security team must correct it"
    )]
    Approvers(usize),
}

impl EvidenceRules {
    /// Hours that a picture is kept. An unknown kind is treated as one that shows bystanders.
    pub fn kept_hours(&self, label: Option<Label>) -> u32 {
        if label.is_none_or(Label::is_full) { self.full_retention_hours } else { self.retention_hours }
    }

    /// Refuses rules that cannot be followed.
    pub fn check(&self) -> Result<(), RulesError> {
        let (full, all) = (self.full_retention_hours, self.retention_hours);
        if full == 0 || full > all || all > RETENTION_MAX_HOURS {
            return Err(RulesError::Retention { full, all });
        }
        let is_recipient = |to: &String| to.starts_with("age1") && to.len() <= TEXT_MAX_BYTES && is_plain(to);
        if self.custodian.as_ref().is_some_and(|to| !is_recipient(to)) {
            return Err(RulesError::Custodian);
        }
        let mut different: Vec<[u8; 32]> = self.approvers.iter().map(|key| key.0).collect();
        different.sort_unstable();
        different.dedup();
        let count = self.approvers.len();
        let enough = count == 0 || (APPROVERS_MIN..=APPROVERS_MAX).contains(&count);
        let valid = self.approvers.iter().all(|key| VerifyingKey::from_bytes(&key.0).is_ok());
        if different.len() != count || !enough || !valid {
            return Err(RulesError::Approvers(count));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    fn key(n: u8) -> ByteKey {
        ByteKey(SigningKey::from_bytes(&[n; 32]).verifying_key().to_bytes())
    }

    #[test]
    fn the_defaults_are_in_order() {
        assert_eq!(EvidenceRules::default().check(), Ok(()));
    }

    #[test]
    fn what_nobody_could_follow_is_refused() {
        let defaults = EvidenceRules::default;
        for (full_retention_hours, retention_hours) in [(0, 5), (6, 5), (1, RETENTION_MAX_HOURS + 1)] {
            let rules = EvidenceRules { full_retention_hours, retention_hours, ..defaults() };
            assert!(matches!(rules.check(), Err(RulesError::Retention { .. })));
        }
        let rules = EvidenceRules { custodian: Some("ssh-ed25519 x".into()), ..defaults() };
        assert_eq!(rules.check(), Err(RulesError::Custodian));
        for approvers in [vec![key(1)], vec![key(1), key(1)]] {
            let rules = EvidenceRules { approvers, ..defaults() };
            assert!(matches!(rules.check(), Err(RulesError::Approvers(_))));
        }
        assert_eq!(EvidenceRules { approvers: vec![key(1), key(2)], ..defaults() }.check(), Ok(()));
    }

    #[test]
    fn rules_survive_coding() {
        let rules = EvidenceRules {
            screenshot: Screenshot::Hash,
            approvers: vec![key(1), key(2)],
            ..Default::default()
        };
        let bytes = minicbor::to_vec(&rules).unwrap();
        assert_eq!(minicbor::decode::<EvidenceRules>(&bytes).unwrap(), rules);
    }
}
