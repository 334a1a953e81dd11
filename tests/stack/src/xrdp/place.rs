//! Whose programs are started: this machine's, or those of Debian 13, whose files lie beside them in the same namespaces.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use super::namespace::{DEBIAN_13, PROGRAMS};
use super::process;
use super::users::{PASSWORD, User};

/// The client's installer, which is a script that needs nothing beside it.
const INSTALLER: &str = include_str!("../../../../deploy/linux/client/install.sh");

/// The files that a program sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// This machine's.
    #[default]
    Here,
    /// Those of Debian 13; processes, network, `/run`, `/tmp` and `/dev` are the same.
    Debian13,
}

impl Place {
    /// Starts a program of this place.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Here => Command::new(program),
            Self::Debian13 => {
                let mut command = Command::new("chroot");
                command.arg(DEBIAN_13).arg(program);
                command
            }
        }
    }

    /// The same as this user, with no other groups.
    pub fn command_of(self, user: &User, program: &str) -> Command {
        let mut command = self.command("setpriv");
        command.args(["--reuid", &user.uid.to_string(), "--regid", &user.gid.to_string()]);
        command.args(["--clear-groups", "--", program]).env("HOME", &user.home).env("USER", &user.name);
        command
    }

    /// Where a file of this place is found from here.
    pub fn path(self, path: &str) -> PathBuf {
        match self {
            Self::Here => path.into(),
            Self::Debian13 => Path::new(DEBIAN_13).join(path.trim_start_matches('/')),
        }
    }

    /// Lets a user of this machine log on there as well, with the same number, home folder and password.
    pub fn welcome(self, user: &User) -> anyhow::Result<()> {
        if self == Self::Here {
            return Ok(());
        }
        let (uid, home) = (user.uid.to_string(), user.home.display().to_string());
        let mut useradd = self.command("useradd");
        useradd.args(["--no-create-home", "--user-group", "--uid", &uid, "--shell", "/bin/sh"]);
        process::output(useradd.args(["--home-dir", &home, &user.name]))?;
        process::feed(self.command("chpasswd"), format!("{}:{PASSWORD}\n", user.name).as_bytes())
    }

    /// Installs the plugin for the clients of this place, as the guide says.
    pub fn install_plugin(self, built: &str) -> anyhow::Result<()> {
        let library = Path::new(PROGRAMS).join(built);
        ensure!(library.exists(), "{built} is not built. Type cargo build --workspace --lib");
        let mut sh = self.command("sh");
        // The report alone goes to standard output.
        sh.args(["-s", "--", "--library"]).arg(library).stdout(std::process::Stdio::null());
        process::feed(sh, INSTALLER.as_bytes())
    }
}
