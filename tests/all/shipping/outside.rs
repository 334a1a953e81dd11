//! A shipper with a witness and a time-stamp service, all of them real processes: what they say lands beside the
//! copy; a refusal is reported and does not stop the copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sudare_evidence::status::ship::Status;
use sudare_test_kit::program;
use sudare_test_kit::tsa::{self, A_DAY, Authority};

use super::server::Server;
use super::source::{self, Source};
use super::{Shipping, findings};
use crate::witness::{Place, required};

/// A witness that knows the log, and an authority for times.
struct Others {
    place: Place,
    authority: Authority,
}

impl Others {
    fn of(source: &Source) -> Self {
        let place = Place::new();
        fs::copy(source.path("log.vkey"), place.path("log.vkey")).unwrap();
        let authority = Authority::make(&place.path("authority"), A_DAY).unwrap();
        Others { place, authority }
    }

    /// The address of the service.
    fn times(&self) -> String {
        let authority = self.authority.clone();
        tsa::serve(move |query| (200, authority.reply(query).unwrap())).unwrap()
    }

    fn arguments(&self, witness: &str, times: &str) -> Vec<String> {
        let key = self.place.text("witness.vkey");
        ["--witness", witness, "--witness-key", &key, "--timestamps", times].map(str::to_owned).to_vec()
    }

    /// What an auditor who trusts both finds in a copy.
    fn audited(&self, source: &Source, copy: &Path) -> Value {
        let mut command = Command::new(program("sudare-audit").unwrap());
        command.arg("verify").arg(copy).arg("--key").arg(source.path("log.vkey")).arg("--json");
        command.arg("--witness").arg(self.place.path("witness.vkey"));
        command.arg("--timestamps").arg(copy.join("timestamps"));
        command.arg("--tsa-cert").arg(self.authority.certificate());
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    }
}

/// Says so loudly if not.
fn is_possible() -> bool {
    let possible = tsa::is_possible();
    assert!(possible || !required("openssl"), "openssl is not installed");
    if !possible {
        println!("SKIPPED: no time tokens for what is shipped. Install the package openssl.");
    }
    possible
}

/// How `sudare-host doctor` finds this part, and what it says about it.
fn doctor(source: &Source, part: &str) -> (bool, String) {
    let config = source.path("host.toml");
    let folder = |name: &str| source.path(name).display().to_string();
    let text = format!("state_dir = {:?}\nship_state_dir = {:?}\n", folder("state"), folder("ship"));
    fs::write(&config, text).unwrap();
    let mut command = Command::new(program("sudare-host").unwrap());
    let output = command.args(["doctor", "--json", "--config"]).arg(config).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["findings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["part"] == part).unwrap_or_else(|| panic!("no {part}: {report}"));
    (row["ok"] == true, row["text"].as_str().unwrap().to_owned())
}

/// Ships with both asked, until both have said something about all of it.
fn ship(source: &Source, shipping: &Shipping<'_>, others: &Others) {
    let serving = others.place.serve("120");
    let running = shipping.start_with(&others.arguments(&serving.url, &others.times()));
    let said = |size: u64| move |status: &Status| status.shipped == size && status.notaries.cosigned == size;
    shipping.wait_until("the witness saw all of it", said(21));
    shipping.wait_until("and the service", |status| status.notaries.stamped == 21);
    assert_eq!(doctor(source, "witness"), (true, "21 entries were cosigned".into()));
    assert_eq!(doctor(source, "time stamps"), (true, "21 entries were stamped".into()));
    source::grow(&mut source.recorder(), 9, 1);
    // Opening the store adds an entry of the recorder's own.
    shipping.wait_until("the witness saw what came after it", said(31));
    let said = shipping.status().unwrap().notaries;
    assert_eq!((said.witness_error, said.stamper_error), (None, None));
    drop(running);
}

/// Cosignature and token in a copy are those of its log.
fn check(source: &Source, others: &Others, copy: &Path) {
    let report = others.audited(source, copy);
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["cosignatures"][0]["entries"], 31, "{report}");
    let stamped = &report["timestamps"];
    assert_eq!((&stamped["tokens"], &stamped["entries"]), (&1.into(), &21.into()), "{report}");
}

#[test]
fn what_a_witness_and_a_time_stamp_service_say_lands_in_the_folder() {
    if !is_possible() {
        return;
    }
    let source = Source::new();
    source::grow(&mut source.recorder(), 20, 2);
    let (shipping, others) = (Shipping::to_folder(&source), Others::of(&source));
    ship(&source, &shipping, &others);
    let copy = source.path("remote");
    check(&source, &others, &copy);
    let cosigned = |folder: &Path| fs::read(folder.join("checkpoint.cosigned")).unwrap();
    assert_eq!(cosigned(&copy), cosigned(&source.path("ship")));
    // The check is real: an auditor who trusts another service gets a finding.
    let foreign = Authority::make(&others.place.path("foreign"), A_DAY).unwrap();
    let others = Others { authority: foreign, ..others };
    let report = others.audited(&source, &copy);
    assert_eq!(report["findings"][0]["kind"], "timestamp-certificate", "{report}");
}

#[test]
fn what_a_witness_and_a_time_stamp_service_say_lands_in_a_locked_bucket() {
    if !is_possible() {
        return;
    }
    let Some(mut server) = Server::start() else { return };
    server.make("locked", Some("COMPLIANCE"), false);
    server.make("deletable", None, false);
    let source = Source::new();
    source::grow(&mut source.recorder(), 20, 2);
    let endpoint = server.endpoint().to_owned();
    let shipping = Shipping::to_bucket(&source, &endpoint, "locked", Some("deletable"));
    let others = Others::of(&source);
    ship(&source, &shipping, &others);
    for bucket in ["locked", "deletable"] {
        server.download(bucket, &source.path("copy"));
    }
    check(&source, &others, &source.path("copy/host/one"));
}

#[test]
fn a_witness_that_refuses_is_told_everywhere_and_the_shipping_goes_on() {
    if !is_possible() {
        return;
    }
    let source = Source::new();
    source::grow(&mut source.recorder(), 20, 2);
    let (shipping, others) = (Shipping::to_folder(&source), Others::of(&source));
    let serving = others.place.serve("120");
    // Somebody who holds the log key wrote another history first, and had it cosigned.
    let rewritten = Source::new();
    source::grow(&mut rewritten.recorder(), 29, 0);
    let submitted = others.place.submit(&rewritten.path("store"), &serving.url);
    assert!(submitted.status.success(), "{submitted:?}");

    let busy = tsa::serve(|_| (503, b"try later".to_vec())).unwrap();
    let arguments = others.arguments(&serving.url, &busy);
    let running = shipping.start_with(&arguments);
    let refused = |size: u64, words: &'static str| {
        move |status: &Status| {
            let told = |error: &Option<String>, words| error.as_ref().is_some_and(|e| e.contains(words));
            let said = &status.notaries;
            let refused = told(&said.witness_error, words) && told(&said.stamper_error, "status 503");
            refused && status.shipped == size && status.error.is_none() && status.failing_since_ms.is_none()
        }
    };
    shipping.wait_until("shorter than what was cosigned", refused(21, "CUT BACK"));
    source::grow(&mut source.recorder(), 19, 2);
    shipping.wait_until("longer, and another history", refused(41, "REWRITTEN"));
    drop(running);
    assert_eq!(findings(&source, &source.path("remote")), [""; 0]);
    let copied: Vec<PathBuf> =
        ["checkpoint.cosigned", "timestamps"].map(|n| source.path("remote").join(n)).into();
    assert!(copied.iter().all(|path| !path.exists()), "nothing that nobody said");

    let (ok, text) = doctor(&source, "witness");
    assert!(!ok && text.contains("REWRITTEN") && text.contains("The copy goes on"), "{text}");
    let (ok, text) = doctor(&source, "time stamps");
    assert!(!ok && text.contains("status 503"), "{text}");
    let alarms = others.place.alarms();
    assert!(["rollback", "unproven"].iter().all(|kind| alarms.iter().any(|a| a == kind)), "{alarms:?}");

    // A single run ships, too, and says so by its exit code.
    source::grow(&mut source.recorder(), 3, 0);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (ended, text) = shipping.once(&arguments);
    assert!(!ended && text.contains("REWRITTEN"), "{text}");
    assert_eq!(shipping.status().unwrap().shipped, source.recorder().size() - 1);
}
