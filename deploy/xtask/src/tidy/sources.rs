//! Rules for one Rust file.

/// One idea per file; past this a reader scrolls more than he reads.
const LINES_MAX: usize = 600;

/// What must not stay behind. Put together from halves so that this file passes itself.
const LEFTOVERS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ign", "ore"), concat!("to", "do!(")];

/// Says where `text`, the content of the file `name`, breaks a rule.
pub(super) fn findings(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!("{name}: {lines} lines, at most {LINES_MAX}. Split it by idea"));
    }
    // Foreign calls lie together, where each block says why it is right.
    let may_be_unsafe = name.ends_with("/sys.rs");
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
            findings.push(format!("{name}:{number}: {word}. Finish it or file an issue"));
        }
        if !may_be_unsafe && uses_unsafe(line) {
            findings
                .push(format!("{name}:{number}: unsafe outside sys.rs. Move it there, or use a safe call"));
        }
    }
    findings
}

/// Whether the line's code, not its comment or a string, opens something unsafe.
fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let mut outside_strings = code.split('"').step_by(2);
    outside_strings.any(|part| {
        let words = part.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.into_iter().any(|word| word == "unsafe")
            // A lint that is switched off opens a door; forbidding it again does not.
            || ["allow(unsafe_code", "expect(unsafe_code"].iter().any(|lint| part.contains(lint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_a_full_one_is_not() {
        assert!(findings("a.rs", &"\n".repeat(LINES_MAX)).is_empty());
        assert_eq!(findings("a.rs", &"\n".repeat(LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn unsafe_code_is_found_outside_sys_only() {
        for line in ["let x = unsafe { f() };", "unsafe impl Send for X {}", "#![allow(unsafe_code)]"] {
            assert_eq!(findings("host-ext/src/a.rs", line).len(), 1, "{line}");
            assert!(findings("host-ext/src/sys.rs", line).is_empty(), "{line}");
        }
        for line in ["// unsafe {", "/// no unsafe here", "let s = \"unsafe {\";", "#![forbid(unsafe_code)]"]
        {
            assert!(findings("a.rs", line).is_empty(), "{line}");
        }
    }

    #[test]
    fn leftovers_are_found_in_comments_too() {
        for word in LEFTOVERS {
            let found = findings("a.rs", &format!("fn f() {{}}\n// {word} later"));
            assert!(found.len() == 1 && found.iter().all(|f| f.starts_with("a.rs:2:")), "{found:?}");
        }
    }
}
