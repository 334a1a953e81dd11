//! Whether the host behind the gate is reached by the gate alone: by its sockets, by its folder, and by trying.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sudare_base::accounts::{self, GateAccount};
use sudare_base::tcp::{self, Entry};

use super::layout::UPGRADE;
use super::sockets;

/// The system's `nobody`, who stands for everybody who is not the gate.
const NOBODY: u32 = 65_534;
/// What [`knock`] ends with.
const GOT_IN: i32 = 0;
const KEPT_OUT: i32 = 3;

/// No port leads to xrdp past the gate. Only root sees who holds which socket.
pub(super) fn ports() -> Result<String, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root sees which program listens at which port. Run doctor as root".into());
    }
    let table = tcp::table().map_err(|e| format!("/proc/net/tcp: {e}. Run doctor outside of a sandbox"))?;
    past_the_gate(&table, sockets::holders)
}

fn past_the_gate(table: &[Entry], holders: impl Fn(u64) -> Vec<String>) -> Result<String, String> {
    let ours = |entry: &&Entry| entry.listens && holders(entry.inode).iter().any(|name| name == "xrdp");
    match table.iter().find(ours) {
        Some(entry) => Err(format!(
            "xrdp listens at {} as well, so whoever reaches that port sees desktops that nobody guards. {UPGRADE}, then `systemctl restart xrdp`",
            entry.local
        )),
        None => Ok("xrdp listens at none".into()),
    }
}

/// The folder of xrdp's socket keeps everybody out but the gates' group.
pub(super) fn folder(socket: &Path, account: &GateAccount) -> Result<String, String> {
    let dir = socket.parent().unwrap_or(Path::new("/"));
    let remake = "Run `sudare-host doctor --fix`; if that is not enough, `systemctl restart xrdp`, which ends its sessions";
    let meta = std::fs::metadata(dir).map_err(|e| format!("{}: {e}. {remake}", dir.display()))?;
    if meta.mode() & 0o027 != 0 {
        return Err(format!(
            "{} has mode {:o}, so others than the gate could reach xrdp. {remake}",
            dir.display(),
            meta.mode() & 0o7777
        ));
    }
    if meta.gid() != account.gid {
        return Err(format!(
            "{} does not belong to the gates' group, so no gate reaches xrdp. {remake}",
            dir.display()
        ));
    }
    if meta.uid() >= accounts::PEOPLE_FROM_UID {
        let owner = accounts::name_of(meta.uid()).unwrap_or_else(|| meta.uid().to_string());
        return Err(format!(
            "{} belongs to {owner}, who could listen in xrdp's place. {remake}",
            dir.display()
        ));
    }
    for above in dir.ancestors().skip(1) {
        let meta = std::fs::metadata(above).map_err(|e| format!("{}: {e}", above.display()))?;
        if meta.uid() != 0 || meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 {
            return Err(format!(
                "{} can be changed by others than root, who could put another folder in the place of {}. Run `chown root` and `chmod 755` on it",
                above.display(),
                dir.display()
            ));
        }
    }
    Ok(format!("{} is the gate's and xrdp's alone", dir.display()))
}

/// Who else is in the gates' group, by `getent group`.
pub(super) fn members(user: &str) -> Result<String, String> {
    let output = Command::new("getent").args(["group", user]).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("getent: {e}. Install libc-bin"))?;
    others_in(&String::from_utf8_lossy(&output.stdout), user)
}

fn others_in(line: &str, user: &str) -> Result<String, String> {
    let members = line.trim().rsplit(':').next().unwrap_or_default();
    match members.split(',').find(|name| !name.is_empty() && *name != user) {
        Some(name) => Err(format!(
            "{name} is in the group {user}, and could reach xrdp past the gate. Run `gpasswd -d {name} {user}`"
        )),
        None => Ok(format!("nobody but the gates' account is in the group {user}")),
    }
}

/// Tries to connect as somebody else; `this` is a program that does [`knock`] when it is told `knock PATH`.
pub(super) fn others(this: &Path, socket: &Path) -> Result<String, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can try it as another user. Run doctor as root".into());
    }
    let mut command = Command::new(this);
    // Without groups, since root sets none for a user that it becomes like this.
    command.arg("knock").arg(socket).uid(NOBODY).gid(NOBODY).current_dir("/").stdin(Stdio::null());
    let output = command.output();
    let output = output.map_err(|e| format!("it could not be tried: {}: {e}. {UPGRADE}", this.display()))?;
    tried(output.status.code(), &String::from_utf8_lossy(&output.stdout), socket)
}

fn tried(code: Option<i32>, said: &str, socket: &Path) -> Result<String, String> {
    match code {
        Some(KEPT_OUT) => Ok("another user of this host was refused".into()),
        Some(GOT_IN) => Err(format!(
            "another user of this host got in at {}, and would see desktops that nobody guards. Run `sudare-host doctor --fix`; if that is not enough, `systemctl restart xrdp`, which ends its sessions",
            socket.display()
        )),
        _ => Err(format!(
            "it could not be tried as another user: {}. See what is wrong with {}",
            said.trim(),
            socket.display()
        )),
    }
}

/// What the other user does: connects, and says by the exit code how it went.
pub(crate) fn knock(socket: &Path) -> std::process::ExitCode {
    let code = match std::os::unix::net::UnixStream::connect(socket) {
        Ok(_) => GOT_IN,
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => KEPT_OUT,
        Err(e) => {
            sudare_base::output::line(&e.to_string());
            1
        }
    };
    u8::try_from(code).unwrap_or(1).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn a_port_of_xrdp_is_found_and_those_of_others_are_not_its() {
        let entry = |port: u16, listens, inode| Entry {
            local: ([0, 0, 0, 0], port).into(),
            remote: ([0, 0, 0, 0], 0).into(),
            listens,
            uid: 0,
            inode,
        };
        let table = [entry(3389, true, 1), entry(3350, true, 2), entry(3389, false, 3), entry(3390, true, 4)];
        let holders = |xrdps: u64| {
            move |inode| match inode {
                _ if inode == xrdps => vec!["xrdp".to_owned()],
                1 => vec!["systemd".to_owned()],
                _ => vec!["xrdp-sesman".to_owned()],
            }
        };
        // A connection that xrdp has is no port.
        assert!(past_the_gate(&table, holders(3)).is_ok());
        let said = past_the_gate(&table, holders(4)).unwrap_err();
        assert!(said.contains("0.0.0.0:3390") && said.contains("apt install --reinstall"), "{said}");
    }

    #[test]
    fn a_folder_that_others_enter_or_own_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let folder_of = dir.path().join("sudare-xrdp");
        let socket = folder_of.join("socket");
        let me = rustix::process::getegid().as_raw();
        let account = GateAccount { uid: 4_000_000, gid: me };
        assert!(folder(&socket, &account).unwrap_err().contains("systemctl restart xrdp"));
        std::fs::create_dir(&folder_of).unwrap();
        let set = |mode| std::fs::set_permissions(&folder_of, PermissionsExt::from_mode(mode)).unwrap();
        for mode in [0o755, 0o751, 0o770] {
            set(mode);
            assert!(folder(&socket, &account).unwrap_err().contains(&format!("mode {mode:o}")));
        }
        set(0o2750);
        let other = GateAccount { gid: me + 1, ..account };
        assert!(folder(&socket, &other).unwrap_err().contains("no gate reaches"));
        if rustix::process::geteuid().is_root() {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
            assert!(folder(&socket, &account).is_ok(), "{:?}", folder(&socket, &account));
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
            assert!(folder(&socket, &account).unwrap_err().contains("chmod 755"));
            chown(&folder_of, Some(4_000_000), None).unwrap();
            assert!(folder(&socket, &account).unwrap_err().contains("in xrdp's place"));
        }
    }

    #[test]
    fn somebody_else_in_the_gates_group_is_named() {
        assert!(others_in("sudare:x:998:\n", "sudare").is_ok());
        assert!(others_in("sudare:x:998:sudare\n", "sudare").is_ok());
        assert!(
            others_in("sudare:x:998:sudare,mallory\n", "sudare").unwrap_err().contains("gpasswd -d mallory")
        );
    }

    #[test]
    fn only_a_refusal_by_the_kernel_is_well() {
        let socket = Path::new("/run/sudare-xrdp/socket");
        assert!(tried(Some(KEPT_OUT), "", socket).is_ok());
        assert!(tried(Some(GOT_IN), "", socket).unwrap_err().contains("nobody guards"));
        for code in [Some(1), Some(101), None] {
            assert!(
                tried(code, "No such file or directory", socket).unwrap_err().contains("could not be tried")
            );
        }
    }
}
