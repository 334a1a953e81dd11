//! This program once more, under another account: what that account meets, it meets itself, whatever keeps it out.

use std::path::Path;
use std::process::{Command, Stdio};

use sudare_base::accounts::GateAccount;

use super::layout::UPGRADE;

/// What it says on standard output; `namespace_of` is a process whose mounts it is to see.
pub(super) fn output(
    user: &str,
    account: &GateAccount,
    namespace_of: Option<i32>,
    arguments: &[&std::ffi::OsStr],
) -> Result<String, String> {
    let this = std::env::current_exe().map_err(|e| format!("the path of this program is unknown: {e}"))?;
    let mut command = command(user, account, namespace_of);
    command.arg(&this).args(arguments).stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|e| format!("it could not be tried as {user}: setpriv: {e}. Install util-linux"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match text.is_empty() {
        false => Ok(text),
        true => Err(failed(user, &this, &String::from_utf8_lossy(&output.stderr))),
    }
}

/// With all groups of the user, as a unit has them.
fn command(user: &str, account: &GateAccount, namespace_of: Option<i32>) -> Command {
    let mut command = match namespace_of {
        None => Command::new("setpriv"),
        Some(pid) => {
            let mut command = Command::new("nsenter");
            command.args(["--target", &pid.to_string(), "--mount", "--", "setpriv"]);
            command
        }
    };
    command.args(["--reuid", user, "--regid", &account.gid.to_string(), "--init-groups", "--"]);
    command
}

fn failed(user: &str, this: &Path, said: &str) -> String {
    let said = said.lines().last().unwrap_or("it said nothing");
    format!("it could not be tried as {user}, who must be able to run {}: {said}. {UPGRADE}", this.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_has_its_groups_and_where_wanted_the_mounts_of_a_service() {
        let account = GateAccount { uid: 998, gid: 997 };
        let words = |pid| {
            let command = command("sudare", &account, pid);
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(None), "setpriv --reuid sudare --regid 997 --init-groups --");
        assert!(words(Some(7)).starts_with("nsenter --target 7 --mount -- setpriv --reuid"));
        assert!(failed("sudare", Path::new("/opt/x"), "a\nPermission denied").contains("Permission denied"));
    }
}
