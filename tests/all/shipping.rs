//! `sudare-ship` as a real process: killed at random moments, cut off from its destination,
//! and sent to buckets that lock and buckets that do not. The bucket server is moto, and boto3 says
//! what is in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[path = "shipping/forwarder.rs"]
mod forwarder;
#[path = "shipping/outside.rs"]
mod outside;
#[path = "shipping/server.rs"]
mod server;
#[path = "shipping/source.rs"]
mod source;
#[path = "shipping/telling.rs"]
mod telling;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sudare_evidence::shipped::shipped_size;
use sudare_evidence::status::ship::Status;
use sudare_protocol::tlog::VerifierKey;
use sudare_test_kit::{program, wait_until};

use forwarder::Forwarder;
use server::Server;
use source::Source;

/// `sudare-ship` and where it finds things.
struct Shipping<'a> {
    source: &'a Source,
    to: String,
    headers: Option<String>,
    endpoint: Option<String>,
}

impl<'a> Shipping<'a> {
    fn to_folder(source: &'a Source) -> Self {
        let to = format!("file://{}", source.path("remote").display());
        Self { source, to, headers: None, endpoint: None }
    }

    fn to_bucket(source: &'a Source, endpoint: &str, bucket: &str, headers: Option<&str>) -> Self {
        let url = |bucket: &str| format!("s3://{bucket}/host/one");
        Self { source, to: url(bucket), headers: headers.map(url), endpoint: Some(endpoint.to_owned()) }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(program("sudare-ship").unwrap());
        command.arg("--store").arg(self.source.path("store"));
        command.arg("--key").arg(self.source.path("log.vkey")).arg("--state").arg(self.source.path("ship"));
        command.args(["--to", &self.to]).args(more);
        if let Some(headers) = &self.headers {
            command.args(["--headers", headers]);
        }
        if let Some(endpoint) = &self.endpoint {
            command.env("AWS_ENDPOINT_URL", endpoint);
        }
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "very-secret-key");
        command.env("AWS_REGION", "us-east-1").env("RUST_LOG", "warn");
        command
    }

    fn start(&self) -> Running {
        self.start_with(&[])
    }

    fn start_with(&self, more: &[String]) -> Running {
        Running(self.command(&[]).args(more).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Whether `--once` succeeded, and what it printed on both channels.
    fn once(&self, more: &[&str]) -> (bool, String) {
        let more: Vec<&str> = ["--once"].iter().chain(more).copied().collect();
        let output = self.command(&more).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn status(&self) -> Option<Status> {
        Status::read(&self.source.path("ship")).unwrap()
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Status) -> bool) {
        wait_until(what, || {
            let status = self.status();
            let holds = status.as_ref().is_some_and(&condition);
            Ok(if holds { Ok(()) } else { Err(format!("{status:?}")) })
        })
        .unwrap();
    }

    /// Kills the process at random moments while the log grows; then lets it finish.
    fn killed_while_growing(&self, rounds: u32, longest_ms: u64, seed: u64, at_each_kill: impl Fn()) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut recorder = self.source.recorder();
        let (mut last, mut moved) = (0, 0);
        for round in 0..rounds {
            source::grow(&mut recorder, 140, 6);
            let mut running = self.start();
            thread::sleep(Duration::from_millis(random.random_range(20..longest_ms)));
            running.kill();
            let shipped = shipped_size(&self.source.path("ship")).unwrap();
            assert!(shipped >= last && shipped <= recorder.size(), "round {round}: {last}, {shipped}");
            moved += u32::from(shipped > last);
            last = shipped;
            at_each_kill();
        }
        println!("seed {seed}: {rounds} kills, {moved} of them after a checkpoint had left");
        let (ended, text) = self.once(&[]);
        assert!(ended, "{text}");
        assert_eq!(shipped_size(&self.source.path("ship")).unwrap(), recorder.size());
    }
}

#[test]
fn a_reload_ends_no_shipping_and_a_line_of_another_log_is_not_taken() {
    let source = Source::new();
    // Before it begins, there is something: without a store it ends.
    source::grow(&mut source.recorder(), 5, 1);
    let shipping = Shipping::to_folder(&source);
    let log = std::fs::File::create(source.path("said")).unwrap();
    let child = shipping.command(&[]).env("RUST_LOG", "info").stderr(log).spawn().unwrap();
    let mut running = Running(child);
    let reload = |running: &Running, expected: &str| {
        let said = || std::fs::read_to_string(source.path("said")).unwrap();
        let before = said().len();
        kill_process(Pid::from_child(&running.0), Signal::HUP).unwrap();
        wait_until(expected, || Ok(if said()[before..].contains(expected) { Ok(()) } else { Err(said()) }))
            .unwrap();
    };
    let grown = || {
        source::grow(&mut source.recorder(), 5, 1);
        let size = source.recorder().size();
        shipping
            .wait_until("more to be shipped", |status| status.shipped + 1 >= size && status.error.is_none());
    };
    grown();
    let ours = std::fs::read_to_string(source.path("log.vkey")).unwrap();
    reload(&running, "keys and certificate authorities are read anew");
    grown();
    // As an editor does: another file in its place.
    let put = |text: &str| {
        std::fs::write(source.path("new"), text).unwrap();
        std::fs::rename(source.path("new"), source.path("log.vkey")).unwrap();
    };
    put("half a li");
    reload(&running, "not read anew, what was read before stays in use");
    grown();
    let another = VerifierKey::new("example/another", source::key().verifying_key()).unwrap();
    put(&another.to_string());
    reload(&running, "not read anew, what was read before stays in use");
    grown();
    put(&ours);
    assert!(running.0.try_wait().unwrap().is_none());
}

/// Dies with its test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        // It may have ended by itself; waiting tells.
        drop(self.0.kill());
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kinds of what an auditor finds in a copy of the log, with `sudare-audit verify`.
fn findings(source: &Source, dir: &Path) -> Vec<String> {
    let mut command = Command::new(program("sudare-audit").unwrap());
    command.arg("verify").arg(dir).arg("--key").arg(source.path("log.vkey")).arg("--json");
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds = report["findings"].as_array().unwrap().iter();
    kinds.map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

/// `SUDARE_LONG` asks for more of the same.
fn rounds(short: u32, long: u32) -> u32 {
    if std::env::var_os("SUDARE_LONG").is_some() { long } else { short }
}

#[test]
fn a_shipper_killed_at_any_moment_leaves_a_copy_that_verifies() {
    let source = Source::new();
    let shipping = Shipping::to_folder(&source);
    let remote = source.path("remote");
    shipping.killed_while_growing(rounds(12, 120), 450, 1, || {
        if remote.join("checkpoint").exists() {
            // Bundles of the next checkpoint may be there before it; nothing is ever missing.
            let found = findings(&source, &remote);
            assert!(found.iter().all(|kind| kind == "beyond-checkpoint"), "{found:?}");
        }
    });
    assert_eq!(findings(&source, &remote), [""; 0]);
    assert_eq!(source::files(&remote.join("blobs")), source::files(&source.path("store/blobs")));
    assert_eq!(source::files(&remote.join("headers")), source::files(&source.path("store/headers")));
}

#[test]
fn a_locked_bucket_holds_everything_once_and_only_headers_can_be_deleted() {
    let Some(mut server) = Server::start() else { return };
    server.make("locked", Some("COMPLIANCE"), false);
    server.make("deletable", None, false);
    let source = Source::new();
    let endpoint = server.endpoint().to_owned();
    let shipping = Shipping::to_bucket(&source, &endpoint, "locked", Some("deletable"));
    shipping.killed_while_growing(rounds(6, 40), 1_500, 2, || {});
    for bucket in ["locked", "deletable"] {
        for (key, versions) in server.count(bucket) {
            assert!(versions == 1 || key == "host/one/checkpoint", "{key} was put {versions} times");
        }
        server.download(bucket, &source.path("copy"));
    }
    let copy = source.path("copy/host/one");
    assert_eq!(findings(&source, &copy), [""; 0]);
    assert_eq!(shipping.status().unwrap().retention, "COMPLIANCE, 30 days");

    let name = source::files(&copy.join("blobs")).remove(0);
    assert_eq!(server.delete("locked", &format!("host/one/blobs/{name}")), ["AccessDenied"]);
    assert_eq!(server.delete("deletable", &format!("host/one/headers/{name}")), ["deleted"]);

    // An erasure on the host goes on over there by itself.
    let name = source::files(&copy.join("blobs")).remove(1);
    source.erase(&name);
    assert!(shipping.once(&[]).0);
    assert!(!server.count("deletable").contains_key(&format!("host/one/headers/{name}")));
    assert!(server.count("locked").contains_key(&format!("host/one/blobs/{name}")));
}

#[test]
fn buckets_that_cannot_do_what_evidence_needs_are_refused_with_advice() {
    let Some(mut server) = Server::start() else { return };
    server.make("locked", Some("GOVERNANCE"), false);
    server.make("versions", None, true);
    server.make("plain", None, false);
    let source = Source::new();
    source::grow(&mut source.recorder(), 3, 1);
    let endpoint = server.endpoint().to_owned();
    let refused = |bucket: &str, headers: Option<&str>, more: &[&str], advice: &str| {
        let shipping = Shipping::to_bucket(&source, &endpoint, bucket, headers);
        let (ended, text) = shipping.once(more);
        assert!(!ended && text.contains(advice), "{bucket}: {text}");
        assert!(!text.contains("very-secret-key"));
        std::fs::remove_dir_all(source.path("ship")).unwrap();
    };
    refused("plain", None, &[], "--allow-unlocked");
    refused("locked", None, &[], "--headers");
    refused("locked", Some("locked"), &[], "--headers");
    refused("locked", Some("versions"), &[], "--headers");
    refused("versions", None, &["--allow-unlocked"], "--headers");
    refused("missing", None, &[], "NoSuchBucket");
    for bucket in ["locked", "versions", "plain"] {
        assert!(server.count(bucket).is_empty(), "{bucket}");
    }
    let shipping = Shipping::to_bucket(&source, &endpoint, "plain", None);
    let (ended, text) = shipping.once(&["--allow-unlocked", "--json"]);
    assert!(ended && text.contains("\"retention\":\"none\""), "{text}");
    // Somebody puts another checkpoint there.
    server.put("plain", "host/one/checkpoint", "not ours");
    let (ended, text) = shipping.once(&["--allow-unlocked"]);
    assert!(!ended && text.contains("place of its own"), "{text}");
}

#[test]
fn an_endpoint_without_tls_elsewhere_is_refused_before_anything_is_sent() {
    let source = Source::new();
    source::grow(&mut source.recorder(), 1, 0);
    let shipping = Shipping::to_bucket(&source, "http://192.0.2.1:9000", "b", None);
    let (ended, text) = shipping.once(&[]);
    assert!(!ended && text.contains("https://"), "{text}");
}

#[test]
fn a_destination_that_cannot_be_reached_is_tried_again_and_everybody_can_see_it() {
    let Some(mut server) = Server::start() else { return };
    server.make("locked", Some("COMPLIANCE"), false);
    server.make("deletable", None, false);
    let source = Source::new();
    source::grow(&mut source.recorder(), 20, 2);
    let forwarder = Forwarder::new(server.endpoint());
    let shipping = Shipping::to_bucket(&source, &forwarder.endpoint(), "locked", Some("deletable"));
    let running = shipping.start();
    shipping.wait_until("it cannot be reached from the start", |status| {
        status.attempts >= 2 && status.failing_since_ms.is_some() && status.shipped == 0
    });
    forwarder.set_open(true);
    shipping.wait_until("it is reached", |status| status.shipped == 21 && status.error.is_none());
    forwarder.set_open(false);
    source::grow(&mut source.recorder(), 20, 2);
    shipping.wait_until("it is lost again", |status| status.error.is_some() && status.shipped == 21);
    forwarder.set_open(true);
    let size = source.recorder().size();
    shipping.wait_until("it is reached again", |status| status.shipped >= size - 1 && status.error.is_none());
    drop(running);
    assert!(shipping.once(&[]).0);
    assert!(server.count("locked").values().filter(|versions| **versions > 1).count() <= 1);
}
