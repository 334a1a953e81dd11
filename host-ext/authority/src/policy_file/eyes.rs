//! `[eyes]`, of the policy and of its groups.

use serde::Deserialize;
use sudare_protocol::eyes::{EyesRules, FirstCheck, Liveness, NotMeasurable, Recognition};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EyesFile {
    liveness: LivenessRule,
    /// What suits `liveness` if it is not written.
    not_measurable: Option<NotMeasurableRule>,
    first_check: FirstCheckRule,
    holds_minutes: u32,
    away_minutes: u32,
    /// How alike a face must be to open; what that comes to is in docs/decisions/0029-operating-points.md.
    pub(super) recognition: RecognitionRule,
}

impl Default for EyesFile {
    fn default() -> Self {
        let EyesRules { holds_minutes, away_minutes, .. } = EyesRules::default();
        EyesFile {
            liveness: LivenessRule::Passive,
            not_measurable: None,
            first_check: FirstCheckRule::Light,
            holds_minutes,
            away_minutes,
            recognition: RecognitionRule::Normal,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LivenessRule {
    Off,
    Passive,
    LightPreferred,
    LightRequired,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NotMeasurableRule {
    GoOn,
    Turn,
    Cover,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FirstCheckRule {
    Light,
    Turn,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RecognitionRule {
    Strict,
    Normal,
    Lenient,
    /// No faces are compared.
    Presence,
}

impl EyesFile {
    pub(super) fn into_rules(self) -> EyesRules {
        let liveness = match self.liveness {
            LivenessRule::Off => Liveness::Off,
            LivenessRule::Passive => Liveness::Passive,
            LivenessRule::LightPreferred => Liveness::LightPreferred,
            LivenessRule::LightRequired => Liveness::LightRequired,
        };
        let not_measurable = match self.not_measurable {
            None if liveness == Liveness::LightRequired => NotMeasurable::Turn,
            None | Some(NotMeasurableRule::GoOn) => NotMeasurable::GoOn,
            Some(NotMeasurableRule::Turn) => NotMeasurable::Turn,
            Some(NotMeasurableRule::Cover) => NotMeasurable::Cover,
        };
        let first_check = match self.first_check {
            FirstCheckRule::Light => FirstCheck::Light,
            FirstCheckRule::Turn => FirstCheck::Turn,
        };
        let recognition = match self.recognition {
            RecognitionRule::Strict => Recognition::Strict,
            RecognitionRule::Normal => Recognition::Normal,
            RecognitionRule::Lenient => Recognition::Lenient,
            RecognitionRule::Presence => Recognition::Presence,
        };
        let EyesFile { holds_minutes, away_minutes, .. } = self;
        EyesRules { liveness, not_measurable, first_check, holds_minutes, away_minutes, recognition }
    }
}
