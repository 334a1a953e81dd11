//! Whether PAM has running sessions covered before xrdp hands them over.

use std::path::Path;

const FILE: &str = "/etc/pam.d/xrdp-sesman";
const MEND: &str = "Run deploy/linux/host/install.sh again, which writes it";

pub(super) fn check() -> Result<String, String> {
    let text = std::fs::read_to_string(FILE).map_err(|e| format!("{FILE}: {e}. {MEND}"))?;
    sign_ins(&text, |program| Path::new(program).is_file())
}

fn sign_ins(text: &str, is_there: impl Fn(&str) -> bool) -> Result<String, String> {
    // What another line includes may end the list before ours; Debian's own includes keep to their kind.
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let account = lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|words| {
        let first = words.first().copied().unwrap_or_default();
        let included = words.get(1).copied().unwrap_or_default();
        matches!(first, "account" | "-account")
            || (first == "@include"
                && !matches!(included, "common-auth" | "common-session" | "common-password"))
    });
    let words = account.unwrap_or_default();
    let program = words.iter().find(|word| word.ends_with("/sudare-host"));
    match (&words[..], program) {
        (["account", "required" | "requisite", module, .., "sign-in"], Some(program))
            if module.ends_with("pam_exec.so") && !words.iter().any(|word| word.starts_with("type=")) =>
        {
            if !is_there(program) {
                return Err(format!(
                    "{FILE} names {program}, which is not there, so nobody can sign in. {MEND}"
                ));
            }
            Ok("sessions are covered before xrdp hands them over".into())
        }
        _ => Err(format!(
            "the first account line of {FILE} is not that of Sudare: who takes a running session over may see it for a moment. {MEND}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "account required pam_exec.so quiet /usr/local/bin/sudare-host --config /c sign-in";

    #[test]
    fn the_line_must_come_first_and_name_a_program() {
        let debian =
            "#%PAM-1.0\nauth required pam_env.so readenv=1\n@include common-auth\n@include common-account\n";
        assert!(sign_ins(&format!("{OURS}\n{debian}"), |_| true).is_ok());
        assert!(
            sign_ins(&format!("{debian}{OURS}\n"), |_| true).unwrap_err().contains("the first account line")
        );
        let elsewhere = format!("@include site\n{OURS}\n");
        let only_auth = OURS.replace("quiet", "type=auth");
        for other in [
            "",
            debian,
            &elsewhere,
            &only_auth,
            &OURS.replace("required", "optional"),
            &OURS.replace("sign-in", "doctor"),
        ] {
            assert!(sign_ins(other, |_| true).is_err(), "{other}");
        }
        assert!(sign_ins(&format!("{OURS}\t# ours"), |_| true).is_ok());
        assert!(sign_ins(OURS, |_| false).unwrap_err().contains("not there"));
    }
}
