//! Checks that PAM has running sessions covered before xrdp hands them over.

use std::path::Path;

use super::layout::UPGRADE;

const FILE: &str = "/etc/pam.d/xrdp-sesman";
const PROGRAM: &str = "sudare-sign-in";

pub(super) fn check() -> Result<String, String> {
    let text = std::fs::read_to_string(FILE).map_err(|e| format!("{FILE}: {e}. {UPGRADE}"))?;
    sign_ins(&text, |program| Path::new(program).is_file())
}

fn sign_ins(text: &str, exists: impl Fn(&str) -> bool) -> Result<String, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let lines: Vec<Vec<_>> = lines.map(|line| line.split_whitespace().collect()).collect();
    if lines.iter().any(|words| is_old(words)) {
        return Err(format!(
            "{FILE} still runs `sudare-host … sign-in`, which no longer exists, so nobody can sign in. {UPGRADE}"
        ));
    }
    let words = lines.iter().find(|words| decides(words)).map_or(&[][..], Vec::as_slice);
    let program = words.iter().find(|word| names(word, PROGRAM));
    match (words, program) {
        (["account", "required" | "requisite", module, ..], Some(program))
            if module.ends_with("pam_exec.so") && !words.iter().any(|word| word.starts_with("type=")) =>
        {
            if !exists(program) {
                return Err(format!(
                    "{FILE} runs {program}, which does not exist, so nobody can sign in. {UPGRADE}"
                ));
            }
            Ok("sessions are covered before xrdp hands them over".into())
        }
        _ => Err(format!(
            "the first account line of {FILE} is not Sudare's, so whoever takes over a running session may see it for a moment. {UPGRADE}"
        )),
    }
}

/// Whether the line may end the processing of account lines. So may an included file, except those of Debian, which
/// hold one kind of line only.
fn decides(words: &[&str]) -> bool {
    match words {
        ["account" | "-account", ..] => true,
        ["@include", included, ..] => {
            !matches!(*included, "common-auth" | "common-session" | "common-password")
        }
        _ => false,
    }
}

/// Whether the line is from before sign-in became a program of its own.
fn is_old(words: &[&str]) -> bool {
    matches!(words, ["account" | "-account", ..])
        && words.contains(&"sign-in")
        && words.iter().any(|word| names(word, "sudare-host"))
}

fn names(word: &str, program: &str) -> bool {
    word.strip_suffix(program).is_some_and(|folder| folder.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /c";
    const OLD: &str = "account required pam_exec.so quiet /usr/local/bin/sudare-host --config /c sign-in";
    const DEBIANS: &str =
        "#%PAM-1.0\nauth required pam_env.so readenv=1\n@include common-auth\n@include common-account\n";

    #[test]
    fn the_line_must_come_first_and_name_a_program() {
        assert!(sign_ins(&format!("{OURS}\n{DEBIANS}"), |_| true).is_ok());
        let last = format!("{DEBIANS}{OURS}\n");
        assert!(sign_ins(&last, |_| true).unwrap_err().contains("the first account line"));
        let elsewhere = format!("@include site\n{OURS}\n");
        let only_auth = OURS.replace("quiet", "type=auth");
        for other in [
            "",
            DEBIANS,
            &elsewhere,
            &only_auth,
            &OURS.replace("required", "optional"),
            &OURS.replace("sudare-sign-in", "sudare-host"),
        ] {
            assert!(sign_ins(other, |_| true).is_err(), "{other}");
        }
        assert!(sign_ins(&format!("{OURS}\t# ours"), |_| true).is_ok());
        assert!(sign_ins(OURS, |_| false).unwrap_err().contains("does not exist"));
    }

    #[test]
    fn the_line_of_an_older_version_is_found_wherever_it_stands() {
        for text in [OLD.to_owned(), format!("{OURS}\n{OLD}\n"), format!("{DEBIANS}-{OLD} # ours\n")] {
            let said = sign_ins(&text, |_| true).unwrap_err();
            assert!(said.contains("nobody can sign in") && said.contains("install.sh"), "{said}");
        }
        assert!(sign_ins(&format!("{OURS}\n#{OLD}\n"), |_| true).is_ok());
    }
}
