//! The way of a log-on through the gate, step by step, as a client and as the gate itself would go it.
//!
//! ```text
//!  client ─► port (systemd) ─► gate: certificate, key ─► host: its socket, TLS, pin
//!                                └─► sudare-owner: whose desktop is it?
//! ```
//! [`host`] is gone under the gates' account, by `as_gate`; all else as root, who sees who holds which socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with, sockopt,
};
use sudare_base::accounts::GateAccount;
use sudare_base::clock;
use sudare_base::config::{GateOwner, HostConfig};
use sudare_base::program::beside;
use sudare_base::tcp;
use sudare_gate::target::{Place, Target};
use sudare_gate::targets::Targets;
use sudare_owner::wire::{self, Answer};

use super::certificate::{self, pin};
use super::layout::UPGRADE;
use super::probe::{self, Met, ProbeError};
use super::{Finding, access, advise, alone, sockets};

const UNIT: &str = "sudare-gate.socket";
/// Where the unit takes the key from, unless an administrator said otherwise.
const KEY: &str = "/etc/sudare/gate.key";
const CREDENTIAL: &str = "LoadCredential=tls_key:";
/// What tells whose desktop it is where nobody is asked.
const BY_NAME: &str = "the name at log-on decides, which is the client's word (gate_owner = policy)";
const BY_PROOF: &str = "the name that a client has proved by NLA decides (gate_owner = credentials)";
const JOURNAL: &str = "See `journalctl -u 'sudare-gate@*'`";

/// Whether this host has, or is to have, a gate.
pub(super) fn is_installed() -> bool {
    ["/etc", "/usr/lib"].iter().any(|at| Path::new(at).join("systemd/system").join(UNIT).exists())
}

/// All steps, as far as the ones before them lead.
pub(super) fn checks(config: &HostConfig, account: Option<&GateAccount>) -> Vec<Finding> {
    let key = key();
    let config = &HostConfig { tls_key: key.clone(), ..config.clone() };
    let now = std::time::Duration::from_millis(clock::wall_ms());
    let mut findings = vec![
        (
            "gate's settings",
            sudare_gate::assemble::check(config)
                .map(|()| "a gate would begin".into())
                .map_err(|e| e.to_string()),
        ),
        ("certificate for clients", certificate::check(&config.tls_certificate, &key, account, now)),
    ];
    for (part, name) in [("program of the gate", "sudare-gate"), ("program of screenshots", "sudare-picture")]
    {
        findings.push((part, access::program(&beside(name), UPGRADE, account)));
    }
    findings.push(("sandbox of screenshots", picture(account)));
    let ports = unit();
    match &ports {
        Ok(addresses) => findings.extend(
            addresses.iter().map(|address| ("gate's port", port(*address, &config.tls_certificate, &key))),
        ),
        Err(why) => findings.push(("gate's port", Err(why.clone()))),
    }
    findings.extend(nla(config, account));
    // Settings that cannot be used are a finding already.
    let targets = Targets::read(&config.gate_target, &config.gate_targets);
    for target in targets.iter().flat_map(Targets::all) {
        if let (Place::Unix(socket), Some(account)) = (&target.place, account) {
            findings.push(("way to the host", alone::folder(socket, account)));
            findings.push(("group of the gates", alone::members(&config.run_as)));
            let this = std::env::current_exe().unwrap_or_default();
            findings.push(("nobody else gets in", alone::others(&this, socket)));
        }
    }
    findings
}

/// What clients prove their passwords with, where the settings want that.
fn nla(config: &HostConfig, account: Option<&GateAccount>) -> Vec<Finding> {
    let Some(users) = &config.gate_nla_users else { return Vec::new() };
    let mut findings = vec![
        ("program of NLA", access::program(&beside("sudare-nla"), UPGRADE, account)),
        (
            "users of NLA",
            access::secret(users, "Add a user with `sudare-nla add`, or correct `gate_nla_users`", account),
        ),
    ];
    findings.push(("who may log on by NLA", listed(users)));
    if let Some(credential) = &config.gate_host_credential {
        let fix = "Make it, or correct `gate_host_credential`";
        findings.push(("credential of the host", access::secret(credential, fix, account)));
    }
    findings
}

/// An empty file keeps everybody out.
fn listed(users: &Path) -> Result<String, String> {
    // Whoever cannot be read is a finding already.
    let text = std::fs::read_to_string(users).unwrap_or_default();
    match text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count() {
        0 => Err(format!("{} names nobody, so nobody can log on. Run `sudare-nla add`", users.display())),
        count => Ok(format!("{count} users")),
    }
}

/// The file that systemd hands to each gate.
fn key() -> PathBuf {
    let text = output(&["cat", "sudare-gate@.service"]).unwrap_or_default();
    credential(&text).unwrap_or_else(|| KEY.into())
}

/// The last line counts, and an empty one takes back those before it.
fn credential(unit: &str) -> Option<PathBuf> {
    let mut found = None;
    for line in unit.lines().map(str::trim).filter(|line| line.starts_with("LoadCredential=")) {
        found = line.strip_prefix(CREDENTIAL).map(PathBuf::from);
    }
    found
}

fn output(arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new("systemctl");
    let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What accepts connections, and where.
fn unit() -> Result<Vec<SocketAddr>, String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(
            "systemd does not run here, so no unit accepts connections. Run doctor on the host itself".into(),
        );
    }
    let text = output(&["show", UNIT, "--property=ActiveState,UnitFileState,Listen"]);
    accepts(&text.map_err(|e| format!("systemctl: {e}. Run doctor as root"))?)
}

fn accepts(shown: &str) -> Result<Vec<SocketAddr>, String> {
    let of = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let start = format!(
        "Run `systemctl enable --now {UNIT}`; if it fails, see `journalctl -u {UNIT}` and what else uses the port"
    );
    match of("ActiveState") {
        Some("active") => {}
        state => {
            return Err(format!(
                "{UNIT} is {}, so no client reaches this host. {start}",
                state.unwrap_or("unknown")
            ));
        }
    }
    if of("UnitFileState") != Some("enabled") {
        return Err(format!(
            "{UNIT} is not enabled, so nobody can log on after the next start of this machine. {start}"
        ));
    }
    let lines = shown.lines().filter_map(|line| line.strip_prefix("Listen="));
    let ports: Vec<SocketAddr> =
        lines.filter_map(|line| line.strip_suffix(" (Stream)")?.parse().ok()).collect();
    if ports.is_empty() {
        return Err(format!(
            "{UNIT} listens at no port. Run `systemctl cat {UNIT}`, and correct its ListenStream="
        ));
    }
    Ok(ports)
}

/// Knocks as a client of another machine would, as far as one machine can: at its own address.
fn port(listens: SocketAddr, certificate: &Path, key: &Path) -> Result<String, String> {
    let address = own(listens);
    let met = probe::tcp(&address.to_string()).map_err(|error| unanswered(address, &error))?;
    let server = met.stream.peer_addr().ok().zip(met.stream.local_addr().ok());
    let server = server.map(|(local, remote)| who(local, remote)).unwrap_or_default();
    let ours = sudare_gate::identity::Identity::load(certificate, key).ok().map(|ours| ours.cert_sha256);
    answered(address, &met.cert_sha256, ours.as_ref(), &server, rustix::process::geteuid().is_root())
}

/// An address of this machine for one that stands for all.
fn own(listens: SocketAddr) -> SocketAddr {
    if !listens.ip().is_unspecified() {
        return listens;
    }
    // Sends nothing: connecting such a socket only chooses the address from which it would send.
    let chosen = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let ip = chosen.map_or(IpAddr::from([127, 0, 0, 1]), |chosen| chosen.ip());
    SocketAddr::new(ip, listens.port())
}

/// The programs at the other end of our connection.
fn who(local: SocketAddr, remote: SocketAddr) -> Vec<String> {
    let ends = (tcp::canonical(local), tcp::canonical(remote));
    let table = tcp::table().unwrap_or_default();
    let server = table.iter().find(|entry| (entry.local, entry.remote) == ends);
    server.map(|entry| sockets::holders(entry.inode)).unwrap_or_default()
}

fn unanswered(address: SocketAddr, error: &ProbeError) -> String {
    let todo = match error {
        ProbeError::Unreachable(_) => {
            "See `journalctl -u sudare-gate.socket`, and this machine's firewall".to_owned()
        }
        _ => format!("The gate cannot start, or its host is wrong: {JOURNAL}"),
    };
    advise(format!("{address}: {error}"), &todo)
}

fn answered(
    address: SocketAddr,
    seen: &[u8; 32],
    ours: Option<&[u8; 32]>,
    programs: &[String],
    sees_programs: bool,
) -> Result<String, String> {
    if sees_programs && !programs.iter().any(|name| name == "sudare-gate") {
        let name = programs.first().map_or("another program", String::as_str);
        return Err(format!(
            "{address} is answered by {name} and not by the gate, so nobody guards what clients see there. Stop {name}, then `systemctl restart {UNIT}`"
        ));
    }
    match ours {
        Some(ours) if ours == seen => Ok(format!("the gate answers at {address}, with that certificate")),
        Some(_) => Err(format!(
            "{address} shows another certificate (pin {}), so clients that have ours refuse it. See what else answers there",
            pin(seen)
        )),
        None => Err(format!(
            "the gate answers at {address}, but the certificate cannot be compared. Mend the problem above"
        )),
    }
}

/// The host behind the gate: met as the gate meets it, and asked about as the gate asks.
pub(super) fn host(config: &HostConfig, target: &Target) -> Vec<Finding> {
    let asked = match (config.gate_owner, &target.place) {
        (Some(GateOwner::Kernel), _) | (None, Place::Unix(_)) => Ok(config.owner_socket.as_path()),
        (Some(GateOwner::Policy), _) => Err(BY_NAME),
        (Some(GateOwner::Credentials), _) => Err(BY_PROOF),
        (None, Place::Tcp(_)) if config.gate_nla_users.is_some() => Err(BY_PROOF),
        (None, Place::Tcp(_)) => Err(BY_NAME),
    };
    // Kept open until the service has answered, which looks for the process at its other end.
    let (seen, whose) = match &target.place {
        Place::Unix(path) => met(probe::unix(path), asked),
        Place::Tcp(address) => met(probe::tcp(address), asked),
    };
    vec![("host behind the gate", known(target, seen)), ("whose desktop", whose)]
}

fn met<S>(
    met: Result<Met<S>, ProbeError>,
    asked: Result<&Path, &str>,
) -> (Result<[u8; 32], ProbeError>, Result<String, String>) {
    let whose = match asked {
        Err(otherwise) => Ok(otherwise.into()),
        Ok(socket) => {
            ask(socket).map_or_else(|error| Err(unasked(socket, &error)), |answer| told(answer, met.is_ok()))
        }
    };
    (met.map(|met| met.cert_sha256), whose)
}

fn known(target: &Target, seen: Result<[u8; 32], ProbeError>) -> Result<String, String> {
    let place = &target.place;
    let here = matches!(place, Place::Unix(_));
    match (seen, target.pin) {
        (Ok(seen), Some(expected)) if seen != expected => Err(format!(
            "{place} shows another certificate than gate_target says: {}. If its administrator confirms it, put that after #; otherwise somebody stands in its place",
            pin(&seen)
        )),
        (Ok(_), _) => Ok(format!("{place} answers, with TLS")),
        (Err(ProbeError::NoTls), _) if here => Err(format!(
            "{place}: xrdp speaks no TLS. Let it read its key (`adduser xrdp ssl-cert`), keep security_layer away from rdp, then `systemctl restart xrdp`"
        )),
        (Err(error @ ProbeError::Unreachable(_)), _) if here => {
            Err(format!("{place}: {error}. Run `systemctl restart xrdp`, and see `journalctl -u xrdp`"))
        }
        (Err(error), _) => {
            Err(format!("{place}: {error}. See that host, and whether this one reaches its port"))
        }
    }
}

/// Asks about this process's own connections, as a gate does.
fn ask(path: &Path) -> io::Result<Answer> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    // It answers within 5 s whatever it finds.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(std::time::Duration::from_secs(10)))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    send(&socket, &wire::ask(1), SendFlags::NOSIGNAL)?;
    loop {
        let mut packet = [0; wire::ANSWER_BYTES + 1];
        let (length, _) = recv(&socket, &mut packet, RecvFlags::empty())?;
        let packet = packet.get(..length).filter(|packet| !packet.is_empty());
        let packet = packet.ok_or(io::ErrorKind::ConnectionReset)?;
        // Another number is of before the question.
        if let (1, answer) = wire::read_answer(packet).map_err(io::Error::other)? {
            return Ok(answer);
        }
    }
}

fn unasked(socket: &Path, error: &io::Error) -> String {
    let start = "Run `systemctl enable --now sudare-owner`, and see `journalctl -u sudare-owner`";
    format!(
        "sudare-owner cannot be asked at {}: {error}, so every desktop stays covered. {start}",
        socket.display()
    )
}

fn told(answer: Answer, is_host_there: bool) -> Result<String, String> {
    match answer {
        Answer::LoginScreen | Answer::SigningIn => Ok("sudare-owner sees xrdp's sockets, and tells".into()),
        Answer::Session { uid } => Ok(format!("sudare-owner tells: uid {uid}")),
        Answer::Refused(_) if !is_host_there => {
            Ok("sudare-owner answers; more is known once the host does".into())
        }
        Answer::Refused(refused) => {
            let kernel = match refused.errno {
                0 => String::new(),
                errno => format!(" ({})", io::Error::from_raw_os_error(errno)),
            };
            Err(format!(
                "sudare-owner cannot tell{kernel}, so desktops stay covered: {}",
                refused.why.advice()
            ))
        }
    }
}

/// Whether screenshots can be decoded in a process that can do nothing else, as the gates' account.
fn picture(account: Option<&GateAccount>) -> Result<String, String> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(beside("sudare-picture"));
    command.arg("--check").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(account) = account.filter(|_| rustix::process::geteuid().is_root()) {
        command.uid(account.uid).gid(account.gid);
    }
    match command.output() {
        Ok(output) if output.status.success() => Ok("holds".into()),
        Ok(output) => Err(advise(
            String::from_utf8_lossy(&output.stderr).trim(),
            "Without it incidents have no screenshot; the cover does not need it",
        )),
        Err(e) => Err(format!("sudare-picture: {e}, so incidents have no screenshot. {UPGRADE}")),
    }
}

#[cfg(test)]
mod tests;
