//! The output of the host's programs. Nothing else prints, so that `--json` stays machine-readable.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module is the program's output")]

/// Prints a line on standard output.
pub fn line(text: &str) {
    println!("{text}");
}

/// Prints the error and its causes on one line of standard error.
pub fn error(program: &str, error: &anyhow::Error) {
    eprintln!("{program}: {}", sentence(error));
}

/// The error and its causes. Most of our messages contain their cause already; it is not repeated.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_printed_once() {
        let denied = std::io::Error::other("Permission denied");
        let file = crate::files::FileError::new("key".as_ref(), "opened", denied);
        let text = sentence(&anyhow::Error::from(file));
        assert_eq!(text.matches("Permission denied").count(), 1, "{text}");
        let wrapped = Err::<(), _>(std::io::Error::other("full")).context("it cannot be written");
        assert_eq!(sentence(&wrapped.unwrap_err()), "it cannot be written: full");
    }
}
