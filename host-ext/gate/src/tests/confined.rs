//! A child that confines itself as a connection does, tries what a gate that was taken over would try, and says what
//! worked: once confined and once not, so that the test shows what that changes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use sudare_base::config::HostConfig;
use sudare_base::harden::{self, Enforced};

use crate::confine::confine;
use crate::targets::Targets;

const FOLDER: &str = "SUDARE_TEST_CONFINED_FOLDER";
const PORT: &str = "SUDARE_TEST_CONFINED_PORT";
const CONFINE: &str = "SUDARE_TEST_CONFINED";
/// Before each line of the child; the test harness writes lines, too.
const MARK: &str = "tried ";

/// What the child tries, and whether a connection may.
const TRIES: [(&str, bool); 11] = [
    ("read a device's record", true),
    ("talk over a socket that it has", true),
    ("read the host's key again", false),
    ("read a file of somebody", false),
    ("make a file", false),
    ("delete a file", false),
    ("list a folder", false),
    ("run a program", false),
    ("listen on TCP", false),
    ("listen on a unix socket", false),
    ("connect to TCP", false),
];

#[test]
fn a_connection_that_was_taken_over_reaches_neither_keys_nor_files_nor_other_machines() {
    if harden::offered() != Enforced::Fully {
        eprintln!("SKIPPED: this kernel enforces Landlock not or in part");
        return;
    }
    let free = play(false);
    assert!(TRIES.iter().all(|(name, _)| free[*name]), "unconfined all of it works: {free:?}");
    let confined = play(true);
    for (name, allowed) in TRIES {
        assert_eq!(confined[name], allowed, "{name}: {confined:?}");
    }
}

/// Starts this test program again, and reads what its child says.
fn play(confined: bool) -> BTreeMap<String, bool> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("devices")).unwrap();
    for name in ["devices/ab.record", "host.key", "diary", "old"] {
        fs::write(path(name), "content").unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "tests::confined::the_child_of_the_test_above",
        "--nocapture",
        "--test-threads=1",
    ]);
    child.env(FOLDER, folder.path()).env(PORT, listener.local_addr().unwrap().port().to_string());
    if confined {
        child.env(CONFINE, "1");
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tried = said.lines().filter_map(|line| line.split_once(MARK)?.1.rsplit_once(' '));
    let tried: BTreeMap<String, bool> =
        tried.map(|(name, worked)| (name.to_owned(), worked == "true")).collect();
    assert_eq!(tried.len(), TRIES.len(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    tried
}

/// Not a test by itself: what [`play`] starts.
#[test]
fn the_child_of_the_test_above() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let path = |name: &str| Path::new(&folder).join(name);
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    let config = HostConfig::load(None, &[("state_dir", folder.clone())]).unwrap();
    let (near, far) = UnixDatagram::pair().unwrap();
    if std::env::var_os(CONFINE).is_some() {
        let targets = Targets::read("unix:/run/sudare-xrdp/socket", &[]).unwrap();
        confine(&config, &targets).unwrap();
    }
    let tries = [
        File::open(path("devices/ab.record")).is_ok(),
        near.send(b"hello").is_ok() && far.recv(&mut [0; 8]).is_ok(),
        File::open(path("host.key")).is_ok(),
        File::open(path("diary")).is_ok(),
        fs::write(path("new"), "content").is_ok(),
        fs::remove_file(path("old")).is_ok(),
        fs::read_dir(&folder).is_ok(),
        Command::new("/bin/true").status().is_ok(),
        TcpListener::bind("127.0.0.1:0").is_ok(),
        UnixDatagram::bind(path("socket")).is_ok(),
        TcpStream::connect(("127.0.0.1", port)).is_ok(),
    ];
    for ((name, _), worked) in TRIES.iter().zip(tries) {
        println!("{MARK}{name} {worked}");
    }
}
