//! Whether those for whom devices are enrolled can begin a session of xrdp on this host, beside their password.

use std::path::Path;
use std::process::{Command, Stdio};

use sudare_base::clock;
use sudare_base::config::HostConfig;

use super::ini::{Ini, is_yes};
use super::{desktop, users};

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// By `getent` and `id`, so that a directory's users count.
pub(super) fn check(config: &HostConfig, sesman: &Ini) -> Result<String, String> {
    let today = clock::wall_ms() / DAY_MS;
    let names = users::names(config);
    for name in &names {
        // One that nobody knows is a finding already.
        let Some(entry) = asked("getent", &["passwd", "--", name]) else { continue };
        let groups = asked("id", &["-nG", "--", name]).unwrap_or_default();
        let group = required(sesman, |group| asked("getent", &["group", "--", group]).is_some());
        let shadow = asked("getent", &["shadow", "--", name]).unwrap_or_default();
        member(name, &groups, group)?;
        expired(name, &shadow, today)?;
        let home = begins(name, &entry)?;
        desktop::space(Path::new(home))?;
    }
    Ok(format!("{} of them can begin a session", names.len()))
}

fn asked(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The group of those who may log on, which counts where it exists, or always if the settings say so.
fn required(sesman: &Ini, exists: impl Fn(&str) -> bool) -> Option<&str> {
    let group = sesman.get("Security", "TerminalServerUsers").filter(|group| !group.is_empty())?;
    let always = sesman.get("Security", "AlwaysGroupCheck").is_some_and(is_yes);
    (always || exists(group)).then_some(group)
}

fn member(name: &str, groups: &str, group: Option<&str>) -> Result<(), String> {
    match group {
        Some(group) if !groups.split_whitespace().any(|one| one == group) => Err(format!(
            "{name} is not in the group {group}, without which sesman lets nobody log on (TerminalServerUsers). Run `gpasswd -a {name} {group}`"
        )),
        _ => Ok(()),
    }
}

/// The eighth field counts days since 1970 (shadow(5)).
fn expired(name: &str, shadow: &str, today: u64) -> Result<(), String> {
    let day = shadow.split(':').nth(7).and_then(|day| day.parse::<u64>().ok());
    match day {
        Some(day) if day <= today => Err(format!(
            "the account of {name} has expired, so PAM refuses it. Run `chage -E -1 {name}` if it is to go on"
        )),
        _ => Ok(()),
    }
}

/// The home, if there is one, and a shell to start the session.
fn begins<'e>(name: &str, entry: &'e str) -> Result<&'e str, String> {
    let mut fields = entry.split(':').skip(5);
    let (home, shell) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let refuses = ["nologin", "false"].iter().any(|end| shell.rsplit('/').next() == Some(end));
    if refuses || !shell.is_empty() && !Path::new(shell).exists() {
        return Err(format!(
            "the shell of {name} is {shell}, with which a desktop ends as it begins. Run `usermod -s /bin/bash {name}`"
        ));
    }
    // One that root may not see (NFS) is there for its owner.
    match std::fs::metadata(home) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(format!(
            "the home of {name}, {home}, does not exist, so no desktop begins there. Make or mount it (`mkhomedir_helper {name}`)"
        )),
        _ => Ok(home),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_whom_sesman_or_pam_refuses_is_named() {
        let grouped = Ini::parse("[Security]\nTerminalServerUsers=tsusers\n");
        assert_eq!(required(&grouped, |_| false), None);
        assert_eq!(required(&grouped, |_| true), Some("tsusers"));
        let always = Ini::parse("[Security]\nTerminalServerUsers=tsusers\nAlwaysGroupCheck=true\n");
        assert_eq!(required(&always, |_| false), Some("tsusers"));
        assert!(member("alice", "alice tsusers", Some("tsusers")).is_ok() && member("a", "", None).is_ok());
        assert!(member("alice", "alice", Some("tsusers")).unwrap_err().contains("gpasswd -a alice tsusers"));
        assert!(expired("alice", "alice:!:20000:0:99999:7:::", 20_001).is_ok());
        assert!(expired("alice", "", 20_001).is_ok());
        assert!(expired("alice", "alice:x:1:0:9:7::20000:", 20_001).unwrap_err().contains("chage"));
    }

    #[test]
    fn somebody_without_a_shell_or_a_home_is_named() {
        let said = |home: &str, shell: &str| {
            begins("alice", &format!("alice:x:1000:1000:Alice:{home}:{shell}")).map(str::to_owned)
        };
        assert_eq!(said("/tmp", "/bin/sh").as_deref(), Ok("/tmp"));
        assert_eq!(said("/tmp", "").as_deref(), Ok("/tmp"));
        assert!(said("/tmp", "/usr/sbin/nologin").unwrap_err().contains("usermod"));
        assert!(said("/tmp", "/nonexistent/zsh").unwrap_err().contains("/nonexistent/zsh"));
        assert!(said("/nonexistent/alice", "/bin/sh").unwrap_err().contains("mkhomedir_helper"));
    }
}
