//! Texts for people. Whoever wrote a text must not decide how a terminal, a page or a log shows what is around it.

const EXCERPT_CHARS: usize = 200;

/// What stands in place of a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a character does something instead of being seen: controls (C0, C1, line breaks), marks that change the
/// direction of a text, and characters without width. The same as `sudare_protocol::text::is_hidden`, which this package
/// cannot use; a test of sudare-audit compares the two.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// One line in which every character is seen.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |character| match character {
        '\t' | '\n' | '\r' => ' ',
        hidden if is_hidden(hidden) => REPLACEMENT,
        seen => seen,
    };
    text.chars().map(shown).collect()
}

/// JSON with hidden characters spelt out, so that it says the same and a terminal does nothing. Outside its strings JSON
/// has none but white space.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) && character != '\n' {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(character);
        }
    }
    text
}

/// The beginning of another program's text, on one line.
pub fn excerpt(text: &str) -> String {
    let shown = |c| if is_hidden(c) { ' ' } else { c };
    text.chars().take(EXCERPT_CHARS).map(shown).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_what_it_says_and_does_nothing() {
        let evil = "a\u{1b}]0;x\u{7}\u{9b}2J\r\nok\u{202e}b\u{2066}\u{200f}\u{e0041}";
        let shown = printable(evil);
        assert!(!shown.chars().any(is_hidden) && shown.starts_with("a\u{fffd}]0;x"), "{shown:?}");
        assert_eq!(printable("東京本社 ❤ naïve — 100 %"), "東京本社 ❤ naïve — 100 %");
        assert_eq!(excerpt(" a\u{1b}b\n"), "a b");
    }

    #[test]
    fn json_says_the_same_as_before() {
        let json = "{\"a\":\"x\u{9b}\u{202e}\u{e0041}\"}\n";
        assert_eq!(printable_json(json), "{\"a\":\"x\\u009b\\u202e\\udb40\\udc41\"}\n");
    }
}
