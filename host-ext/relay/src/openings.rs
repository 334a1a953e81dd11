//! What an organisation may open beside the desktop itself: the names that `gate_channels` takes.

use crate::policy::{DISPLAY_CONTROL, Policy, Rule};

/// Something that can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Its name in the settings.
    pub name: &'static str,
    /// Its channel.
    pub channel: Channel,
    /// What happens on it while covered.
    pub rule: Rule,
    /// What it is, and what becomes of it under a cover.
    pub says: &'static str,
}

/// A channel by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A static one.
    Static(&'static str),
    /// A dynamic one.
    Dynamic(&'static str),
}

/// All of them; docs/reference/settings.md repeats this table, and a test compares both.
pub const OPENINGS: &[Opening] = &[
    Opening {
        name: "resize",
        channel: Channel::Dynamic(DISPLAY_CONTROL),
        rule: Rule::Hold,
        says: "The desktop follows the client's window. A new size waits for the uncover.",
    },
    Opening {
        name: "sound",
        channel: Channel::Static("rdpsnd"),
        rule: Rule::Silence,
        says: "The session's sound is heard at the PC. Under a cover it is silence.",
    },
    Opening {
        name: "clipboard",
        channel: Channel::Static("cliprdr"),
        rule: Rule::Hold,
        says: "Text, pictures and files between PC and session, both ways. Under a cover they wait.",
    },
    Opening {
        name: "devices",
        channel: Channel::Static("rdpdr"),
        rule: Rule::Hold,
        says: "The PC's drives, printers and smart cards, which share one channel. Under a cover they wait.",
    },
    Opening {
        name: "microphone",
        channel: Channel::Dynamic("AUDIO_INPUT"),
        rule: Rule::Pass,
        says: "The PC's microphone in the session. It shows nothing of the desktop, and goes on under a cover.",
    },
];

/// A name that opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing is called {name}. Write any of {}", known())]
pub struct UnknownOpening {
    /// As it was written.
    pub name: String,
}

fn known() -> String {
    OPENINGS.iter().map(|opening| opening.name).collect::<Vec<_>>().join(", ")
}

impl Policy {
    /// The desktop, and of all channels those that are named here.
    ///
    /// # Errors
    /// If one has no such name.
    pub fn opening<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownOpening> {
        let mut policy =
            Self { static_channels: Vec::new(), dynamic_channels: Vec::new(), ..Self::default() };
        for name in names {
            let known = OPENINGS.iter().find(|opening| opening.name == name);
            let Opening { channel, rule, .. } =
                known.ok_or_else(|| UnknownOpening { name: name.to_owned() })?;
            match channel {
                Channel::Static(channel) => policy.static_channels.push(((*channel).to_owned(), *rule)),
                Channel::Dynamic(channel) => policy.dynamic_channels.push(((*channel).to_owned(), *rule)),
            }
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_open_and_nothing_else() {
        let policy = Policy::opening(["clipboard", "microphone"]).unwrap();
        assert_eq!(policy.static_rule("cliprdr"), Rule::Hold);
        assert_eq!(policy.dynamic_rule("AUDIO_INPUT"), Rule::Pass);
        assert_eq!(policy.static_rule("rdpsnd"), Rule::Closed);
        assert_eq!(policy.dynamic_rule(DISPLAY_CONTROL), Rule::Closed);
        assert!(!policy.graphics && policy.plain_bitmaps);
    }

    #[test]
    fn another_name_is_refused_with_those_that_there_are() {
        let error = Policy::opening(["sound", "drives"]).unwrap_err().to_string();
        assert!(error.contains("drives") && error.contains("clipboard, devices"), "{error}");
    }

    /// No channel that draws, or hears what is typed, has a name.
    #[test]
    fn nothing_that_can_be_opened_draws_or_types() {
        let all = Policy::opening(OPENINGS.iter().map(|opening| opening.name)).unwrap();
        for name in ["rail", "Microsoft::Windows::RDS::Input", "Microsoft::Windows::RDS::Video::Data::v08.01"]
        {
            assert_eq!((all.static_rule(name), all.dynamic_rule(name)), (Rule::Closed, Rule::Closed));
        }
    }
}
