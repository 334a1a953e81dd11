//! xrdp and its session manager, started as their units do, with the package's own settings.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sudare_test_kit::wait_until;

use super::place::Place;
use super::process::{self, Running};
use super::users::{self, User};

/// The folder of the socket that leads to the gate, and what xrdp is told of it: it skips the eight characters
/// `unix://.`.
const GATE_FOLDER: &str = "/run/sudare-xrdp";
pub const GATE_SOCKET: &str = "/run/sudare-xrdp/socket";
const GATE_PORT: &str = "unix://./run/sudare-xrdp/socket";

/// The stock ports; the namespace has a network of its own.
pub const RDP_PORT: u16 = 3389;
pub const PAST_GATE_PORT: u16 = 3390;
const SESMAN_PORT: u16 = 3350;
/// Where xrdp 0.10's listens instead.
const SESMAN_SOCKET: &str = "/run/xrdp/sockdir/sesman.socket";
const SETTINGS: &str = "/etc/xrdp/xrdp.ini";
const KEY: &str = "/etc/ssl/private/ssl-cert-snakeoil.key";

/// The X server of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Xorg with xorgxrdp: the package's first choice, so nothing is changed.
    Xorg,
    /// TigerVNC's Xvnc; xrdp connects to it when `autorun` says so.
    Xvnc,
}

/// Where xrdp listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// At its port, as the package has it.
    Port,
    /// At a socket that only the gate can reach.
    Gate,
    /// At the same socket, and at a port past the gate, to compare.
    Both,
}

/// The two daemons; they end with this value.
#[derive(Debug)]
pub struct Servers {
    _xrdp: Running,
    _sesman: Running,
}

impl Servers {
    pub fn start(place: Place, backend: Backend, door: Door, logs: &Path) -> anyhow::Result<Self> {
        if !place.path(KEY).exists() {
            process::output(place.command("make-ssl-cert").arg("generate-default-snakeoil"))?;
        }
        if backend == Backend::Xvnc {
            change(place, &[("autorun=", "autorun=Xvnc")])?;
        }
        if door != Door::Port {
            let past = if door == Door::Both { format!(" tcp://:{PAST_GATE_PORT}") } else { String::new() };
            let port = format!("port={GATE_PORT}{past}");
            change(place, &[("port=3389", &port), ("security_layer=negotiate", "security_layer=tls")])?;
            // The group of the folder becomes that of the socket.
            let group = User::find(users::GUARD)?.gid.to_string();
            let owner = ["-d", "-o", "xrdp", "-g", &group, "-m", "2750", GATE_FOLDER];
            process::output(place.command("install").args(owner))?;
        }
        let (sesman, xrdp) = match place {
            Place::Here => stock(logs)?,
            Place::Debian13 => newer(place, logs)?,
        };
        match door {
            Door::Port => wait_for_port("xrdp", RDP_PORT)?,
            Door::Gate | Door::Both => {
                wait_until("xrdp's socket", || Ok(Path::new(GATE_SOCKET).exists().then_some(())))?;
            }
        }
        Ok(Servers { _xrdp: xrdp, _sesman: sesman })
    }
}

/// Debian 12's: xrdp has an account of its own.
fn stock(logs: &Path) -> anyhow::Result<(Running, Running)> {
    process::output(Command::new("sh").arg("/usr/share/xrdp/socksetup"))?;
    // The package makes it with this owner; ours is an empty folder.
    let owner = ["-o", "xrdp", "-m", "640", "/dev/null", "/var/log/xrdp.log"];
    process::output(Command::new("install").args(owner))?;
    let sesman = Running::start(Command::new("xrdp-sesman").arg("-n"), &logs.join("sesman.log"))?;
    wait_for_port("xrdp-sesman", SESMAN_PORT)?;
    let mut xrdp = Command::new("setpriv");
    xrdp.args(["--reuid", "xrdp", "--regid", "xrdp", "--init-groups", "xrdp", "-n"]);
    Ok((sesman, Running::start(&mut xrdp, &logs.join("xrdp.log"))?))
}

/// Debian 13's: both are root's.
fn newer(place: Place, logs: &Path) -> anyhow::Result<(Running, Running)> {
    let sesman = Running::start(place.command("xrdp-sesman").arg("-n"), &logs.join("sesman.log"))?;
    wait_until("xrdp-sesman's socket", || Ok(Path::new(SESMAN_SOCKET).exists().then_some(())))?;
    Ok((sesman, Running::start(place.command("xrdp").arg("-n"), &logs.join("xrdp.log"))?))
}

/// Changes whole lines of xrdp's settings, each once.
fn change(place: Place, lines: &[(&str, &str)]) -> anyhow::Result<()> {
    let settings = place.path(SETTINGS);
    let mut text = std::fs::read_to_string(&settings).with_context(|| SETTINGS.to_owned())?;
    for (old, new) in lines {
        let changed = text.replacen(&format!("\n{old}\n"), &format!("\n{new}\n"), 1);
        ensure!(changed != text, "{SETTINGS} has no line {old}");
        text = changed;
    }
    Ok(std::fs::write(settings, text)?)
}

fn wait_for_port(name: &str, port: u16) -> anyhow::Result<()> {
    // Told to listen on 127.0.0.1, sesman takes ::1 where there is one.
    let addresses: [SocketAddr; 2] = [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    wait_until(&format!("{name} to listen on port {port}"), || {
        let limit = Duration::from_secs(1);
        Ok(addresses.iter().find_map(|address| TcpStream::connect_timeout(address, limit).ok()))
    })
    .map(drop)
}
