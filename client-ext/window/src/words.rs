//! The two languages of the window, and the words that are used in more than one place.

use sudare_protocol::reason::Reason;

/// The same in Japanese and English.
pub(crate) type Words = [&'static str; 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Japanese,
    English,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::Japanese, Self::English];

    /// By the first of the locale's variables that is set, as programs of C do.
    pub(crate) fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
        let set = names.into_iter().filter_map(variable).find(|value| !value.is_empty());
        match set {
            Some(locale) if locale.starts_with("ja") => Self::Japanese,
            _ => Self::English,
        }
    }

    /// As command lines and files name it.
    pub(crate) fn tag(self) -> &'static str {
        self.of(["ja", "en"])
    }

    pub(crate) fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    pub(crate) fn of(self, [japanese, english]: Words) -> &'static str {
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }

    /// In itself, for whoever reads only that.
    pub(crate) fn own_name(self) -> &'static str {
        self.of(["日本語", "English"])
    }
}

/// What happened, and what to do.
pub(crate) fn of_reason(reason: Reason) -> [Words; 2] {
    [[reason.japanese(), reason.english()], [reason.japanese_advice(), reason.english_advice()]]
}

/// A time of the log as this PC's clock shows it.
pub(crate) fn local_time(wall_ms: u64) -> String {
    let stamp = i64::try_from(wall_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let zone = jiff::tz::TimeZone::system();
    stamp.map_or_else(|| "?".to_owned(), |stamp| stamp.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locale(pairs: &'static [(&str, &str)]) -> Language {
        Language::of_locale(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_first_variable_of_the_locale_that_says_something_decides() {
        assert_eq!(locale(&[]), Language::English);
        assert_eq!(locale(&[("LANG", "ja_JP.UTF-8")]), Language::Japanese);
        assert_eq!(locale(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(locale(&[("LC_ALL", ""), ("LC_MESSAGES", "ja_JP")]), Language::Japanese);
    }

    #[test]
    fn every_reason_has_both_languages() {
        for reason in Reason::ALL {
            for words in of_reason(*reason) {
                assert!(!Language::Japanese.of(words).is_ascii() && Language::English.of(words).is_ascii());
            }
        }
    }
}
