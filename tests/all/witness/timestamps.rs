//! Time tokens: a service played with `openssl ts`, and its tokens checked with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use sudare_test_kit::tsa::{self, A_DAY, Authority};

use super::{Place, grow, log_at, notary, required, said};

#[test]
fn a_checkpoint_is_stamped_and_openssl_confirms_it() {
    if !is_possible() {
        return;
    }
    let place = Place::new();
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 5, 0);
    let authority = Authority::make(&place.path("authority"), A_DAY).unwrap();
    let service = authority.clone();
    let url = tsa::serve(move |query| (200, service.reply(query).unwrap())).unwrap();
    let stamped = stamp(&place, &url, "5.tsr");
    assert_eq!(stamped.status.code(), Some(0), "{}", said(&stamped));
    assert!(String::from_utf8_lossy(&stamped.stdout).starts_with("20"), "{}", said(&stamped));
    assert!(verified(&place, &authority.certificate(), "5.tsr"));

    // The same token for another checkpoint.
    grow(&mut log, 6, 0);
    assert!(!verified(&place, &authority.certificate(), "5.tsr"));
    // A service that answers everybody with what it once said.
    let old = fs::read(place.path("5.tsr")).unwrap();
    for (status, answer, complaint) in [
        (200, old, "another digest"),
        (200, b"<html>".to_vec(), "not the answer of a time-stamp service"),
        (503, b"try later".to_vec(), "status 503"),
    ] {
        let url = tsa::serve(move |_| (status, answer.clone())).unwrap();
        let refused = stamp(&place, &url, "6.tsr");
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(complaint), "{}", said(&refused));
        assert!(!place.path("6.tsr").exists());
    }
}

/// Says so loudly if not.
pub(super) fn is_possible() -> bool {
    let possible = tsa::is_possible();
    assert!(possible || !required("openssl"), "openssl is not installed");
    if !possible {
        println!("SKIPPED: no time tokens. Install the package openssl.");
    }
    possible
}

fn stamp(place: &Place, url: &str, out: &str) -> std::process::Output {
    let [store, log, out] = ["store", "log.vkey", out].map(|name| place.text(name));
    notary(&["stamp", &store, "--log", &log, "--url", url, "--out", &out])
}

fn verified(place: &Place, certificate: &Path, token: &str) -> bool {
    let run = Command::new("openssl")
        .args(["ts", "-verify", "-data", &place.text("store/checkpoint"), "-in", &place.text(token)])
        .arg("-CAfile")
        .arg(certificate)
        .output()
        .unwrap();
    run.status.success()
}
