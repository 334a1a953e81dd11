//! Weston with its RDP backend: a Wayland compositor that is an RDP server itself, with one X11 program in it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use sudare_test_kit::wait_until;

use super::certificate::{Certificate, connected_to};
use super::client::SIZE;
use super::namespace::PROGRAMS;
use super::place::Place;
use super::process::{self, Running};
use super::users::User;

const PORT: u16 = 13_390;

/// Ends with this value.
#[derive(Debug)]
pub struct Weston {
    _server: Running,
    certificate: Certificate,
}

impl Weston {
    /// Shows the user's desktop to everybody: it asks for no password.
    pub fn start(user: &User, out: &Path) -> anyhow::Result<Self> {
        let certificate = Certificate::make(&user.home.join("weston"), "weston")?;
        let run = PathBuf::from(format!("/run/user/{}", user.uid));
        let (owner, home) = (user.uid.to_string(), user.home.join("weston"));
        process::output(Command::new("install").args(["-d", "-o", &owner, "-m", "700"]).arg(&run))?;
        process::output(Command::new("chown").args(["-R", &owner]).arg(home))?;
        // Weston gives its keyboard to a window that comes when there is one, which is with the first client.
        let desk = format!(
            "#!/bin/sh\nsleep 1; until grep -qi '{}' /proc/net/tcp; do sleep 0.2; done; sleep 1\n\
             exec {PROGRAMS}/sudare-secret-desktop --log {}/received.jsonl\n",
            connected_to(PORT),
            user.home.display()
        );
        user.write("desk", &desk, 0o755)?;
        let launched = format!("[autolaunch]\npath={}/desk\n", user.home.display());
        user.write("weston.ini", &launched, 0o644)?;
        let (width, height) = SIZE;
        let mut server = Place::Debian13.command_of(user, "weston");
        server.args(["--backend=rdp", "--renderer=pixman", "--shell=kiosk", "--xwayland", "--idle-time=0"]);
        server.args(["--address=127.0.0.1", &format!("--port={PORT}")]);
        server.args([format!("--width={width}"), format!("--height={height}")]);
        server.arg(format!("--config={}", user.home.join("weston.ini").display()));
        server.arg(format!("--rdp-tls-cert={}", certificate.certificate.display()));
        server.arg(format!("--rdp-tls-key={}", certificate.key.display()));
        server.env("XDG_RUNTIME_DIR", &run).env_remove("DISPLAY");
        let mut server = Running::start(&mut server, &out.join("weston.log"))?;
        wait_until("weston", || {
            anyhow::ensure!(!server.has_ended()?, "it ended; see weston.log");
            Ok(TcpStream::connect(("127.0.0.1", PORT)).ok())
        })?;
        Ok(Self { _server: server, certificate })
    }

    /// As the gate's settings name it.
    pub fn target(&self) -> String {
        self.certificate.target(PORT)
    }
}
