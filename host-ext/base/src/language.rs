//! The language of texts for people.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Ja,
    En,
}

impl Language {
    /// The one from the command line, or otherwise from LC_ALL, LC_MESSAGES or LANG.
    pub fn choose(given: Option<Language>) -> Language {
        let from_environment = || {
            let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
            let first = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
            if first.starts_with("ja") { Language::Ja } else { Language::En }
        };
        given.unwrap_or_else(from_environment)
    }
}
