//! What a connection's process gives up before it reads a byte from outside.
//!
//! ```text
//! settings, certificate, keys, policy read ─► confine() ─► first thread, first byte of the client
//! ```
//! A fault in the gate then reaches the host behind it, the recorder and the fonts, and no key, no other file, no
//! other machine. The unit says the same from outside; this holds under `--listen` as well, where there is no unit.
//!
//! [`rules`] says which paths; [`syscalls`](crate::syscalls) which system calls. The process that accepts under
//! `--listen` stays as it is, because its children would inherit what it gave up; it reads nothing from outside.

use std::path::{Path, PathBuf};

use sudare_base::config::HostConfig;
use sudare_base::harden::{self, Enforced, HardenError, Right, Rules};
use sudare_base::program::beside;

use crate::syscalls;
use crate::target::{Place, Target};
use crate::targets::Targets;

/// Where covers take their fonts from.
const FONTS: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];
/// What the time on a cover and the evidence of a session are told with.
const TIMES: [&str; 3] = ["/etc/localtime", "/usr/share/zoneinfo", "/proc/sys/kernel/random/boot_id"];
/// Decodes what the client was sent, beside this program.
pub(crate) const PICTURE: &str = "sudare-picture";
/// What any program is started with.
const LOADERS: [&str; 3] =
    ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
const LIBRARIES: [&str; 5] = ["/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64"];
/// What the name of a host on another machine is looked up in.
const NAMES: [&str; 6] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/run/systemd/resolve",
];

/// What the uid of a name is looked up in, where the kernel tells whose desktop it is by its uid. Directory services
/// are asked through sockets, or from a memory of their own.
const USERS: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/var/lib/sss/mc"];

/// Why a process could not be restricted, although the kernel can.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    #[error(transparent)]
    Files(#[from] HardenError),
    #[error("the kernel refuses to restrict system calls: {0}. Check whether a container forbids seccomp")]
    Calls(#[from] syscalls::FilterError),
}

/// Restricts this thread and those that it will start, for good: call it before the first one.
///
/// # Errors
/// If the kernel refuses although it can. What it cannot do is said in the log, and doctor says it, too.
pub fn confine(config: &HostConfig, targets: &Targets) -> Result<Enforced, ConfineError> {
    let rules = rules(config, targets, picture().as_deref());
    let ports: Vec<u16> = targets.all().filter_map(port).collect();
    let enforced = harden::confine_to_ports(&rules, &ports)?;
    if enforced != Enforced::Fully {
        tracing::warn!(enforced = enforced.sentence(), "the kernel does not protect this connection fully");
    }
    syscalls::restrict(!ports.is_empty())?;
    Ok(enforced)
}

/// The program that decodes, if there is one.
fn picture() -> Option<PathBuf> {
    Some(beside(PICTURE)).filter(|program| program.is_file())
}

/// The only TCP port that is needed for it: the host's, where it is on another machine.
fn port(target: &Target) -> Option<u16> {
    match &target.place {
        Place::Unix(_) => None,
        Place::Tcp(address) => address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()),
    }
}

/// Pure. Sockets in the file system need no rule: they are connected to, not opened, and their folders say by whom.
fn rules(config: &HostConfig, targets: &Targets, picture: Option<&Path>) -> Rules {
    let read = |path: &str| (PathBuf::from(path), Right::ReadIfThere);
    let mut paths: Vec<_> = FONTS.into_iter().chain(TIMES).chain(["/dev/urandom"]).map(read).collect();
    // Who may open which desktop is looked up when a device says who it is. The keys beside it have been read.
    for folder in ["devices", "fleet", "invitations", "revoked"] {
        paths.push((config.state_dir.join(folder), Right::ReadIfThere));
    }
    paths.push((config.state_dir.join("seats"), Right::WriteIfThere));
    if let Some(picture) = picture {
        paths.push((picture.to_owned(), Right::RunIfThere));
        paths.extend(LOADERS.map(|loader| (loader.into(), Right::RunIfThere)));
        paths.push(("/dev/null".into(), Right::Device));
    }
    let far = !targets.are_here();
    // What decodes, and what looks names up, is loaded late.
    paths.extend(LIBRARIES.map(read));
    if far {
        paths.extend(NAMES.map(read));
    } else {
        paths.extend(USERS.map(read));
    }
    Rules { paths, connects: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(rules: &Rules, path: &str) -> Vec<Right> {
        let above = rules.paths.iter().filter(|(above, _)| Path::new(path).starts_with(above));
        above.map(|(_, right)| *right).collect()
    }

    fn of(target: &str, picture: Option<&Path>) -> Rules {
        rules(&HostConfig::load(None, &[]).unwrap(), &Targets::read(target, &[]).unwrap(), picture)
    }

    #[test]
    fn a_connection_reads_fonts_and_devices_and_can_open_no_key_again() {
        let near = of("unix:/run/sudare-xrdp/socket", None);
        assert_eq!(rights(&near, "/usr/share/fonts/truetype/a.ttf"), [Right::ReadIfThere]);
        assert_eq!(rights(&near, "/var/lib/sudare/devices/ab.operators"), [Right::ReadIfThere]);
        for path in [
            "/var/lib/sudare/host.key",
            "/var/lib/sudare/storage.key",
            "/etc/xrdp/key.pem",
            "/etc/shadow",
            "/home/alice",
            "/usr/bin/sh",
            "/proc/1/mem",
        ] {
            assert_eq!(rights(&near, path), [], "{path}");
        }
    }

    #[test]
    fn only_the_program_that_decodes_can_be_started_and_only_a_far_host_is_looked_up() {
        let decoding = of("unix:/x", Some(Path::new("/usr/bin/sudare-picture")));
        assert_eq!(rights(&decoding, "/usr/bin/sudare-picture"), [Right::RunIfThere]);
        assert_eq!(rights(&decoding, "/usr/bin/sudare-host"), []);
        assert_eq!(rights(&decoding, "/etc/hosts"), []);
        let pin = "ab".repeat(32);
        let far = format!("tcp:host:3390#{pin}");
        assert_eq!(rights(&of(&far, None), "/etc/hosts"), [Right::ReadIfThere]);
        assert_eq!(rights(&of(&far, None), "/etc/passwd"), []);
        assert_eq!((port(&far.parse().unwrap()), port(&"unix:/x".parse().unwrap())), (Some(3390), None));
    }
}
