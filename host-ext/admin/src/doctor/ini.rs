//! The part of xrdp's settings format that doctor needs: sections of `key=value` lines, and comments after `#` or
//! `;`. If a key occurs twice, the first one counts, as in xrdp.

use std::io::Read as _;
use std::path::Path;

/// Stock files are about 10 kB.
const FILE_MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ini {
    pub(super) sections: Vec<Section>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    keys: Vec<(String, String)>,
}

impl Ini {
    pub(super) fn read(path: &Path) -> std::io::Result<Self> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                sections.push(Section { name: name.to_owned(), keys: Vec::new() });
            } else if !line.starts_with(['#', ';'])
                && let Some((key, value)) = line.split_once('=')
                && let Some(section) = sections.last_mut()
            {
                section.keys.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Ini { sections }
    }

    pub(super) fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.sections.iter().find(|s| s.name.eq_ignore_ascii_case(section))?.get(key)
    }

    /// Each value, where a key is meant to occur several times.
    pub(super) fn all(&self, section: &str, key: &str) -> Vec<&str> {
        let sections = self.sections.iter().filter(|s| s.name.eq_ignore_ascii_case(section));
        let keys = sections.flat_map(|section| &section.keys);
        keys.filter(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str()).collect()
    }
}

impl Section {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let key = key.to_ascii_lowercase();
        self.keys.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }
}

/// The values that xrdp reads as true.
pub(super) fn is_yes(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_keys_and_comments_are_parsed() {
        let ini =
            Ini::parse("x=0\n[Globals]\n; fork=false\nfork = true\nfork=false\n#[vnc-any]\n[Xorg]\nIP=ask\n");
        assert_eq!(ini.sections.len(), 2);
        assert_eq!(ini.get("globals", "Fork"), Some("true"));
        assert_eq!(ini.get("Xorg", "ip"), Some("ask"));
        assert_eq!(ini.get("Xorg", "fork"), None);
        assert_eq!(ini.all("GLOBALS", "fork"), ["true", "false"]);
        assert!(is_yes("True") && is_yes("1") && !is_yes("false"));
    }
}
