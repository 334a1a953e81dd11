//! FreeRDP's shadow server, and the display that it shows.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use sudare_test_kit::wait_until;

use super::certificate::Certificate;
use super::client::{PrivateScreen, SIZE};
use super::namespace::PROGRAMS;
use super::place::Place;
use super::process::{self, Running};
use super::users::User;

const PORT: u16 = 13_389;

/// Ends with this value.
#[derive(Debug)]
pub struct Shadow {
    _screen: PrivateScreen,
    _desk: Running,
    _server: Running,
    certificate: Certificate,
}

impl Shadow {
    /// Shows the user's desktop to whom the lines of `sam` name.
    pub fn start(
        place: Place,
        user: &User,
        out: &Path,
        sam: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let screen = PrivateScreen::start(SIZE)?;
        let mut desk = user.command(&Path::new(PROGRAMS).join("sudare-secret-desktop").display().to_string());
        desk.arg("--log").arg(user.home.join("received.jsonl")).env("DISPLAY", &screen.display);
        let desk = Running::start(&mut desk, &out.join("shadow-desk.log"))?;
        user.write("sam", sam, 0o600)?;
        let folder = user.home.join(".config/freerdp/shadow");
        let certificate = Certificate::make(&folder, "shadow")?;
        let owner = format!("{}:", user.name);
        process::output(Command::new("chown").args(["-R", &owner]).arg(user.home.join(".config")))?;
        let mut server = match place {
            Place::Here => user.command("/usr/bin/freerdp-shadow-cli"),
            Place::Debian13 => place.command_of(user, "freerdp-shadow-cli3"),
        };
        server.arg(format!("/port:{PORT}")).arg("/bind-address:127.0.0.1").arg("/sec:nla");
        server.arg(format!("/sam-file:{}", user.home.join("sam").display())).args(arguments);
        server.env("DISPLAY", &screen.display);
        let mut server = Running::start(&mut server, &out.join("shadow.log"))?;
        wait_until("the shadow server", || {
            anyhow::ensure!(!server.has_ended()?, "it ended; see shadow.log");
            Ok(TcpStream::connect(("127.0.0.1", PORT)).ok())
        })?;
        Ok(Self { _screen: screen, _desk: desk, _server: server, certificate })
    }

    /// As the gate's settings name it.
    pub fn target(&self) -> String {
        self.certificate.target(PORT)
    }
}

/// The hash of a password for `sam`, as FreeRDP's own tool makes it.
pub fn hash_of(password: &str) -> anyhow::Result<String> {
    let told = process::output(Command::new("winpr-hash").args(["-u", "x", "-p", password]))?;
    Ok(told.trim().to_owned())
}
