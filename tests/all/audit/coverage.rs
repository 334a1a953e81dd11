//! `coverage`: a site and a month, signed, and never a person.

use serde_json::Value;
use sudare_base::clock;
use sudare_protocol::hex::hex;
use sudare_protocol::reason::Reason;
use sudare_protocol::utc::utc;

use super::case::{Case, HOUR_MS};

const MINUTE_MS: u64 = 60_000;

/// Each device: an hour visible, of which 50 minutes attested, then ten minutes covered by a stranger.
fn site(devices: u8) -> (Case, String) {
    // Everything within one month: the test may run on a first of the month.
    let now_ms = clock::wall_ms();
    let day: u64 = utc(now_ms)[8..10].parse().unwrap();
    let mut case = Case::at(now_ms - if day < 5 { 7 } else { 2 } * 24 * HOUR_MS, false);
    let month = utc(case.now_ms)[..7].to_owned();
    for n in 1..=devices {
        let start = 20 * HOUR_MS - u64::from(n) * 2 * HOUR_MS;
        let session = case.session(n, start);
        case.uncover(session, start - MINUTE_MS);
        case.attested(session, start - MINUTE_MS, start - 51 * MINUTE_MS);
        case.cover(session, start - 61 * MINUTE_MS, Reason::Stranger);
        case.end(session, start - 71 * MINUTE_MS);
    }
    (case.close(), month)
}

fn make(case: &Case, month: &str, out: &str) -> Value {
    let args = [
        "coverage", "store", "--key", "log.vkey", "--month", month, "--site", "Osaka", "--sign", "sign.key",
        "--out", out,
    ];
    let (code, json) = case.audited(&args);
    assert_eq!(code, 0, "{json}");
    json["report"].clone()
}

fn verify(case: &Case, file: &str) -> (i32, Value) {
    case.audited(&["coverage", "--verify", file, "--signer", "sign.pub"])
}

#[test]
fn time_is_accounted_for_by_site_and_month_and_signed() {
    let (case, month) = site(3);
    for out in ["report.html", "report.json"] {
        let report = make(&case, &month, out);
        let sums = &report["sums"];
        let minutes = |name: &str| sums[name].as_u64().unwrap();
        assert_eq!(
            (minutes("visible_minutes"), minutes("attested_minutes"), minutes("covers")),
            (180, 150, 3),
            "{report}"
        );
        // Fifty minutes and the lease after the last attestation, of sixty.
        assert_eq!((report["attested_milli"].as_u64(), report["devices"].as_u64()), (Some(834), Some(3)));
        let stranger = &sums["covered"][1];
        assert_eq!(
            (stranger["class"].as_str(), stranger["minutes"].as_u64()),
            (Some("somebody-else"), Some(30))
        );
        assert_eq!(sums["covered"][0]["minutes"].as_u64(), Some(3), "before the first recognition");
        assert_eq!(sums["cover_p99_ms"].as_u64(), Some(31));
        let (code, verified) = verify(&case, out);
        assert_eq!((code, &verified["report"]), (0, &report));
    }
    // Another month has nothing of it.
    let empty = make(&case, "2020-02", "empty.json");
    assert_eq!((empty["suppressed"].as_bool(), empty["attested_milli"].as_u64()), (Some(true), None));
}

#[test]
fn a_changed_report_is_refused() {
    let (case, month) = site(3);
    make(&case, &month, "report.html");
    make(&case, &month, "report.json");
    for (file, from, to) in [
        ("report.html", "150", "151"),
        ("report.html", "2 h 30 min", "3 h 00 min"),
        ("report.html", "Osaka", "Kyoto"),
        ("report.json", "\"attested_minutes\": 150", "\"attested_minutes\": 180"),
        ("report.json", "\\\"attested_minutes\\\": 150", "\\\"attested_minutes\\\": 180"),
        ("report.json", "sudare-coverage", "sudare-coverago"),
    ] {
        let text = std::fs::read_to_string(case.path(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        let changed = format!("changed-{file}");
        case.write(&changed, text.replacen(from, to, 1).as_bytes());
        let (code, said) = verify(&case, &changed);
        assert_eq!(code, 1, "{file} {from}: {said}");
    }
    let foreign = ["coverage", "--verify", "report.html", "--signer", "organisation.pub"];
    assert_eq!(case.audited(&foreign).0, 1);
}

#[test]
fn nothing_in_it_is_about_a_person() {
    let (case, month) = site(2);
    let report = make(&case, &month, "few.html");
    assert_eq!(
        (report["suppressed"].as_bool(), &report["sums"], &report["devices"]),
        (Some(true), &Value::Null, &Value::Null)
    );
    assert_eq!(report["attested_milli"].as_u64(), Some(834), "a share tells nobody's hours");
    let (case, month) = site(4);
    let report = make(&case, &month, "many.json").to_string();
    for n in 1..=4u8 {
        let session = format!("{n:02x}").repeat(16);
        assert!(!report.contains(&session));
        let device = sudare_protocol::keyfile::device_id(&super::case::key(100 + n).verifying_key());
        assert!(!report.contains(&hex(&device)));
    }
    assert!(!report.contains("vdi-1"), "a host may be one person's");
}
