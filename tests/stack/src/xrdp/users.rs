//! Throw-away users; they exist in the namespace's /etc only.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use rustix::fs::{Gid, Uid};

use super::{namespace, process};

/// Who logs on.
pub const USER: &str = "alice";
/// The password of a user that nobody else can reach: the network has a loopback only.
pub const PASSWORD: &str = "a desk in a namespace";
/// Who guards: the system user that the guide for VDI admins has an administrator make.
pub const GUARD: &str = "sudare";
/// Who records: another system user.
pub const RECORDER: &str = "sudare-recorder";
/// Who tells the gate whose desktop it is: another one.
pub const OWNER: &str = "sudare-owner";
/// Somebody else with a desktop, and the same password.
pub const OTHER: &str = "bob";

/// A user with a home folder.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
}

/// Makes the person who logs on, the guard's user, and lets xrdp read its own key.
pub fn make_all() -> anyhow::Result<User> {
    let user = make_person(USER)?;
    forget(GUARD)?;
    tool(
        "useradd",
        &["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--groups", "xrdp", GUARD],
    )?;
    forget(RECORDER)?;
    tool("useradd", &["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", RECORDER])?;
    // Debian's package leaves this to the administrator: without it there is no TLS.
    tool("usermod", &["--append", "--groups", "ssl-cert", "xrdp"])?;
    forget(OWNER)?;
    tool("useradd", &["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", OWNER])?;
    Ok(user)
}

/// Makes a person with a home folder and [`PASSWORD`].
pub fn make_person(name: &str) -> anyhow::Result<User> {
    let home = Path::new(namespace::HOMES).join(name);
    forget(name)?;
    tool(
        "useradd",
        &["--create-home", "--shell", "/bin/sh", "--home-dir", &home.display().to_string(), name],
    )?;
    let password = format!("{name}:{PASSWORD}\n");
    process::feed(Command::new("chpasswd"), password.as_bytes())?;
    User::find(name)
}

impl User {
    /// Reads a user from the namespace's /etc/passwd.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd")?;
        let fields: Vec<&str> = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.first() == Some(&name))
            .with_context(|| format!("there is no user {name}"))?;
        let field = |n: usize| fields.get(n).copied().context("/etc/passwd has a short line");
        Ok(User {
            name: name.to_owned(),
            uid: field(2)?.parse()?,
            gid: field(3)?.parse()?,
            home: field(5)?.into(),
        })
    }

    /// Writes a file into the home folder, owned by the user; scripts may be run.
    pub fn write(&self, name: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        let path = self.home.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        process::set_mode(&path, mode)?;
        rustix::fs::chown(&path, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        Ok(())
    }

    /// A command that runs as this user, with the groups that a log-on gives.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &self.name, "--regid", &self.gid.to_string(), "--init-groups", "--"])
            .arg(program)
            .env("HOME", &self.home);
        command
    }
}

/// A user of the machine with the same name is forgotten in here, and keeps his home folder.
fn forget(name: &str) -> anyhow::Result<()> {
    if User::find(name).is_ok() {
        tool("userdel", &["--force", name])?;
    }
    Ok(())
}

fn tool(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    process::output(Command::new(program).args(arguments)).map(drop)
}
