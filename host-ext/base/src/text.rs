//! Texts for people.

const EXCERPT_CHARS: usize = 200;

/// The beginning of another program's text, on one line and without control characters.
pub fn excerpt(text: &str) -> String {
    text.chars()
        .take(EXCERPT_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}
