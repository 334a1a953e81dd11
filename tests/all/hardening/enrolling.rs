//! `sudare-host init` and `device` typed by root, where the folder belongs to the gates: what is written, gates can read.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sudare_protocol::records::{DeviceRecord, Signed};
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::{SigningKey, keyfile};
use sudare_test_kit::{pair, program};

use super::skip_or_fail;

/// "nobody" of every Linux.
const GUARDS: u32 = 65_534;

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Host { dir: tempfile::tempdir().unwrap() };
        assert_eq!(host.run(&["init"]), (true, String::new()));
        let organisation = pair::organisation_key();
        let public = keyfile::public_line(&organisation.verifying_key());
        fs::write(host.path("state/organisation.pub"), public).unwrap();
        let device = SigningKey::from_bytes(&[3; 32]).verifying_key();
        let record = DeviceRecord {
            device_id: keyfile::device_id(&device),
            device_key: device.to_bytes(),
            user: "alice".into(),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
        };
        fs::write(host.path("device.record"), Signed::sign(&organisation, &record).unwrap()).unwrap();
        let vectors = vec![(0..128).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect()];
        let template = OperatorTemplate {
            operator_id: [1; 16],
            model_sha256: [2; 32],
            rotation_id: [3; 16],
            vectors,
            regions: Vec::new(),
            self_cosine: None,
        };
        fs::write(host.path("me.operator"), template.to_bytes().unwrap()).unwrap();
        fs::write(host.path("bad.operator"), "no operator file").unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Whether it was done, and what was complained of.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(program("sudare-host").unwrap());
        command.args(arguments).arg("--state-dir").arg(self.path("state"));
        let output = command.current_dir(self.dir.path()).stdin(Stdio::null()).output();
        let Output { status, stderr, .. } = output.unwrap();
        (status.success(), String::from_utf8_lossy(&stderr).into_owned())
    }

    fn devices(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("state/devices")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

#[test]
fn a_device_whose_operator_file_cannot_be_used_is_not_enrolled() {
    let host = Host::new();
    let (done, said) = host.run(&["device", "add", "device.record", "--operator", "bad.operator"]);
    assert!(!done && said.contains("bad.operator"), "{said}");
    assert_eq!(host.devices(), Vec::<PathBuf>::new());
    assert!(host.run(&["device", "add", "device.record", "--operator", "me.operator"]).0);
    assert_eq!(host.devices().len(), 2);
}

#[test]
fn root_does_not_lock_a_seat_out() {
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("root", "only root can write into the folder of another user");
    }
    let host = Host::new();
    assert!(host.run(&["device", "add", "device.record", "--operator", "me.operator"]).0);
    let id = host.devices()[0].file_stem().unwrap().to_str().unwrap().to_owned();
    // Whoever steps down has to get in.
    fs::set_permissions(host.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let all =
        Command::new("chown").args(["-R", &GUARDS.to_string()]).arg(host.path("state")).status().unwrap();
    assert!(all.success());
    let owners = || host.devices().iter().map(|path| owner(path)).collect::<BTreeSet<_>>();
    for arguments in
        [&["device", "operator", &id, "me.operator"][..], &["device", "add", "device.record"], &["init"]]
    {
        assert_eq!(host.run(arguments), (true, String::new()), "{arguments:?}");
        assert_eq!(owners(), BTreeSet::from([GUARDS]), "{arguments:?}");
    }
    assert!(host.run(&["device", "revoke", &id]).0);
}

fn owner(path: &Path) -> u32 {
    path.metadata().unwrap().uid()
}
