//! What the recorder gives up once it runs. Pure: rules, not system calls.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_base::config::HostConfig;
use sudare_base::harden::{Right, Rules, parent};

/// It may use its evidence and its socket. It has read its key by now and can no longer open it.
pub fn rules(config: &HostConfig) -> Rules {
    let evidence = config.recorder_evidence_dir();
    let mut paths = vec![
        // Where the kernel has no getrandom(2).
        ("/dev/urandom".into(), Right::ReadIfThere),
        (parent(&evidence), Right::List),
        (evidence, Right::Keep),
        (parent(&config.recorder_socket), Right::Listen),
    ];
    // The shipper's progress.
    paths.extend(config.ship_state_dir.clone().map(|dir| (dir, Right::ReadIfThere)));
    Rules { paths, connects: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// All rights to a path; a nearer rule does not hide the ones above it.
    fn rights(rules: &Rules, path: &str) -> Vec<Right> {
        let above = rules.paths.iter().filter(|(above, _)| Path::new(path).starts_with(above));
        above.map(|(_, right)| *right).collect()
    }

    fn recorder() -> Rules {
        let mut config = HostConfig::load(None, &[]).unwrap();
        config.ship_state_dir = Some("/var/lib/sudare-ship".into());
        rules(&config)
    }

    #[test]
    fn the_recorder_writes_evidence_and_can_open_neither_its_key_nor_anything_else() {
        let rules = recorder();
        let rights = |path: &str| rights(&rules, path);
        assert!(rights("/var/lib/sudare-recorder/evidence/wal").contains(&Right::Keep));
        assert_eq!(rights("/var/lib/sudare-recorder/log.key"), [Right::List]);
        assert_eq!(rights("/run/sudare-recorder/socket"), [Right::Listen]);
        assert_eq!(rights("/var/lib/sudare-ship/shipped"), [Right::ReadIfThere]);
        for path in ["/etc/passwd", "/var/lib/sudare/host.key", "/home/alice", "/usr/bin/sh", "/proc/1/mem"] {
            assert_eq!(rights(path), [], "{path}");
        }
        assert!(!rules.connects);
    }
}
