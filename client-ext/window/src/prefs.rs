//! How this person likes the window: language, theme and size, in `window.toml` of the device's folder.

use std::path::Path;

use egui::ThemePreference;
use sudare_client_runtime::operator;

use crate::words::Language;

const FILE: &str = "window.toml";
/// As egui's own keys zoom.
const ZOOM: std::ops::RangeInclusive<f32> = 0.5..=4.0;
const THEMES: [(&str, ThemePreference); 3] =
    [("system", ThemePreference::System), ("light", ThemePreference::Light), ("dark", ThemePreference::Dark)];

/// What was chosen; `None` where nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Prefs {
    pub(crate) language: Option<Language>,
    pub(crate) theme: Option<ThemePreference>,
    pub(crate) zoom: Option<f32>,
}

impl Prefs {
    /// A file that is missing or damaged says nothing.
    pub(crate) fn load(home: &Path) -> Self {
        std::fs::read_to_string(home.join(FILE)).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// What is in use now.
    pub(crate) fn of(egui: &egui::Context, language: Language) -> Self {
        let theme = egui.options(|options| options.theme_preference);
        Prefs { language: Some(language), theme: Some(theme), zoom: Some(egui.zoom_factor()) }
    }

    pub(crate) fn apply(self, egui: &egui::Context) {
        if let Some(theme) = self.theme {
            egui.set_theme(theme);
        }
        if let Some(zoom) = self.zoom {
            egui.set_zoom_factor(zoom);
        }
    }

    /// A window that cannot keep them works all the same.
    pub(crate) fn save(self, home: &Path) {
        if self != Self::load(home)
            && let Err(error) = operator::write_private(&home.join(FILE), self.text().as_bytes())
        {
            tracing::warn!("the window's size and language are not kept: {error}");
        }
    }

    fn parse(text: &str) -> Self {
        let table: toml::Table = text.parse().unwrap_or_default();
        let word = |name: &str| table.get(name).and_then(|value| value.as_str());
        let theme = THEMES.into_iter().find(|(name, _)| Some(*name) == word("theme"));
        #[allow(clippy::cast_possible_truncation, reason = "a small number; its range is checked")]
        let zoom = table.get("zoom").and_then(toml::Value::as_float).map(|zoom| zoom as f32);
        Prefs {
            language: word("language").and_then(Language::from_tag),
            theme: theme.map(|(_, theme)| theme),
            zoom: zoom.filter(|zoom| ZOOM.contains(zoom)),
        }
    }

    fn text(self) -> String {
        let mut table = toml::Table::new();
        if let Some(language) = self.language {
            table.insert("language".into(), language.tag().into());
        }
        if let Some((name, _)) = THEMES.into_iter().find(|(_, theme)| Some(*theme) == self.theme) {
            table.insert("theme".into(), name.into());
        }
        if let Some(zoom) = self.zoom {
            table.insert("zoom".into(), f64::from(zoom).into());
        }
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_there_again_and_nonsense_is_nothing() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Prefs::load(home.path()), Prefs::default());
        let (language, theme) = (Some(Language::Japanese), Some(ThemePreference::Dark));
        let prefs = Prefs { language, theme, zoom: Some(1.25) };
        prefs.save(home.path());
        assert_eq!(Prefs::load(home.path()), prefs);
        for text in ["", "zoom", "zoom = 99.0\ntheme = \"pink\"\nlanguage = 7", "zoom = nan"] {
            assert_eq!(Prefs::parse(text), Prefs::default(), "{text}");
        }
    }
}
