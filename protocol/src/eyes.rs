//! A policy's rules about the eyes: how sure the host must be that a living person is in front of the camera, and
//! not a picture of one; and how sure the client must be that this person is the operator.

use minicbor::{Decode, Encode};

/// The longest time in which one check may serve for several openings: a day.
pub const HOLDS_MAX_MINUTES: u32 = 24 * 60;
/// The longest absence after which the same check may still serve.
pub const AWAY_MAX_MINUTES: u32 = 24 * 60;

/// What must show that somebody alive is there before the desktop opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Liveness {
    /// Nothing.
    #[n(0)]
    Off,
    /// What the client's camera shows by itself, which can only deny.
    #[n(1)]
    #[default]
    Passive,
    /// A check by light; a client that cannot be checked is let in, and the log says so.
    #[n(2)]
    LightPreferred,
    /// A check by light; who cannot be checked stays covered.
    #[n(3)]
    LightRequired,
}

impl Liveness {
    /// Whether the host checks by itself.
    pub fn is_checked(self) -> bool {
        matches!(self, Liveness::LightPreferred | Liveness::LightRequired)
    }
}

/// What happens when a room is too bright for the light of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum NotMeasurable {
    /// The desktop opens, and the log says so.
    #[n(0)]
    #[default]
    GoOn,
    /// The cover asks to turn the head.
    #[n(1)]
    Turn,
    /// It stays covered until the light can be measured.
    #[n(2)]
    Cover,
}

/// Which check comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum FirstCheck {
    /// The cover changes its light.
    #[n(0)]
    #[default]
    Light,
    /// The cover asks to turn the head: for people whom changing light disturbs.
    #[n(1)]
    Turn,
}

/// How alike a face must be to open: the operating point of recognition. What each comes to in cosines is the
/// client's, because it depends on the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Recognition {
    #[n(0)]
    #[default]
    Normal,
    /// Fewer strangers open, and more operators have to find better light.
    #[n(1)]
    Strict,
    /// Operators open in worse light, and so do more strangers.
    #[n(2)]
    Lenient,
    /// No faces are compared at all: one person is at the seat, and no second one. No operating point, and not in `ALL`.
    #[n(3)]
    Presence,
}

impl Recognition {
    /// From the fewest strangers to the most.
    pub const ALL: [Recognition; 3] = [Recognition::Strict, Recognition::Normal, Recognition::Lenient];

    /// As policies and command lines name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Recognition::Normal => "normal",
            Recognition::Strict => "strict",
            Recognition::Lenient => "lenient",
            Recognition::Presence => "presence",
        }
    }
}

/// Part of a policy; a policy without it has the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EyesRules {
    #[n(0)]
    pub liveness: Liveness,
    #[n(1)]
    pub not_measurable: NotMeasurable,
    #[n(2)]
    pub first_check: FirstCheck,
    /// One check serves for openings this long, unless something doubtful was seen; 0 = for one opening.
    #[n(3)]
    pub holds_minutes: u32,
    /// After a longer absence the check is made again.
    #[n(4)]
    pub away_minutes: u32,
    /// Absent in policies of before it: normal. Not an `Option`, of which minicbor would make `None` where the number
    /// is unknown: a policy that asks for more than this reader knows must be refused.
    #[cbor(n(5), default)]
    pub recognition: Recognition,
}

impl Default for EyesRules {
    fn default() -> Self {
        EyesRules {
            liveness: Liveness::default(),
            not_measurable: NotMeasurable::default(),
            first_check: FirstCheck::default(),
            holds_minutes: 60,
            away_minutes: 5,
            recognition: Recognition::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EyesError {
    #[error(
        "liveness light-required with not_measurable go-on would let anybody in who sits in the sun. The security team must choose turn or cover"
    )]
    Contradiction,
    #[error(
        "a check of liveness cannot hold for {holds_minutes} minutes, or for an absence of {away_minutes}: at most {HOLDS_MAX_MINUTES}, and 1 to {AWAY_MAX_MINUTES}. The security team must correct it"
    )]
    Minutes { holds_minutes: u32, away_minutes: u32 },
}

impl EyesRules {
    /// Refuses rules that contradict themselves.
    pub fn check(&self) -> Result<(), EyesError> {
        if self.liveness == Liveness::LightRequired && self.not_measurable == NotMeasurable::GoOn {
            return Err(EyesError::Contradiction);
        }
        let EyesRules { holds_minutes, away_minutes, .. } = *self;
        if holds_minutes > HOLDS_MAX_MINUTES || !(1..=AWAY_MAX_MINUTES).contains(&away_minutes) {
            return Err(EyesError::Minutes { holds_minutes, away_minutes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_without_rules_asks_for_no_light() {
        let rules = EyesRules::default();
        assert_eq!(rules.check(), Ok(()));
        assert!(!rules.liveness.is_checked());
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        let required = EyesRules { liveness: Liveness::LightRequired, ..EyesRules::default() };
        assert_eq!(required.check(), Err(EyesError::Contradiction));
        assert_eq!(EyesRules { not_measurable: NotMeasurable::Turn, ..required }.check(), Ok(()));
        for (holds_minutes, away_minutes) in [(HOLDS_MAX_MINUTES + 1, 5), (0, 0), (0, AWAY_MAX_MINUTES + 1)] {
            let rules = EyesRules { holds_minutes, away_minutes, ..EyesRules::default() };
            assert!(matches!(rules.check(), Err(EyesError::Minutes { .. })));
        }
    }

    #[test]
    fn rules_survive_coding() {
        let rules = EyesRules {
            liveness: Liveness::LightRequired,
            not_measurable: NotMeasurable::Cover,
            first_check: FirstCheck::Turn,
            holds_minutes: 0,
            away_minutes: 1,
            recognition: Recognition::Strict,
        };
        for recognition in [Recognition::Presence].into_iter().chain(Recognition::ALL) {
            let rules = EyesRules { recognition, ..rules };
            let bytes = minicbor::to_vec(rules).unwrap();
            assert_eq!(minicbor::decode::<EyesRules>(&bytes).unwrap(), rules);
        }
    }

    #[test]
    fn rules_of_before_recognition_mean_normal_and_an_unknown_number_means_nothing() {
        let mut bytes = minicbor::to_vec(EyesRules::default()).unwrap();
        assert_eq!(bytes[bytes.len() - 2..], [5, 0], "the key of recognition, and normal");
        // The same map of five keys, as it was before.
        let mut old = bytes[..bytes.len() - 2].to_vec();
        old[0] -= 1;
        assert_eq!(minicbor::decode::<EyesRules>(&old).unwrap(), EyesRules::default());
        *bytes.last_mut().unwrap() = 4;
        assert!(minicbor::decode::<EyesRules>(&bytes).is_err());
    }
}
