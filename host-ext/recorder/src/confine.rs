//! What the recorder gives up once it runs. Pure: rules, not system calls.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::path::{Path, PathBuf};

use sudare_base::config::HostConfig;
use sudare_base::harden::{Right, Rules, parent};

/// It may use its evidence and its socket, and read its settings anew. It has read its key by now and can no longer open
/// it.
/// `certificate` is the file that clients see, and where links lead from it.
pub fn rules(config: &HostConfig, settings: Option<&Path>, certificate: &[PathBuf]) -> Rules {
    let evidence = config.recorder_evidence_dir();
    let mut paths = vec![
        // Where the kernel has no getrandom(2).
        ("/dev/urandom".into(), Right::ReadIfThere),
        (parent(&evidence), Right::List),
        (evidence, Right::Keep),
        (parent(&config.recorder_socket), Right::Listen),
    ];
    // Their ends are shown, also of those that are put in their places while it runs.
    let certificates = certificate.iter().filter(|file| !config.recorder_dir.starts_with(parent(file)));
    paths.extend(certificates.map(|file| (parent(file), Right::ReadIfThere)));
    paths.extend(settings.map(|file| (settings_place(file, &config.recorder_dir), Right::ReadIfThere)));
    // The shipper's progress.
    paths.extend(config.ship_state_dir.clone().map(|dir| (dir, Right::ReadIfThere)));
    Rules { paths, connects: false }
}

/// The file's folder, because an editor puts a new file in place of the old one. Never one with the key in it: then a
/// file that was replaced is not read anew, which is said.
fn settings_place(file: &Path, recorder_dir: &Path) -> PathBuf {
    let folder = parent(file);
    if recorder_dir.starts_with(&folder) { file.to_owned() } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rights to a path; a nearer rule does not hide the ones above it.
    fn rights(rules: &Rules, path: &str) -> Vec<Right> {
        let above = rules.paths.iter().filter(|(above, _)| Path::new(path).starts_with(above));
        above.map(|(_, right)| *right).collect()
    }

    fn recorder() -> Rules {
        let mut config = HostConfig::load(None, &[]).unwrap();
        config.ship_state_dir = Some("/var/lib/sudare-ship".into());
        rules(&config, Some(Path::new("/etc/sudare/host.toml")), &["/etc/ssl/certs/host.pem".into()])
    }

    #[test]
    fn the_recorder_writes_evidence_and_can_open_neither_its_key_nor_anything_else() {
        let rules = recorder();
        let rights = |path: &str| rights(&rules, path);
        assert!(rights("/var/lib/sudare-recorder/evidence/wal").contains(&Right::Keep));
        assert_eq!(rights("/var/lib/sudare-recorder/log.key"), [Right::List]);
        assert_eq!(rights("/run/sudare-recorder/socket"), [Right::Listen]);
        assert_eq!(rights("/var/lib/sudare-ship/shipped"), [Right::ReadIfThere]);
        assert_eq!(rights("/etc/sudare/host.toml"), [Right::ReadIfThere]);
        assert_eq!(rights("/etc/ssl/certs/renewed.pem"), [Right::ReadIfThere]);
        for path in ["/etc/passwd", "/var/lib/sudare/host.key", "/home/alice", "/usr/bin/sh", "/proc/1/mem"] {
            assert_eq!(rights(path), [], "{path}");
        }
        assert!(!rules.connects);
    }

    #[test]
    fn settings_beside_the_key_do_not_open_it() {
        let key = Path::new("/srv/recorder");
        assert_eq!(settings_place(Path::new("/srv/host.toml"), key), Path::new("/srv/host.toml"));
        let config = HostConfig { recorder_dir: key.into(), ..HostConfig::load(None, &[]).unwrap() };
        let beside = rules(&config, None, &["/srv/cert.pem".into(), "/srv/recorder/cert.pem".into()]);
        assert!(beside.paths.iter().all(|(path, _)| path != Path::new("/srv") || path == key), "{beside:?}");
        assert_eq!(settings_place(Path::new("/etc/sudare/host.toml"), key), Path::new("/etc/sudare"));
    }
}
