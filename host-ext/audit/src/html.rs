//! Pieces of HTML for the pages of exports and reports.

use sudare_base::text::is_hidden;

/// The style that all pages share.
pub(crate) const STYLE: &str = include_str!("page.css");

/// Escapes a text so that it is shown literally, whatever is in it.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What is not seen could make a text read differently.
            character if is_hidden(character) && character != '\n' => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

/// A heading in both languages.
pub(crate) fn heading(ja: &str, en: &str) -> String {
    format!("<h2>{ja} <span lang=\"en\">{en}</span></h2>\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_same_characters_are_hidden_everywhere() {
        let differs = |c: &char| super::is_hidden(*c) != sudare_protocol::text::is_hidden(*c);
        assert_eq!(('\0'..=char::MAX).find(differs), None);
    }

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(
            super::escape("<a href='x\">&\u{202e}\0"),
            "&lt;a href=&#39;x&quot;&gt;&amp;\u{fffd}\u{fffd}"
        );
    }
}
