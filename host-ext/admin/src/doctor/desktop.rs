//! What begins once xrdp has led somebody to sesman: sesman answers, its session starts, and has somewhere to write.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;
use sudare_base::tcp;

use super::ini::{Ini, is_yes};
use super::{Finding, sockets};

const PATIENCE: Duration = Duration::from_secs(15);
/// Where the packages of 0.9 and 0.10 put a socket that is named without its folder.
const SOCKET_FOLDERS: [&str; 2] = ["/run/xrdp/sockdir", "/run/xrdp"];
const PROGRAM: &str = "xrdp-sesman";
const SOCKET: &str = "sesman.socket";
const XRDP: &str = "/etc/xrdp";
const XORG: &str = "/etc/X11";
const PAM: &str = "/etc/pam.d/xrdp-sesman";
const DISPLAYS: &str = "/tmp/.X11-unix";
/// A log of Xorg and a cookie take much less.
const FREE_MIN_BYTES: u64 = 16 << 20;

/// Of sesman's settings.
pub(super) fn checks(ini: &Ini) -> Vec<Finding> {
    let folders: Vec<&Path> = ["/tmp", "/run"].map(Path::new).to_vec();
    vec![
        ("sesman's answer", answer(ini, PROGRAM)),
        ("start of desktops", start(ini, Path::new("/"))),
        ("display sockets", displays(Path::new(DISPLAYS))),
        ("space for sessions", folders.into_iter().try_fold(String::new(), |_, folder| space(folder))),
    ]
}

/// Says nothing and hangs up: whoever serves the socket hangs up, too. Only a socket would accept that nobody serves.
fn answer(ini: &Ini, program: &str) -> Result<String, String> {
    // Unnamed, it is a socket for 0.10 and a port for 0.9.
    let unnamed = if socket(SOCKET).exists() { SOCKET } else { "3350" };
    let named = ini.get("Globals", "ListenPort").unwrap_or(unnamed);
    let (place, hung_up) = match named.parse::<u16>() {
        Ok(port) => {
            (format!("port {port}"), at(port, program).and_then(TcpStream::connect).and_then(over_tcp))
        }
        Err(_) => {
            let path = socket(named);
            (path.display().to_string(), UnixStream::connect(&path).and_then(over_unix))
        }
    };
    match hung_up {
        Ok(()) => Ok(format!("it answers at {place}")),
        Err(e) => Err(format!(
            "sesman does not answer at {place}: {e}, so nobody can log on. See `journalctl -u xrdp-sesman`; `systemctl restart xrdp` starts it anew, and ends running sessions"
        )),
    }
}

/// Whatever address the settings name: a build for version 6 takes another one. Whoever else listens there is not asked.
fn at(port: u16, program: &str) -> io::Result<SocketAddr> {
    let is_sesmans = |entry: &tcp::Entry| {
        let holders = sockets::holders(entry.inode);
        // Only root sees who it is.
        !rustix::process::geteuid().is_root() || holders.iter().any(|name| name == program)
    };
    let table = tcp::table()?;
    let listens = table.iter().find(|entry| entry.listens && entry.local.port() == port && is_sesmans(entry));
    let local = listens.ok_or_else(|| io::Error::other("it does not listen there"))?.local;
    let ip = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, port))
}

fn socket(named: &str) -> PathBuf {
    let path = Path::new(named);
    let places = SOCKET_FOLDERS.map(|folder| Path::new(folder).join(named));
    match path.is_absolute() {
        true => path.to_owned(),
        false => places.iter().find(|place| place.exists()).unwrap_or(&places[0]).clone(),
    }
}

fn over_tcp(stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.shutdown(Shutdown::Write)?;
    ended(stream)
}

fn over_unix(stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.shutdown(Shutdown::Write)?;
    ended(stream)
}

fn ended(mut stream: impl Read) -> io::Result<()> {
    let mut said = [0; 64];
    match stream.read(&mut said) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            Err(io::Error::other("it takes the connection and says nothing"))
        }
        Err(e) => Err(e),
    }
}

/// The files without which a session ends as soon as it begins.
fn start(ini: &Ini, root: &Path) -> Result<String, String> {
    let below = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let pam = below(Path::new(PAM));
    if !pam.exists() {
        return Err(format!(
            "{} does not exist, so nobody's password is accepted. Run `apt install --reinstall -o Dpkg::Options::=--force-confmiss xrdp`",
            pam.display()
        ));
    }
    let script =
        below(&Path::new(XRDP).join(ini.get("Globals", "DefaultWindowManager").unwrap_or("startwm.sh")));
    match std::fs::metadata(&script) {
        Ok(meta) if meta.mode() & 0o001 != 0 => {}
        Ok(_) => {
            return Err(format!(
                "{} cannot be run by users, so desktops end as they begin. Run `chmod 755` on it",
                script.display()
            ));
        }
        Err(e) => {
            return Err(format!(
                "{}: {e}, so desktops end as they begin. Correct DefaultWindowManager in sesman.ini, or restore the file",
                script.display()
            ));
        }
    }
    let parameters = ini.all("Xorg", "param");
    let config = parameters.iter().skip_while(|word| **word != "-config").nth(1);
    if let Some(config) = config.map(|name| below(&Path::new(XORG).join(name))).filter(|path| !path.exists())
    {
        return Err(format!(
            "{} does not exist, so no desktop begins. Run `apt install --reinstall -o Dpkg::Options::=--force-confmiss xorgxrdp`",
            config.display()
        ));
    }
    if ini.get("Security", "AlwaysGroupCheck").is_some_and(is_yes)
        && ini.get("Security", "TerminalServerUsers").is_none()
    {
        return Err("AlwaysGroupCheck is on without TerminalServerUsers, so nobody can log on. Name the group in sesman.ini".into());
    }
    Ok("what it needs is there".into())
}

/// Sessions make their sockets there, and cannot make the folder.
fn displays(dir: &Path) -> Result<String, String> {
    let remake = "Run `systemd-tmpfiles --create --boot x11.conf`";
    let meta = std::fs::symlink_metadata(dir)
        .map_err(|e| format!("{}: {e}, so no desktop begins. {remake}", dir.display()))?;
    if !meta.is_dir() || meta.uid() != 0 || meta.mode() & 0o1777 != 0o1777 {
        return Err(format!(
            "{} is not root's folder with mode 1777, so no desktop begins, or others stand in its way. {remake}",
            dir.display()
        ));
    }
    Ok(format!("{} is there", dir.display()))
}

/// Where a session writes.
pub(super) fn space(folder: &Path) -> Result<String, String> {
    // Somebody's home that root may not see is not known to be full.
    let Ok(disk) = statvfs(folder) else { return Ok("enough".into()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let is_full = free < FREE_MIN_BYTES || disk.f_files != 0 && disk.f_favail == 0;
    match is_full {
        true => Err(format!(
            "only {} KiB and {} files fit into {}, so no desktop begins. Free space there",
            free >> 10,
            disk.f_favail,
            folder.display()
        )),
        false => Ok("enough".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_sesman_that_does_not_run_is_found_and_one_that_hangs_up_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ini = Ini::parse(&format!("[Globals]\nListenAddress=0.0.0.0\nListenPort={port}\n"));
        let this = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        if rustix::process::geteuid().is_root() {
            // Somebody else listens there.
            assert!(answer(&ini, PROGRAM).unwrap_err().contains("does not listen"));
        }
        let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
        assert!(answer(&ini, &this).unwrap().contains(&port.to_string()));
        server.join().unwrap();
        let said = answer(&ini, &this).unwrap_err();
        assert!(said.contains("nobody can log on") && said.contains("journalctl"), "{said}");
        let none = Ini::parse("[Globals]\nListenPort=/nonexistent/sesman.socket\n");
        assert!(answer(&none, PROGRAM).unwrap_err().contains("/nonexistent/sesman.socket"));
        assert!(socket(SOCKET).starts_with("/run/xrdp"));
    }

    #[test]
    fn one_that_takes_connections_and_does_not_serve_them_is_found() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        assert!(ended(ours).unwrap_err().to_string().contains("says nothing"));
    }

    #[test]
    fn a_file_that_a_session_needs_and_has_not_is_found() {
        let root = tempfile::tempdir().unwrap();
        let make = |name: &str, mode| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let ini = Ini::parse(
            "[Globals]\nDefaultWindowManager=startwm.sh\n[Xorg]\nparam=/usr/lib/xorg/Xorg\nparam=-config\nparam=xrdp/xorg.conf\n",
        );
        let said = || start(&ini, root.path()).unwrap_err();
        assert!(said().contains("pam.d/xrdp-sesman"));
        make("etc/pam.d/xrdp-sesman", 0o644);
        assert!(said().contains("startwm.sh: No such file"));
        make("etc/xrdp/startwm.sh", 0o644);
        assert!(said().contains("chmod 755"));
        make("etc/xrdp/startwm.sh", 0o755);
        assert!(said().contains("xorg.conf") && said().contains("xorgxrdp"));
        make("etc/X11/xrdp/xorg.conf", 0o644);
        assert!(start(&ini, root.path()).is_ok());
    }

    #[test]
    fn a_folder_of_displays_that_is_gone_or_anybodys_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let displays_of = dir.path().join(".X11-unix");
        assert!(displays(&displays_of).unwrap_err().contains("x11.conf"));
        std::fs::create_dir(&displays_of).unwrap();
        std::fs::set_permissions(&displays_of, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(displays(&displays_of).unwrap_err().contains("1777"));
        assert!(space(dir.path()).is_ok() && space(Path::new("/proc")).is_err());
    }
}
