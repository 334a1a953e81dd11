//! Debian packages of programs that only stand for ours, which are quickly packed: what is inside, for whom, and that
//! the same programs make the same bytes. [`crate::booted`] installs packages of the real ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use sudare_test_kit::checkout;
use sudare_test_kit::needs::find;

use crate::hardening::skip_or_fail;

/// What a host runs.
pub(crate) const HOST_PROGRAMS: [&str; 10] = [
    "sudare-audit",
    "sudare-fleet",
    "sudare-forward",
    "sudare-gate",
    "sudare-host",
    "sudare-nla",
    "sudare-owner",
    "sudare-picture",
    "sudare-recorder",
    "sudare-ship",
];
/// Programs of the other packages.
const OTHERS: [&str; 5] = ["sudare", "sudare-authority", "sudare-notary", "sudare-window", "sudare-witness"];
const PLUGIN: &str = "libsudare_client.so";
/// Debian's tools, by a program of each package.
const TOOLS: [&str; 3] = ["dpkg-buildpackage", "dh", "help2man"];
const VERSION: &str = "1.2.3";

/// Packed programs, in a folder that vanishes with the test.
struct Packed {
    dir: tempfile::TempDir,
}

impl Packed {
    /// `None`, with a loud word, where Debian's tools are not installed.
    fn new(umask: &str) -> Option<Self> {
        if let Some(tool) = TOOLS.iter().find(|tool| find(tool).is_none()) {
            skip_or_fail(tool, &format!("{tool} packs programs (debhelper, dpkg-dev, help2man)"));
            return None;
        }
        let packed = Packed { dir: tempfile::tempdir().unwrap() };
        let programs = packed.dir.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        let stands_for_it = find("true").unwrap();
        for name in HOST_PROGRAMS.iter().chain(&OTHERS).chain(&[PLUGIN]) {
            std::fs::copy(&stands_for_it, programs.join(name)).unwrap();
        }
        let output = Command::new("sh")
            .args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask])
            .arg(checkout().join("deploy/packages/pack"))
            .arg(programs)
            .arg(VERSION)
            .arg(packed.out())
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(packed)
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Each package's bytes, by its name.
    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(self.out()).unwrap().flatten().map(|entry| entry.path());
        let name =
            |path: &Path| path.file_name().unwrap().to_str().unwrap().split('_').next().unwrap().to_owned();
        files.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
    }

    /// Path and mode of each file and folder of a package.
    fn files(&self, package: &str) -> BTreeMap<String, String> {
        let said = self.tool("dpkg-deb", &["-c"], package);
        let lines = said.lines().map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1], "root/root", "{line}");
            (words[5].trim_start_matches('.').to_owned(), words[0].to_owned())
        });
        lines.collect()
    }

    fn tool(&self, tool: &str, arguments: &[&str], package: &str) -> String {
        let files = std::fs::read_dir(self.out()).unwrap().flatten().map(|entry| entry.path());
        let ours =
            |path: &PathBuf| package.is_empty() || path.to_string_lossy().contains(&format!("/{package}_"));
        let output = Command::new(tool).args(arguments).args(files.filter(ours)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

#[test]
fn packages_contain_what_each_reader_needs_and_the_same_bytes_whoever_packs_them() {
    let Some(packed) = Packed::new("022") else { return };
    let host = packed.files("sudare-host");
    let programs = |files: &BTreeMap<String, String>| -> Vec<String> {
        let names =
            files.keys().filter(|path| path.contains("/bin/sudare") || path.contains("/sudare/sudare-"));
        names.map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
    };
    let mut found = programs(&host);
    found.sort();
    assert_eq!(found, HOST_PROGRAMS);
    // The organisation's key is offline, a witness is elsewhere, and an auditor's machine is no host.
    let of = |package: &str| programs(&packed.files(package));
    assert_eq!(of("sudare-client"), ["sudare", "sudare-window"]);
    assert_eq!(of("sudare-audit"), ["sudare-audit", "sudare-notary"]);
    assert_eq!(
        (of("sudare-witness"), of("sudare-authority")),
        (vec!["sudare-witness".into()], vec!["sudare-authority".into()])
    );
    let client = packed.files("sudare-client");
    for release in ["freerdp2", "freerdp3"] {
        let plugin = format!("/{release}/libsudare-client.so");
        assert!(client.keys().any(|path| path.ends_with(&plugin)), "{client:?}");
    }
    for (path, mode) in packed.files("sudare-host").iter().chain(&client) {
        assert!(
            !mode[1..].contains(['s', 't']) && &mode[7..] != "rwx" && &mode[7..9] != "rw",
            "{path}: {mode}"
        );
    }
    units_name_pages_that_are_there(&host);

    // Another hour, another folder, and a hardened machine's umask.
    let Some(again) = Packed::new("077") else { return };
    for (name, bytes) in packed.all() {
        assert!(again.all()[&name] == bytes, "{name} has other bytes");
    }
    lint(&packed);
}

fn units_name_pages_that_are_there(host: &BTreeMap<String, String>) {
    let folder = checkout().join("deploy/linux/host");
    let units = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let is_unit = |path: &PathBuf| {
        path.extension().is_some_and(|end| ["service", "socket", "timer"].iter().any(|kind| end == *kind))
    };
    let mut seen = 0;
    for unit in units.filter(is_unit) {
        let name = unit.file_name().unwrap().to_str().unwrap();
        assert!(host.contains_key(&format!("/usr/lib/systemd/system/{name}")), "{name} is in no package");
        let text = std::fs::read_to_string(&unit).unwrap();
        let page = text.lines().find_map(|line| line.strip_prefix("Documentation=file://")).expect("a page");
        assert!(host.contains_key(page), "{name} names {page}, which is not installed");
        seen += 1;
    }
    assert!(seen >= 8, "{seen} units");
}

/// Debian's own judge of packages.
fn lint(packed: &Packed) {
    if find("lintian").is_none() {
        return skip_or_fail("lintian", "lintian judges packages");
    }
    let said = packed.tool("lintian", &["--allow-root", "--tag-display-limit", "0", "--fail-on", "none"], "");
    assert_eq!(said, "");
}
