//! `sudare-audit verify --timestamps`: kept tokens against the log, with all that can be wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use sudare_base::clock;
use sudare_evidence::log::{Draft, LogWriter};
use sudare_evidence::store::OsDisk;
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::{LogStart, Note};
use sudare_protocol::evidence::{Event, Stamp};
use sudare_test_kit::Pace;
use sudare_test_kit::tsa::{A_DAY, Authority};

use super::timestamps::is_possible;
use super::{Place, audit, copy, keys, log_at, said};

const DAY_MS: u64 = 86_400_000;
const NONE: [&str; 0] = [];

/// A log that was stamped with 5 and with 9 entries, as a shipper keeps it.
struct Stamped {
    place: Place,
    authority: Authority,
}

impl Stamped {
    fn new() -> Self {
        let place = Place::new();
        let authority = Authority::make(&place.path("authority"), A_DAY).unwrap();
        let stamped = Stamped { place, authority };
        let mut log = log_at(&stamped.place.path("store"));
        for size in [5, 9] {
            let note = record(&mut log, size, clock::wall_ms());
            stamped.keep(size, &note);
        }
        stamped
    }

    /// What `--timestamps` of the shipper writes.
    fn keep(&self, size: u64, note: &[u8]) {
        fs::create_dir_all(self.folder()).unwrap();
        fs::write(self.file(size, "note"), note).unwrap();
        fs::write(self.file(size, "tsr"), self.authority.stamp(note).unwrap()).unwrap();
    }

    fn folder(&self) -> PathBuf {
        self.place.path("store/timestamps")
    }

    fn file(&self, size: u64, kind: &str) -> PathBuf {
        self.folder().join(format!("{size}.{kind}"))
    }

    fn verify(&self, certificate: &Path, more: &[&str]) -> Output {
        let [store, key, folder] =
            ["store", "log.vkey", "store/timestamps"].map(|name| self.place.text(name));
        let certificate = certificate.display().to_string();
        let arguments =
            ["verify", &store, "--key", &key, "--timestamps", &folder, "--tsa-cert", &certificate];
        audit(&[&arguments, more].concat())
    }

    fn report(&self, certificate: &Path) -> serde_json::Value {
        let run = self.verify(certificate, &["--json"]);
        serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", said(&run)))
    }

    /// What is found after this change to the folder of tokens, which is then taken back.
    #[track_caller]
    fn finds(&self, what: &str, expected: &[&str], change: impl FnOnce(&Self)) {
        let kept = self.place.path("kept");
        copy(&self.folder(), &kept);
        change(self);
        let report = self.report(&self.authority.service_certificate());
        assert_eq!(kinds(&report), expected, "{what}: {report}");
        fs::remove_dir_all(self.folder()).unwrap();
        fs::rename(kept, self.folder()).unwrap();
    }

    fn change(&self, name: (u64, &str), change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.file(name.0, name.1);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
}

fn kinds(report: &serde_json::Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

/// Entries at this time until there are so many, and the checkpoint over them.
fn record(log: &mut LogWriter<OsDisk>, size: u64, wall_ms: u64) -> Vec<u8> {
    while log.size() < size {
        let event = match log.size() {
            0 => Event::LogStart(LogStart {
                host_key: SigningKey::from_bytes(&[22; 32]).verifying_key().to_bytes(),
                log_key: keys().log.verifying_key().to_bytes(),
                host_record: vec![],
            }),
            _ => Event::Note(Note { code: 1, value: wall_ms }),
        };
        let at = Stamp { wall_ms, boot_ms: log.size(), boot_id: [3; 16] };
        log.append_all(vec![(Draft::of(event), at)]).unwrap();
    }
    log.checkpoint().unwrap().note().as_bytes().to_vec()
}

#[test]
fn tokens_that_hold_are_counted_whichever_certificate_of_the_service_is_given() {
    if !is_possible() {
        return;
    }
    let stamped = Stamped::new();
    for certificate in [stamped.authority.certificate(), stamped.authority.service_certificate()] {
        let report = stamped.report(&certificate);
        assert_eq!(report["ok"], true, "{report}");
        assert_eq!(
            (&report["timestamps"]["tokens"], &report["timestamps"]["entries"]),
            (&2.into(), &9.into())
        );
        assert!(report["timestamps"]["time"].as_str().unwrap().starts_with("20"), "{report}");
    }
    let certificate = stamped.authority.certificate();
    for (language, words) in [("en", "9 entries existed at 20"), ("ja", "9 件が 20")] {
        let run = stamped.verify(&certificate, &["--lang", language]);
        assert!(run.status.success() && said(&run).contains(words), "{}", said(&run));
    }
    stamped.finds("a shipper that was killed between the two files", &NONE, |stamped| {
        fs::remove_file(stamped.file(9, "tsr")).unwrap();
    });
}

#[test]
fn whatever_is_wrong_with_a_token_is_named() {
    if !is_possible() {
        return;
    }
    let stamped = Stamped::new();
    stamped.finds("the signature was changed", &["timestamp-signature"], |stamped| {
        stamped.change((9, "tsr"), |token| *token.last_mut().unwrap() ^= 1);
    });
    stamped.finds("the time was changed", &["timestamp-signature"], |stamped| {
        stamped.change((9, "tsr"), |token| {
            let at = token.windows(3).position(|bytes| bytes == b"202").unwrap();
            // The last digit of the minutes.
            token[at + 11] ^= 1;
        });
    });
    stamped.finds("a token for another checkpoint", &["timestamp-checkpoint"], |stamped| {
        fs::copy(stamped.file(5, "tsr"), stamped.file(9, "tsr")).unwrap();
    });
    stamped.finds("a checkpoint under another's name", &["timestamp-checkpoint"], |stamped| {
        for kind in ["note", "tsr"] {
            fs::copy(stamped.file(5, kind), stamped.file(9, kind)).unwrap();
        }
    });
    stamped.finds("no checkpoint at all", &["timestamp-checkpoint"], |stamped| stamped.keep(7, b"seven"));
    stamped.finds("the checkpoint is gone", &["timestamp-checkpoint"], |stamped| {
        fs::remove_file(stamped.file(9, "note")).unwrap();
    });
    stamped.finds("the token is cut", &["timestamp-damaged"], |stamped| {
        stamped.change((9, "tsr"), |token| token.truncate(token.len() - 1));
    });
    stamped.finds("far too long", &["timestamp-damaged"], |stamped| {
        stamped.change((9, "tsr"), |token| token.resize(1 << 20, 0));
    });
    stamped.finds("no token", &["timestamp-missing"], |stamped| {
        for size in [5, 9] {
            fs::remove_file(stamped.file(size, "tsr")).unwrap();
        }
    });
    stamped.finds("nothing was wrong in the end", &NONE, |_| {});

    let foreign = Authority::make(&stamped.place.path("foreign"), A_DAY).unwrap();
    let report = stamped.report(&foreign.certificate());
    let expected = ["timestamp-certificate", "timestamp-certificate", "timestamp-missing"];
    assert_eq!((kinds(&report).as_slice(), &report["integrity"]), (&expected[..], &false.into()), "{report}");
    assert_eq!(report["timestamps"], serde_json::Value::Null);
}

#[test]
fn a_log_that_is_not_the_stamped_one_is_found() {
    if !is_possible() {
        return;
    }
    let stamped = Stamped::new();
    let store = stamped.place.path("store");
    let replace = |size: u64| {
        let other = stamped.place.path(&format!("other-{size}"));
        record(&mut log_at(&other), size, clock::wall_ms());
        copy(&stamped.folder(), &other.join("timestamps"));
        fs::remove_dir_all(&store).unwrap();
        fs::rename(other, &store).unwrap();
        stamped.report(&stamped.authority.certificate())
    };
    // Signed by the log's own key, with other entries.
    sleep(Duration::from_millis(2));
    assert_eq!(kinds(&replace(12)), ["forked", "forked"]);
    assert_eq!(kinds(&replace(7)), ["forked", "rolled-back"]);
}

#[test]
fn clocks_that_do_not_fit_the_service_are_found() {
    if !is_possible() {
        return;
    }
    let stamped = Stamped::new();
    let mut log = log_at(&stamped.place.path("store"));
    let note = record(&mut log, 11, clock::wall_ms() + DAY_MS);
    stamped.keep(11, &note);
    let report = stamped.report(&stamped.authority.certificate());
    assert_eq!(kinds(&report), ["timestamp-time"], "{report}");
    assert_eq!((&report["findings"][0]["entry"], &report["integrity"]), (&10.into(), &true.into()));

    let stamped = Stamped::new();
    record(&mut log_at(&stamped.place.path("store")), 10, clock::wall_ms() - DAY_MS);
    let report = stamped.report(&stamped.authority.certificate());
    assert_eq!(kinds(&report), ["clock-set-back", "timestamp-time"], "{report}");
    assert_eq!(report["findings"][1]["entry"], 9);
}

#[test]
fn a_certificate_counts_at_the_time_of_the_token_and_not_today() {
    if !is_possible() {
        return;
    }
    let stamped = Stamped::new();
    // Until both tokens are made.
    let valid = Pace::start().allow(Duration::from_secs(8));
    let brief = Authority::make(&stamped.place.path("brief"), valid).unwrap();
    for size in [5, 9] {
        fs::write(
            stamped.file(size, "tsr"),
            brief.stamp(&fs::read(stamped.file(size, "note")).unwrap()).unwrap(),
        )
        .unwrap();
    }
    sleep(valid + Duration::from_secs(1));
    let report = stamped.report(&brief.certificate());
    assert_eq!(kinds(&report), NONE, "made while it was valid: {report}");
    fs::write(stamped.file(9, "tsr"), brief.stamp(&fs::read(stamped.file(9, "note")).unwrap()).unwrap())
        .unwrap();
    let report = stamped.report(&brief.certificate());
    assert_eq!(kinds(&report), ["timestamp-certificate"], "made when it had ended: {report}");
    assert!(report["findings"][0]["detail"].as_str().unwrap().contains("expired"), "{report}");
}

#[test]
fn without_openssl_or_a_certificate_from_elsewhere_nothing_is_said_about_tokens() {
    if !is_possible() {
        return;
    }
    let stamped = Stamped::new();
    let certificate = stamped.authority.certificate();
    let inside = stamped.folder().join("ca.pem");
    fs::copy(&certificate, &inside).unwrap();
    for (certificate, words) in [
        (inside, "by another way"),
        (stamped.file(5, "note"), "by another way"),
        (stamped.place.path("log.vkey"), "no certificate"),
    ] {
        let run = stamped.verify(&certificate, &[]);
        assert!(run.status.code() == Some(2) && said(&run).contains(words), "{}", said(&run));
    }
    let [store, key, folder] = ["store", "log.vkey", "store/timestamps"].map(|name| stamped.place.text(name));
    let run = audit(&["verify", &store, "--key", &key, "--timestamps", &folder]);
    assert!(run.status.code() == Some(2) && said(&run).contains("--tsa-cert"), "{}", said(&run));
    let run = Command::new(sudare_test_kit::program("sudare-audit").unwrap())
        .args(["verify", &store, "--key", &key, "--timestamps", &folder, "--tsa-cert"])
        .arg(certificate)
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    assert!(
        run.status.code() == Some(2) && said(&run).contains("Install the package openssl"),
        "{}",
        said(&run)
    );
}
