//! Checks that xrdp and the machine are set up so that sessions can be guarded.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use sudare_base::accounts::GuardAccount;
use sudare_base::config::HostConfig;
use sudare_supervisor::{lock, sign_in};

use super::Finding;
use super::ini::{Ini, is_yes};
use super::layout::UPGRADE;

const PROGRAM: &str = "/usr/sbin/xrdp";
const XRDP_INI: &str = "/etc/xrdp/xrdp.ini";
const SESMAN_INI: &str = "/etc/xrdp/sesman.ini";
/// The system's `nobody`, which has no session.
const NOBODY: u32 = 65_534;
/// Where both write their pid files when they start.
const RUN_DIR: &str = "/run/xrdp";
/// Files that are read only at start: the settings of each, and what ties xrdp to the supervisor.
const READ_AT_START: [(&str, &str); 3] = [
    ("xrdp", "etc/xrdp/xrdp.ini"),
    ("xrdp", "etc/systemd/system/xrdp.service.d/sudare.conf"),
    ("xrdp-sesman", "etc/xrdp/sesman.ini"),
];
const LIBRARIES: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu/xrdp", "/usr/lib/aarch64-linux-gnu/xrdp", "/usr/lib64/xrdp", "/usr/lib/xrdp"];
/// Libraries of the kinds of session that only one client at a time can see. Xvnc (libvnc.so) shares its screen, so the
/// supervisor ends its sessions.
const GUARDED: [&str; 1] = ["libxup.so"];

/// All checks, or a single note where xrdp is not installed.
pub(super) fn checks(config: &HostConfig) -> Vec<Finding> {
    if !is_installed() {
        let text = "not installed; only sudare-embedded works without it. For sessions of xrdp: apt install xrdp xorgxrdp";
        return vec![("xrdp", Ok(text.into()))];
    }
    let account = GuardAccount::find(&config.run_as, &config.xrdp_group);
    let mut findings = vec![("xrdp", version())];
    match Ini::read(Path::new(XRDP_INI)) {
        Ok(ini) => findings.extend([
            ("xrdp's channels", channels(&ini)),
            ("xrdp's connections", connections(&ini)),
            ("xrdp's kinds of session", kinds(&ini, has_library)),
            ("xrdp's certificate", certificate(&ini, config, account.as_ref().ok())),
        ]),
        Err(e) => findings.push(("xrdp's settings", Err(format!("{XRDP_INI}: {e}. Run doctor as root")))),
    }
    match Ini::read(Path::new(SESMAN_INI)) {
        Ok(ini) => {
            findings.extend([
                ("log-on as root", root(&ini)),
                ("disconnected sessions", disconnected(&ini)),
                ("sesman's port", port(&ini)),
            ]);
        }
        Err(e) => findings.push(("sesman's settings", Err(format!("{SESMAN_INI}: {e}. Run doctor as root")))),
    }
    findings.push(("xrdp's settings in force", in_force(Path::new(RUN_DIR), Path::new("/"))));
    findings.push(("sockets of sessions", sockets(config, account.as_ref().ok())));
    findings.push(("units of the services", super::layout::check(Path::new("/"))));
    findings.push(("program that guards", program(&guard(), UPGRADE, account.as_ref().ok())));
    let fix = format!("{UPGRADE}, or correct `blanker`");
    findings.push(("program that covers", program(&config.blanker(), &fix, account.as_ref().ok())));
    if let Ok(account) = &account {
        findings.push(("owner of the state folder", owner(&config.state_dir, &config.run_as, *account)));
    }
    let guards = |_| format!("guards run as {}, group {}", config.run_as, config.xrdp_group);
    findings.push(("user of the guards", account.map(guards).map_err(|e| e.to_string())));
    findings.push(("sign-ins", super::pam::check()));
    findings.push(("supervisor", supervisor(&config.run_dir)));
    findings
}

pub(super) fn is_installed() -> bool {
    Path::new(PROGRAM).exists()
}

fn version() -> Result<String, String> {
    let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.map_err(|e| format!("{PROGRAM}: {e}. Reinstall xrdp"))?;
    known(&String::from_utf8_lossy(&output.stdout))
}

fn known(text: &str) -> Result<String, String> {
    let first = text.lines().next().unwrap_or_default().trim();
    match first.strip_prefix("xrdp 0.").and_then(|rest| rest.split_once('.')) {
        Some(("9" | "10", _)) => Ok(first.to_owned()),
        _ => Err(format!("unsupported version {first:?}. Use xrdp 0.9 or 0.10")),
    }
}

fn channels(ini: &Ini) -> Result<String, String> {
    let off = |value: Option<&str>| value.is_some_and(|v| !is_yes(v));
    if off(ini.get("Globals", "allow_channels")) {
        return Err(format!(
            "allow_channels is off, so no client can prove that its operator is present. Set it to true in {XRDP_INI}"
        ));
    }
    if !ini.get("Channels", "drdynvc").is_some_and(is_yes) {
        return Err(format!("dynamic channels are off. Set drdynvc=true in [Channels] of {XRDP_INI}"));
    }
    match ini.sections.iter().find(|s| off(s.get("channel.drdynvc"))) {
        Some(section) => Err(format!(
            "[{}] of {XRDP_INI} turns dynamic channels off. Remove channel.drdynvc there",
            section.name
        )),
        None => Ok("dynamic channels are on".into()),
    }
}

fn connections(ini: &Ini) -> Result<String, String> {
    if ini.get("Globals", "fork").is_some_and(|v| !is_yes(v)) {
        return Err(format!(
            "fork is off, so disconnecting one client would disconnect all. Set fork=true in {XRDP_INI}"
        ));
    }
    Ok("each client has its own process".into())
}

fn kinds(ini: &Ini, has: impl Fn(&str) -> bool) -> Result<String, String> {
    let offered = ini.sections.iter().filter_map(|s| Some((s, s.get("lib")?)));
    let foreign = |section: &&(_, &str)| {
        let (section, library): &(&super::ini::Section, &str) = section;
        let here = section.get("ip") == Some("127.0.0.1") && section.get("port") == Some("-1");
        has(library) && !(GUARDED.contains(library) && here)
    };
    match offered.collect::<Vec<_>>().iter().find(foreign) {
        Some((section, _)) => Err(format!(
            "[{}] of {XRDP_INI} leads to desktops that cannot be guarded. Remove that section",
            section.name
        )),
        None => Ok("only sessions that sesman starts".into()),
    }
}

fn has_library(name: &str) -> bool {
    LIBRARIES.iter().any(|dir| Path::new(dir).join(name).exists())
}

fn certificate(ini: &Ini, config: &HostConfig, account: Option<&GuardAccount>) -> Result<String, String> {
    let shown = match ini.get("Globals", "certificate") {
        None | Some("") => PathBuf::from("/etc/xrdp/cert.pem"),
        Some(path) => path.into(),
    };
    let ours = &config.tls_certificate;
    let real = |path: &Path| {
        path.canonicalize().map_err(|e| format!("{}: {e}. Make a certificate for xrdp", path.display()))
    };
    if real(&shown)? != real(ours)? {
        return Err(format!(
            "xrdp presents {}. Set tls_certificate to it, not to {}",
            shown.display(),
            ours.display()
        ));
    }
    if ini.get("Globals", "security_layer") == Some("rdp") {
        return Err(format!(
            "with security_layer=rdp xrdp presents no certificate. Set it to tls in {XRDP_INI}"
        ));
    }
    reachable(ours, account, 4).map(|()| format!("{} can be read by guards", ours.display()))
}

fn root(ini: &Ini) -> Result<String, String> {
    // sesman allows it by default.
    if ini.get("Security", "AllowRootLogin").is_none_or(is_yes) {
        return Err(format!(
            "root may log on, but its sessions cannot be guarded and are ended. Set AllowRootLogin=false in {SESMAN_INI}"
        ));
    }
    Ok("not allowed".into())
}

fn disconnected(ini: &Ini) -> Result<String, String> {
    if ini.get("Sessions", "KillDisconnected").is_some_and(is_yes) {
        return Err(format!(
            "KillDisconnected is on, so whoever is disconnected because a guard failed loses unsaved work. Set it to false in {SESMAN_INI}"
        ));
    }
    Ok("are kept for their user".into())
}

/// Debian's package starts xrdp before its settings can be changed, and `enable --now` does not restart it.
fn in_force(run_dir: &Path, root: &Path) -> Result<String, String> {
    let mut running = 0;
    for (program, file) in READ_AT_START {
        let pid_file = run_dir.join(program).with_extension("pid");
        let Some(started) = running_since(&pid_file) else { continue };
        running += 1;
        let path = root.join(file);
        if changed(&path).is_some_and(|changed| changed > started) {
            return Err(format!(
                "{program} was started before {} was changed, so the change is not in force. Run `systemctl restart xrdp`",
                path.display()
            ));
        }
    }
    match running {
        0 => Ok("unknown: xrdp is not running, or writes no pid file to /run/xrdp, like 0.10".into()),
        _ => Ok("xrdp was started after the last change".into()),
    }
}

fn running_since(pid_file: &Path) -> Option<SystemTime> {
    let pid: u32 = std::fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    Path::new("/proc").join(pid.to_string()).exists().then(|| changed(pid_file))?
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}

fn sockets(config: &HostConfig, account: Option<&GuardAccount>) -> Result<String, String> {
    let dir = &config.xrdp_socket_dir;
    if !dir.exists() {
        return Ok(format!("{} is created when xrdp starts", dir.display()));
    }
    reachable(dir, account, 1)?;
    Ok(format!("{} can be reached by guards", dir.display()))
}

/// The supervisor starts the guard beside it, so it is also beside this program.
fn guard() -> PathBuf {
    let beside = std::env::current_exe().map(|exe| exe.with_file_name("sudare-guard"));
    beside.unwrap_or_else(|_| "/usr/local/bin/sudare-guard".into())
}

fn program(path: &Path, fix: &str, account: Option<&GuardAccount>) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|e| format!("{}: {e}. {fix}", path.display()))?;
    if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Err(format!(
            "{} can be changed by users other than root. Run `chown root` and `chmod 755` on it",
            path.display()
        ));
    }
    reachable(path, account, 1).map(|()| format!("{} is installed", path.display()))
}

fn owner(dir: &Path, user: &str, account: GuardAccount) -> Result<String, String> {
    match std::fs::metadata(dir) {
        Ok(meta) if meta.uid() == account.uid => {
            readable(dir, &account).map_err(|e| format!("{e}: run `chown -R {user}: {}`", dir.display()))?;
            Ok(format!("{} belongs to {user}", dir.display()))
        }
        Ok(_) => Err(format!(
            "{} does not belong to {user}, so guards cannot read their keys. Run `chown -R {user}: {}`",
            dir.display(),
            dir.display()
        )),
        Err(e) => Err(format!("{}: {e}. Run `sudare-host init` as {user}", dir.display())),
    }
}

/// A single file that root or another user wrote there can lock out a device or the whole host.
fn readable(dir: &Path, account: &GuardAccount) -> Result<(), String> {
    for folder in [dir.to_owned(), dir.join("devices")] {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            // The file's existence alone revokes a device.
            if path.is_file() && path.extension().is_none_or(|end| end != "revoked") {
                reachable(&path, Some(account), 4)?;
            }
        }
    }
    Ok(())
}

/// By this port the supervisor recognises connections that are signing in.
fn port(ini: &Ini) -> Result<String, String> {
    match ini.get("Globals", "ListenPort").map(str::trim) {
        // xrdp 0.10 has a socket; these are its default names.
        None | Some("3350" | "sesman.socket" | "/run/xrdp/sesman.socket") => Ok("the default".into()),
        Some(other) => Err(format!(
            "with ListenPort={other} the supervisor cannot see who is signing in, so the screen stays covered for 10 s after each sign-in. Remove the setting from {SESMAN_INI}"
        )),
    }
}

fn supervisor(run_dir: &Path) -> Result<String, String> {
    match lock::holder(run_dir) {
        // For a user without sessions, so that nothing is covered.
        Some(_) if rustix::process::geteuid().is_root() && sign_in::ask(run_dir, NOBODY).is_err() => {
            Err("runs, but does not answer PAM, so nobody can sign in. Run `systemctl restart sudare-supervisor`".into())
        }
        Some(pid) => Ok(format!("runs as process {pid}")),
        None => {
            Err("does not run, so sessions of xrdp are not guarded. Run `systemctl enable --now sudare-supervisor`".into())
        }
    }
}

/// Whether guards may use the file (4 = read, 1 = execute or enter) and enter all folders above it.
fn reachable(path: &Path, account: Option<&GuardAccount>, right: u32) -> Result<(), String> {
    // A missing account is a finding already.
    let Some(account) = account else { return Ok(()) };
    let wrong = |path: &Path, e: &dyn std::fmt::Display| {
        format!("{}: {e}. Guards must be able to reach it", path.display())
    };
    let real = path.canonicalize().map_err(|e| wrong(path, &e))?;
    for (step, part) in real.ancestors().enumerate() {
        let meta = std::fs::metadata(part).map_err(|e| wrong(part, &e))?;
        let shift = match meta.uid() == account.uid {
            true => 6,
            false if meta.gid() == account.gid => 3,
            false => 0,
        };
        let needed = if step == 0 { right } else { 1 };
        if (meta.mode() >> shift) & needed == 0 {
            return Err(wrong(part, &format!("mode {:o} keeps guards out", meta.mode() & 0o7777)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_versions_are_accepted() {
        assert_eq!(known("xrdp 0.9.21.1\n  A Remote Desktop").unwrap(), "xrdp 0.9.21.1");
        assert!(known("xrdp 0.10.4\n").is_ok());
        for text in ["", "xrdp 0.8.0\n", "xrdp 1.0\n", "xrdp 0.10"] {
            assert!(known(text).unwrap_err().contains("0.9 or 0.10"), "{text}");
        }
    }

    #[test]
    fn settings_that_leave_sessions_unguarded_are_found() {
        let good = "[Globals]\nfork=true\nallow_channels=true\n[Channels]\ndrdynvc=true\n\
            [Xorg]\nlib=libxup.so\nip=127.0.0.1\nport=-1\n[any]\nlib=libxrdpneutrinordp.so\nip=ask\n";
        let ini = Ini::parse(good);
        assert!(channels(&ini).is_ok() && connections(&ini).is_ok());
        assert!(kinds(&ini, |name| name == "libxup.so").is_ok(), "a library that is not there leads nowhere");
        assert!(kinds(&ini, |_| true).unwrap_err().contains("[any]"));
        let bad = |from: &str, to: &str| Ini::parse(&good.replace(from, to));
        assert!(channels(&bad("allow_channels=true", "allow_channels=false")).is_err());
        assert!(channels(&bad("drdynvc=true", "")).is_err());
        assert!(channels(&bad("lib=libxup.so", "lib=libxup.so\nchannel.drdynvc=false")).is_err());
        assert!(connections(&bad("fork=true", "fork=no")).is_err());
        let proxy = Ini::parse("[vnc-any]\nlib=libvnc.so\nip=ask\nport=ask5900\n");
        assert!(kinds(&proxy, |_| true).unwrap_err().contains("[vnc-any]"));
        let shared = Ini::parse("[Xvnc]\nlib=libvnc.so\nip=127.0.0.1\nport=-1\n");
        assert!(kinds(&shared, |_| true).unwrap_err().contains("[Xvnc]"));
        assert!(root(&Ini::parse("[Security]\n")).is_err());
        assert!(root(&Ini::parse("[Security]\nAllowRootLogin=false")).is_ok());
        assert!(disconnected(&Ini::parse("[Sessions]\nKillDisconnected=1")).is_err());
    }

    #[test]
    fn settings_that_were_changed_under_a_running_xrdp_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        std::fs::create_dir_all(dir.join("etc/xrdp")).unwrap();
        let write = |name: &str, text: &str, after_s: u64| {
            let file = std::fs::File::create(dir.join(name)).unwrap();
            std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(after_s)).unwrap();
        };
        write("etc/xrdp/sesman.ini", "", 10);
        assert!(in_force(dir, dir).unwrap().contains("not running"));
        write("xrdp-sesman.pid", &std::process::id().to_string(), 11);
        assert!(in_force(dir, dir).unwrap().contains("after the last change"));
        write("etc/xrdp/sesman.ini", "", 12);
        let text = in_force(dir, dir).unwrap_err();
        assert!(text.contains("sesman.ini") && text.contains("systemctl restart xrdp"), "{text}");
        // The pid file of a process that has ended.
        write("xrdp-sesman.pid", "4194305", 11);
        assert!(in_force(dir, dir).is_ok());
    }

    #[test]
    fn a_file_of_root_among_the_keys_and_devices_is_found() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let set = |name: &str, mode| {
            let path = dir.path().join(name);
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let account = GuardAccount { uid: 4_000_000, gid: 4_000_000 };
        std::fs::create_dir(dir.path().join("devices")).unwrap();
        for name in ["host.key", "devices/ab.operators", "devices/ab.revoked"] {
            std::fs::write(dir.path().join(name), "").unwrap();
            set(name, 0o644);
        }
        for (name, mode) in [("", 0o755), ("devices", 0o755), ("devices/ab.revoked", 0o600)] {
            set(name, mode);
        }
        assert_eq!(readable(dir.path(), &account), Ok(()));
        for name in ["host.key", "devices/ab.operators"] {
            set(name, 0o600);
            assert!(readable(dir.path(), &account).unwrap_err().contains(name));
            set(name, 0o644);
        }
    }

    #[test]
    fn a_file_that_guards_cannot_reach_is_reported_with_the_folder_that_keeps_them_out() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cert.pem");
        std::fs::write(&file, "").unwrap();
        let set =
            |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(dir.path(), 0o755);
        set(&file, 0o644);
        let account = GuardAccount { uid: 4_000_000, gid: 4_000_000 };
        assert_eq!(reachable(&file, Some(&account), 4), Ok(()));
        assert!(reachable(&file, Some(&account), 1).is_err());
        set(&file, 0o600);
        assert!(reachable(&file, Some(&account), 4).unwrap_err().contains("cert.pem: mode 600"));
        set(&file, 0o644);
        set(dir.path(), 0o700);
        assert!(reachable(&file, Some(&account), 4).unwrap_err().contains("mode 700"));
    }
}
