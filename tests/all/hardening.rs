//! The recorder and those who tell others of evidence, as installed services: what they may still do, what
//! their units leave them, and what systemd hears of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod confined;
mod enrolling;
mod reloading;
mod running;
mod umask;
mod units;

use std::path::{Path, PathBuf};
use std::process::Output;

use sudare_protocol::keyfile;
use sudare_protocol::records::Signed;
use sudare_records::keys;
use sudare_test_kit::pair;

/// A recorder's folder, socket and settings, below a folder that vanishes with the test.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        let recorder = place.path("recorder");
        keys::init_recorder(&recorder).unwrap();
        let organisation = pair::organisation_key();
        let host_key = pair::host_key().verifying_key().to_bytes();
        let record = pair::host_record("vdi-1", host_key);
        let public = keyfile::public_line(&organisation.verifying_key());
        std::fs::write(recorder.join("organisation.pub"), public).unwrap();
        std::fs::write(recorder.join("host.record"), Signed::sign(&organisation, &record).unwrap()).unwrap();
        std::fs::create_dir(place.path("run")).unwrap();
        let settings = format!(
            "state_dir = \"{}\"\nrecorder_dir = \"{}\"\nrecorder_socket = \"{}\"\nrun_as = \"nobody\"\n",
            place.path("host").display(),
            recorder.display(),
            place.socket().display()
        );
        std::fs::write(place.path("host.toml"), settings).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("run/socket")
    }
}

/// Whether the set-up promised a tool, so that a test that misses it fails instead of leaving itself out.
pub(crate) fn skip_or_fail(tool: &str, why: &str) {
    let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == tool), "{tool} is required: {why}");
    println!("SKIPPED: {why}");
}

fn repository() -> &'static Path {
    sudare_test_kit::checkout()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}
