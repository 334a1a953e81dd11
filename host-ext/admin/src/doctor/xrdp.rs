//! Checks that xrdp stands behind the gate, and is set up so that people can log on.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sudare_base::config::HostConfig;
use sudare_base::proc;

use super::ini::{Ini, Section, is_yes};
use super::layout::UPGRADE;
use super::{Finding, desktop, people};

const PROGRAM: &str = "/usr/sbin/xrdp";
const SESMAN: &str = "/usr/sbin/xrdp-sesman";
const XRDP_INI: &str = "/etc/xrdp/xrdp.ini";
const SESMAN_INI: &str = "/etc/xrdp/sesman.ini";
/// Files that are read only at start.
const READ_AT_START: [(&str, &str); 2] = [(PROGRAM, "etc/xrdp/xrdp.ini"), (SESMAN, "etc/xrdp/sesman.ini")];
/// The kernel tells start times from the boot on, whose own time it keeps in whole seconds.
const SLACK_S: u64 = 2;
const LIBRARIES: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu/xrdp", "/usr/lib/aarch64-linux-gnu/xrdp", "/usr/lib64/xrdp", "/usr/lib/xrdp"];
/// Libraries of sessions of this machine, of which the kernel can tell whose they are.
const SESSIONS: [&str; 2] = ["libxup.so", "libvnc.so"];
/// The first version without holes that are public.
const MENDED: [u32; 4] = [0, 10, 6, 1];

pub(super) fn is_installed() -> bool {
    Path::new(PROGRAM).exists()
}

/// All checks; `socket` is where the gate looks for xrdp.
pub(super) fn checks(config: &HostConfig, socket: &Path) -> Vec<Finding> {
    if !is_installed() {
        let text = "not installed, but gate_target leads to it. Run `apt install xrdp xorgxrdp`, or set gate_target to another host";
        return vec![("xrdp", Err(text.into()))];
    }
    let mut findings = vec![("xrdp", version())];
    match Ini::read(Path::new(XRDP_INI)) {
        Ok(ini) => findings.extend([
            ("xrdp's port", port(arguments(PROGRAM).as_deref(), &ini, socket)),
            ("xrdp's connections", connections(&ini)),
            ("xrdp's kinds of session", kinds(&ini, has_library)),
        ]),
        Err(e) => findings.push(("xrdp's settings", Err(format!("{XRDP_INI}: {e}. Run doctor as root")))),
    }
    match Ini::read(Path::new(SESMAN_INI)) {
        Ok(ini) => {
            findings.extend([
                ("program of desktops", desktops(&ini)),
                ("disconnected sessions", disconnected(&ini)),
            ]);
            findings.extend(desktop::checks(&ini));
            findings.push(("sessions of the users", people::check(config, &ini)));
        }
        Err(e) => findings.push(("sesman's settings", Err(format!("{SESMAN_INI}: {e}. Run doctor as root")))),
    }
    if Path::new("/run/systemd/system").is_dir() {
        findings.push(("xrdp's unit", unit()));
    }
    findings.push(("xrdp's ports", super::alone::ports()));
    findings.push(("xrdp-sesman", sesman(since(SESMAN))));
    findings.push(("xrdp's settings in force", in_force(Path::new("/"), since)));
    findings
}

fn version() -> Result<String, String> {
    let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.map_err(|e| format!("{PROGRAM}: {e}. Reinstall xrdp"))?;
    known(&String::from_utf8_lossy(&output.stdout))
}

fn known(text: &str) -> Result<String, String> {
    let first = text.lines().next().unwrap_or_default().trim();
    let numbers = first.strip_prefix("xrdp ").unwrap_or_default().split(['.', '-', '~', '+']);
    let numbers: Vec<u32> = numbers.map_while(|number| number.parse().ok()).collect();
    match numbers[..] {
        // Distributions mend holes without a new number, so that this is no problem of its own.
        [0, 9 | 10, _, ..] if numbers[..] < MENDED[..] => Ok(format!(
            "{first}. Versions before 0.10.6.1 have holes that are public (CVE-2026-41521, -42218, -55626): ask your distribution whether this package has them mended"
        )),
        [0, 9 | 10, _, ..] => Ok(first.to_owned()),
        _ => Err(format!("unsupported version {first:?}. Use xrdp 0.9 or 0.10")),
    }
}

/// An option counts before the settings, where the first of two values counts, and one value may name several ports.
fn port(arguments: Option<&[String]>, ini: &Ini, socket: &Path) -> Result<String, String> {
    let Some(arguments) = arguments else {
        return Ok("not known while it does not run".into());
    };
    let ours = format!("unix://.{}", socket.display());
    let option = arguments.iter().position(|word| word == "--port" || word == "-p");
    match option.map_or(ini.get("Globals", "port"), |at| arguments.get(at + 1).map(String::as_str)) {
        Some(port) if port == ours => Ok(format!("xrdp listens behind the gate, at {}", socket.display())),
        other => Err(format!(
            "xrdp was started with the port {}, but the gate looks for it at {}. Its unit has a drop-in for that: see `systemctl cat xrdp`. {UPGRADE}, then `systemctl restart xrdp`",
            other.unwrap_or("3389 (the default)"),
            socket.display()
        )),
    }
}

/// Whatever its settings say after an update.
fn unit() -> Result<String, String> {
    let mut command = Command::new("systemctl");
    command.args(["show", "xrdp.service", "--property=SocketBindDeny"]).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("systemctl: {e}. Run doctor as root"))?;
    denies(&String::from_utf8_lossy(&output.stdout))
}

fn denies(shown: &str) -> Result<String, String> {
    let rules = shown.trim().strip_prefix("SocketBindDeny=").unwrap_or_default();
    // systemd writes a rule's ports behind it, with nothing between.
    if rules.split_whitespace().any(|rule| ["tcp", "tcpany", "tcp:any", "any"].contains(&rule)) {
        return Ok("keeps xrdp from opening ports".into());
    }
    Err(format!(
        "nothing keeps xrdp from opening a port. Its unit has a drop-in for that: see `systemctl cat xrdp`. {UPGRADE}, then `systemctl restart xrdp`"
    ))
}

fn connections(ini: &Ini) -> Result<String, String> {
    if ini.get("Globals", "fork").is_some_and(|v| !is_yes(v)) {
        return Err(format!(
            "fork is off, so it cannot be told whose desktop a client sees, and all stay covered. Set fork=true in {XRDP_INI}"
        ));
    }
    if ini.get("Globals", "security_layer").is_some_and(|layer| layer == "rdp") {
        return Err(format!(
            "with security_layer=rdp the gate is refused. Set it to negotiate or tls in {XRDP_INI}"
        ));
    }
    Ok("each client has its own process, and TLS".into())
}

fn kinds(ini: &Ini, has: impl Fn(&str) -> bool) -> Result<String, String> {
    let is_here = |section: &Section| {
        let here = matches!(section.get("ip"), None | Some("127.0.0.1" | "localhost" | "::1"));
        here && matches!(section.get("port"), None | Some("-1"))
    };
    let offered = ini.sections.iter().filter_map(|section| Some((section, section.get("lib")?)));
    let offered = offered.filter(|(_, library)| has(library));
    let (ours, others): (Vec<_>, Vec<_>) =
        offered.partition(|(section, library)| SESSIONS.contains(library) && is_here(section));
    if ours.is_empty() {
        return Err(format!(
            "{XRDP_INI} has no section for desktops of this machine, and of others nobody can tell whose they are, so all stay covered. Restore [Xorg] from the package's version"
        ));
    }
    match others.first() {
        // People see the cover there, and why.
        Some((section, _)) => {
            Ok(format!("sessions that sesman starts; what [{}] leads to stays covered", section.name))
        }
        None => Ok("only sessions that sesman starts".into()),
    }
}

fn has_library(name: &str) -> bool {
    LIBRARIES.iter().any(|dir| Path::new(dir).join(name).exists())
}

/// What sesman starts for [Xorg], and the driver that it needs.
fn desktops(ini: &Ini) -> Result<String, String> {
    let Some(xorg) = ini.get("Xorg", "param") else {
        return Ok("no [Xorg] in sesman.ini".into());
    };
    let driver = "/usr/lib/xorg/modules/libxorgxrdp.so";
    match [xorg, driver].into_iter().find(|path| path.starts_with('/') && !Path::new(path).exists()) {
        Some(missing) => {
            Err(format!("{missing} does not exist, so no desktop begins. Run `apt install xorgxrdp`"))
        }
        None => Ok("Xorg, with xorgxrdp".into()),
    }
}

fn disconnected(ini: &Ini) -> Result<String, String> {
    if ini.get("Sessions", "KillDisconnected").is_some_and(is_yes) {
        return Err(format!(
            "KillDisconnected is on, so whoever is disconnected loses unsaved work. Set it to false in {SESMAN_INI}"
        ));
    }
    Ok("are kept for their user".into())
}

fn sesman(since: Option<u64>) -> Result<String, String> {
    match since {
        Some(_) => Ok("runs".into()),
        None => Err("does not run, so nobody can log on. Run `systemctl restart xrdp`, and see `journalctl -u xrdp-sesman`".into()),
    }
}

/// Debian's package starts xrdp before its settings can be changed, and `enable --now` does not restart it.
fn in_force(root: &Path, since: impl Fn(&str) -> Option<u64>) -> Result<String, String> {
    let mut running = 0;
    for (program, file) in READ_AT_START {
        let Some(started) = since(program) else { continue };
        running += 1;
        let path = root.join(file);
        let changed = path.metadata().ok().and_then(|meta| u64::try_from(meta.mtime()).ok());
        if changed.is_some_and(|changed| changed > started + SLACK_S) {
            return Err(format!(
                "{program} was started before {} was changed, so the change is not in force. Run `systemctl restart xrdp`",
                path.display()
            ));
        }
    }
    match running {
        0 => Err("xrdp does not run, so nobody can log on. Run `systemctl enable --now xrdp`, and see `journalctl -u xrdp`".into()),
        _ => Ok("xrdp was started after the last change".into()),
    }
}

/// When the oldest process of this program was started, in seconds since 1970.
fn since(program: &str) -> Option<u64> {
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let (ticks, _) = oldest(program)?;
    Some(boot + ticks / rustix::param::clock_ticks_per_second().max(1))
}

/// What it was started with.
fn arguments(program: &str) -> Option<Vec<String>> {
    let (_, folder) = oldest(program)?;
    let line = proc::text(&folder.join("cmdline")).ok()?;
    Some(line.split_terminator('\0').map(str::to_owned).collect())
}

/// The program's oldest process, by the ticks of the clock at its start; xrdp's children are younger.
fn oldest(program: &str) -> Option<(u64, PathBuf)> {
    let runs = |folder: &PathBuf| std::fs::read_link(folder.join("exe")).is_ok_and(|exe| is(&exe, program));
    let folders = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path()).filter(runs);
    let started = folders.filter_map(|folder| {
        let stat = proc::text(&folder.join("stat")).ok()?;
        Some((proc::Stat::parse(&stat)?.started_ticks, folder))
    });
    started.min()
}

/// Also after an update has replaced the file.
fn is(exe: &Path, program: &str) -> bool {
    exe.to_string_lossy().trim_end_matches(" (deleted)") == program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_versions_are_accepted_and_old_ones_told() {
        for old in ["xrdp 0.9.21.1\n  A Remote Desktop", "xrdp 0.10.1", "xrdp 0.10.6", "xrdp 0.10.4-rc1\n"] {
            assert!(known(old).unwrap().contains("ask your distribution"), "{old}");
        }
        for new in ["xrdp 0.10.6.1", "xrdp 0.10.7"] {
            assert_eq!(known(new).as_deref(), Ok(new));
        }
        for text in ["", "xrdp 0.8.0\n", "xrdp 1.0\n", "xrdp 0.10"] {
            assert!(known(text).unwrap_err().contains("0.9 or 0.10"), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_not_behind_the_gate_is_found() {
        let socket = Path::new("/run/sudare-xrdp/socket");
        let said = |options: &str, settings: &str| {
            let arguments: Vec<String> =
                format!("{PROGRAM} {options}").split_whitespace().map(str::to_owned).collect();
            port(Some(&arguments), &Ini::parse(settings), socket)
        };
        let stock = "[Globals]\nport=3389\n";
        assert!(said("--port unix://./run/sudare-xrdp/socket", stock).is_ok());
        assert!(said("--nodaemon", "[Globals]\nport=unix://./run/sudare-xrdp/socket\n").is_ok());
        assert!(port(None, &Ini::parse(stock), socket).is_ok(), "another line says that it does not run");
        for (options, settings) in [
            ("", stock),
            ("", ""),
            ("--port 3390", "[Globals]\nport=unix://./run/sudare-xrdp/socket\n"),
            ("--port", stock),
            ("-p unix://./run/elsewhere", stock),
            ("", "[Globals]\nport=3389\nport=unix://./run/sudare-xrdp/socket\n"),
            ("", "[Globals]\nport=unix://./run/sudare-xrdp/socket tcp://:3389\n"),
            ("", "[Globals]\n[Xorg]\nport=unix://./run/sudare-xrdp/socket\n"),
        ] {
            assert!(said(options, settings).unwrap_err().contains("--reinstall"), "{options} {settings}");
        }
        let this = std::env::current_exe().unwrap();
        assert!(arguments(this.to_str().unwrap()).is_some_and(|words| !words.is_empty()));
    }

    #[test]
    fn a_unit_that_lets_xrdp_open_ports_is_found() {
        assert!(denies("SocketBindDeny=tcpany\n").is_ok() && denies("SocketBindDeny=any").is_ok());
        for shown in ["SocketBindDeny=\n", "SocketBindDeny=udpany\n", "SocketBindDeny=tcp:22\n", ""] {
            assert!(denies(shown).unwrap_err().contains("--reinstall"), "{shown}");
        }
    }

    #[test]
    fn settings_that_keep_people_out_are_found() {
        // As 0.9 has it, and as 0.10 has it.
        for xorg in
            ["lib=libxup.so\nip=127.0.0.1\nport=-1", "lib=libxup.so\ncode=20", "lib=libvnc.so\nport=-1"]
        {
            let good =
                format!("[Globals]\nfork=true\n[Xorg]\n{xorg}\n[any]\nlib=libxrdpneutrinordp.so\nip=ask\n");
            let ini = Ini::parse(&good);
            assert!(connections(&ini).is_ok());
            let there = |name: &str| SESSIONS.contains(&name);
            // A library that is not there leads nowhere.
            assert_eq!(kinds(&ini, there).as_deref(), Ok("only sessions that sesman starts"));
            assert!(kinds(&ini, |_| true).unwrap().contains("[any] leads to stays covered"));
        }
        let proxy = Ini::parse("[vnc-any]\nlib=libvnc.so\nip=ask\nport=ask5900\n");
        assert!(kinds(&proxy, |_| true).unwrap_err().contains("stay covered"));
        assert!(connections(&Ini::parse("[Globals]\nfork=no\n")).unwrap_err().contains("fork=true"));
        assert!(connections(&Ini::parse("[Globals]\nsecurity_layer=rdp\n")).is_err());
        assert!(disconnected(&Ini::parse("[Sessions]\nKillDisconnected=1")).is_err());
        assert!(sesman(None).unwrap_err().contains("nobody can log on") && sesman(Some(1)).is_ok());
        let missing = Ini::parse("[Xorg]\nparam=/nonexistent/Xorg\n");
        assert!(desktops(&missing).unwrap_err().contains("xorgxrdp"));
    }

    #[test]
    fn settings_that_were_changed_under_a_running_xrdp_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        std::fs::create_dir_all(dir.join("etc/xrdp")).unwrap();
        let write = |name: &str, at_s: u64| {
            let file = std::fs::File::create(dir.join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at_s)).unwrap();
        };
        let running = |at_s: u64| move |program: &str| (program == SESMAN).then_some(at_s);
        write("etc/xrdp/sesman.ini", 10);
        assert!(in_force(dir, |_| None).unwrap_err().contains("does not run"));
        assert!(in_force(dir, running(11)).unwrap().contains("after the last change"));
        write("etc/xrdp/sesman.ini", 20);
        let text = in_force(dir, running(11)).unwrap_err();
        assert!(text.contains("sesman.ini") && text.contains("systemctl restart xrdp"), "{text}");
        let this = std::env::current_exe().unwrap();
        assert!(since(this.to_str().unwrap()).is_some_and(|started| started > 1_600_000_000));
        assert_eq!(since("/nonexistent"), None);
    }
}
