//! No room for the state, nobody there: alarms wait, the reason can be seen, and they go on by themselves.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::log::Log;
use super::program::{forward_once, forwarded, status, uid};
use super::skip_or_fail;

fn delivered(log: &Log) -> Vec<String> {
    let text = fs::read_to_string(log.path("out")).unwrap_or_default();
    text.lines().map(uid).collect()
}

/// A file system so small that it can be filled; ends with the value.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "sudare-siem"]).arg(path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(path))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0).status().ok();
    }
}

#[test]
fn a_full_disk_delays_alarms_and_says_so() {
    let mut log = Log::new();
    let state = log.path("state");
    let Some(small) = Small::mount(&state) else {
        return skip_or_fail("stack", "a full disk: only root can mount a small file system");
    };
    let to = format!("file:{}", log.path("out").display());
    let mut expected = log.incidents(1);
    forwarded(&log, &to, "ocsf", &[]);
    expected.extend(log.incidents(10));
    let filler = state.join("filler");
    let mut size = 64 * 1024;
    while size > 0 && fs::write(&filler, vec![0; size]).is_err() {
        size -= 4096;
    }
    let output = forward_once(&log, &to, "ocsf", &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("the disk has space"), "{words}");
    let said = status(&log);
    assert_eq!(said["state"], "waiting");
    assert!(said["last_error"].as_str().unwrap().contains("No space left"), "{said}");
    assert_eq!(delivered(&log), expected[..2]);

    fs::remove_file(&filler).unwrap();
    forwarded(&log, &to, "ocsf", &[]);
    assert_eq!(delivered(&log), expected);
    assert_eq!(
        (status(&log)["state"].clone(), status(&log)["last_error"].clone()),
        ("idle".into(), ().into())
    );
    drop(small);
}

#[test]
fn a_receiver_that_is_not_there_is_in_the_status() {
    let mut log = Log::new();
    let expected = log.incidents(3);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = forward_once(&log, &format!("tcp://{closed}"), "cef", &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be reached"));
    let said = status(&log);
    assert_eq!((said["state"].clone(), said["running"].clone()), ("waiting".into(), false.into()));
    assert_eq!(said["waiting_events"].as_u64(), Some(expected.len() as u64));
    assert_eq!(said["accepted_events"], 0);
}

#[test]
fn what_cannot_be_meant_is_refused_with_advice() {
    let log = Log::new();
    let refused = |to: &str, format: &str, more: &[&str]| {
        let output = forward_once(&log, to, format, more);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused("udp://siem.example:514", "cef", &[]).contains("Use tcp://HOST:PORT"));
    assert!(
        refused("https://siem.example:8088/services/collector", "cef", &[]).contains("takes --format hec")
    );
    assert!(refused("http://siem.example:8088/services/collector", "hec", &[]).contains("Use https://"));
    assert!(
        refused("https://localhost:1/services/collector", "hec", &[]).contains("SUDARE_HEC_TOKEN is not set")
    );
    assert!(refused("tls://localhost:1", "cef", &["--ca", "/nonexistent"]).contains("--ca"));
    fs::copy(log.path("log.vkey"), log.path("store/log.vkey")).unwrap();
    fs::remove_file(log.path("log.vkey")).unwrap();
    assert!(refused("file:/dev/null", "ocsf", &[]).contains("does not exist"));
    std::os::unix::fs::symlink(log.path("store/log.vkey"), log.path("log.vkey")).unwrap();
    assert!(refused("file:/dev/null", "ocsf", &[]).contains("is inside the store"));
}
