//! GNOME without a screen, and its remote desktop service. Xwayland is one window of it, with an X11 program in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use sudare_test_kit::wait_until;

use super::certificate::{Certificate, connected_to};
use super::client::SIZE;
use super::namespace::PROGRAMS;
use super::place::Place;
use super::process::{self, Running};
use super::users::User;

const PORT: u16 = 13_391;
/// Whom the service knows; it has one name and one password.
pub const CREDENTIAL: (&str, &str) = ("desk", "one password for a desk");
/// As the units of a user would start them. Arguments: size, port, certificate, key, name and password, our programs,
/// and how a client is known in the kernel's list of connections: the service makes the screen for it. The overview,
/// which GNOME begins with, would show the window smaller.
const SESSION: &str = r#"set -e
    pipewire & wireplumber &
    gnome-shell --headless &
    # Before it has answered it makes no screen for a client.
    leave_overview() {
        gdbus call --session -d org.gnome.Shell -o /org/gnome/Shell \
            -m org.freedesktop.DBus.Properties.Set org.gnome.Shell OverviewActive '<false>'
    }
    until leave_overview; do sleep 0.5; done
    grdctl --headless rdp set-port "$2"
    grdctl --headless rdp disable-port-negotiation
    grdctl --headless rdp set-tls-cert "$3"
    grdctl --headless rdp set-tls-key "$4"
    grdctl --headless rdp set-credentials "$5" "$6"
    grdctl --headless rdp disable-view-only
    grdctl --headless rdp enable
    desk() {
        sleep 2
        until grep -qi "$2" /proc/net/tcp /proc/net/tcp6; do sleep 0.2; done
        sleep 1
        leave_overview
        WAYLAND_DISPLAY=wayland-0 Xwayland :77 -geometry "$3" -fullscreen &
        until [ -S /tmp/.X11-unix/X77 ]; do sleep 0.2; done
        DISPLAY=:77 exec "$1" --log "$HOME/received.jsonl"
    }
    desk "$7" "$8" "$1" &
    exec /usr/libexec/gnome-remote-desktop-daemon --headless"#;

/// Ends with this value.
#[derive(Debug)]
pub struct Gnome {
    _bus: Running,
    _session: Running,
    certificate: Certificate,
}

impl Gnome {
    pub fn start(user: &User, out: &Path) -> anyhow::Result<Self> {
        let certificate = Certificate::make(&user.home.join("gnome"), "gnome")?;
        let run = PathBuf::from(format!("/run/user/{}", user.uid));
        let owner = user.uid.to_string();
        process::output(Command::new("install").args(["-d", "-o", &owner, "-m", "700"]).arg(&run))?;
        process::output(Command::new("chown").args(["-R", &owner]).arg(user.home.join("gnome")))?;
        std::fs::create_dir_all("/run/dbus")?;
        let mut bus = Place::Debian13.command("dbus-daemon");
        let bus = Running::start(bus.args(["--system", "--nofork"]), &out.join("bus.log"))?;
        wait_until("the system's bus", || Ok(Path::new("/run/dbus/system_bus_socket").exists()))?;

        let (width, height) = SIZE;
        let mut session = Place::Debian13.command_of(user, "dbus-run-session");
        session.args(["--", "bash", "-c", SESSION, "bash", &format!("{width}x{height}"), &PORT.to_string()]);
        session.arg(&certificate.certificate).arg(&certificate.key).args([CREDENTIAL.0, CREDENTIAL.1]);
        session.arg(Path::new(PROGRAMS).join("sudare-secret-desktop")).arg(connected_to(PORT));
        session.env("XDG_RUNTIME_DIR", &run).env("XDG_SESSION_TYPE", "wayland");
        session.env("XDG_CURRENT_DESKTOP", "GNOME").env_remove("DISPLAY");
        let log = out.join("gnome.log");
        let mut session = Running::start(&mut session, &log)?;
        wait_until("GNOME's remote desktop", || {
            anyhow::ensure!(!session.has_ended()?, "it ended; see gnome.log");
            Ok(std::fs::read_to_string(&log)?.contains("RDP server started"))
        })?;
        Ok(Self { _bus: bus, _session: session, certificate })
    }

    /// As the gate's settings name it.
    pub fn target(&self) -> String {
        self.certificate.target(PORT)
    }
}
