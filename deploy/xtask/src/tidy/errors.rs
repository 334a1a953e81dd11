//! The form of error messages: lower case, no full stop, then perhaps a second sentence of advice.
//!
//! ```text
//! the log is truncated at entry 12. Restore it from the copy, or ask the security team
//! └ lower case ─────────────────┘ ▲ └ upper case, and no full stop at the end ───────┘
//! ```

use super::without_tests;

/// Where a message begins: the opening of what takes it.
const TAKERS: &[&str] = &[
    "#[error(",
    "bail!(",
    "anyhow!(",
    "ensure!(",
    ".context(",
    ".with_context(",
    "with_context(|| format!(",
];

/// Says where messages of `text`, the content of the file `name`, have another form.
pub(super) fn findings(name: &str, text: &str) -> Vec<String> {
    let text = without_tests(name, text);
    let mut findings = Vec::new();
    for (at, taker) in TAKERS.iter().flat_map(|taker| text.match_indices(taker)) {
        let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        if text[line_start..at].contains("//") {
            continue;
        }
        let rest = &text[at + taker.len()..];
        let Some(message) = message(taker, rest) else { continue };
        if let Some(fault) = fault(&message) {
            let line = text[..at].matches('\n').count() + 1;
            findings.push(format!("{name}:{line}: {fault}: {message:?}"));
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The first literal that stands where the message is expected: at once, or after `ensure!`'s condition.
fn message(taker: &str, rest: &str) -> Option<String> {
    let arguments = &rest[..end_of_arguments(rest)?];
    let literal = if taker == "ensure!(" {
        last_top_level_literal(arguments)?
    } else {
        let start = arguments.trim_start().trim_start_matches("|| format!(").trim_start();
        literal(start)?
    };
    (!literal.is_empty()).then_some(literal)
}

/// Where the bracket that was opened before is closed.
fn end_of_arguments(rest: &str) -> Option<usize> {
    let (mut depth, mut chars) = (0_u32, rest.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => skip_string(&mut chars),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return Some(at),
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn skip_string(chars: &mut std::str::CharIndices<'_>) {
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// The literal that begins the first argument after the condition.
fn last_top_level_literal(arguments: &str) -> Option<String> {
    let (mut depth, mut chars) = (0_u32, arguments.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => skip_string(&mut chars),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return literal(arguments[at + 1..].trim_start()),
            _ => {}
        }
    }
    None
}

/// A string literal at the beginning, with what a line's end leaves out.
fn literal(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.chars().peekable();
    let mut found = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(found),
            '\\' => match chars.next()? {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                'n' => found.push('\n'),
                other => found.push(other),
            },
            other => found.push(other),
        }
    }
}

/// What is wrong with a message, if anything.
fn fault(message: &str) -> Option<&'static str> {
    if begins_like_a_sentence(message) {
        return Some("begins with a capital letter");
    }
    if message.ends_with('.') && !message.ends_with("..") {
        return Some("ends with a full stop");
    }
    None
}

/// A word like `Cannot`; not `RDP`, `X11`, `SUDARE_HOME`, `{path}`, a name in backticks, or a name like `FreeRDP`.
fn begins_like_a_sentence(message: &str) -> bool {
    let word: String = message.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut letters = word.chars();
    let is_capital = letters.next().is_some_and(char::is_uppercase);
    is_capital && letters.all(|c| c.is_lowercase()) && !NAMES.contains(&word.as_str())
}

/// Names that are written with a capital letter wherever they stand.
const NAMES: &[&str] = &[
    "Debian", "Ed25519", "Landlock", "Linux", "Merkle", "Postgres", "Python", "Sudare", "Unix", "Wayland",
    "Windows", "Xorg", "Xvfb",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        findings("host-ext/src/a.rs", text)
    }

    #[test]
    fn another_form_is_found_wherever_it_stands() {
        for line in [
            "#[error(\"The log is short\")]",
            "bail!(\"the log is short.\");",
            "ensure!(a.len() > 2, \"Too short: {a}\");",
            "x.context(\"Cannot read it\")?;",
            "x.with_context(|| format!(\"Cannot read {path}\"))?;",
            "return Err(anyhow!(\"it fails. Try again.\"));",
            "bail!(\n    \"Two lines \\\n     of words\"\n);",
        ] {
            assert_eq!(check(line).len(), 1, "{line}");
        }
        assert!(check("\nbail!(\"Not here\")")[0].starts_with("host-ext/src/a.rs:2: begins with a capital"));
    }

    #[test]
    fn the_form_itself_is_not() {
        for line in [
            "#[error(\"the log is short. Restore it from the copy, or ask the security team\")]",
            "bail!(\"RDP is off\");",
            "bail!(\"SUDARE_HOME is not set\");",
            "bail!(\"{path} is missing\");",
            "bail!(\"`Sudare` is missing\");",
            "bail!(\"FreeRDP refuses it\");",
            "bail!(\"Python is missing\");",
            "ensure!(says(\"It.\"), \"it says nothing\");",
            "ensure!(is_there);",
            "// bail!(\"An example.\")",
            "bail!(words);",
        ] {
            assert_eq!(check(line), [""; 0], "{line}");
        }
        assert!(findings("tests/kit/src/a.rs", "bail!(\"Anything.\")").is_empty());
    }
}
