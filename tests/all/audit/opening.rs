//! `open` and `release`: no more than the review needs, recorded, and with a custodian not alone.

use std::process::{Command, Stdio};

use serde_json::Value;
use sudare_protocol::hex::hex;
use sudare_protocol::seal::SALT_BYTES;

use super::case::{Case, HOUR_MS};

fn labels(opened: &Value) -> Vec<&str> {
    let there = |one: &&Value| one["file"].is_string();
    opened.as_array().unwrap().iter().filter(there).map(|one| one["label"].as_str().unwrap()).collect()
}

const SPARING: [&str; 4] =
    ["screenshot-suspect", "screenshot-at-cover", "camera-at-pixelated", "camera-after-pixelated"];

#[test]
fn bystanders_stay_closed_unless_full_pictures_are_asked_for_and_each_view_is_recorded() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    case.assert_intact();
    let common =
        ["open", "store", "a1a1", "--key", "log.vkey", "--identity", "auditor.age", "--purpose", "case 12"];
    let (code, json) = case.audited(&[&common[..], &["--out", "some"]].concat());
    assert_eq!(
        (code, labels(&json["opened"]), json["not_chosen"].as_u64()),
        (0, SPARING.to_vec(), Some(2)),
        "{json}"
    );
    assert_eq!(std::fs::read(case.path("some/1-screenshot-suspect.png")).unwrap(), incident.pictures[0]);
    assert!(!case.path("some/3-camera-at.png").exists());
    let views = std::fs::read_to_string(case.path("some/views.jsonl")).unwrap();
    let views: Vec<Value> = views.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(views.len(), SPARING.len());
    assert_eq!(
        (views[0]["purpose"].as_str(), views[0]["viewer"].as_str()),
        (Some("case 12"), Some(&*case.auditor.recipient()))
    );
    let (code, json) = case.audited(&[&common[..], &["--out", "all", "--full"]].concat());
    assert_eq!((code, labels(&json["opened"]).len()), (0, 6), "{json}");
    assert_eq!(std::fs::read(case.path("all/3-camera-at.png")).unwrap(), incident.pictures[2]);
    // Without a purpose, over what is there, with a foreign identity: not opened.
    let (code, said) = case.audited(&[
        "open",
        "store",
        "a1",
        "--key",
        "log.vkey",
        "--identity",
        "auditor.age",
        "--purpose",
        " ",
        "--out",
        "x",
    ]);
    assert_eq!(code, 2, "{said}");
    assert_eq!(case.audited(&[&common[..], &["--out", "some"]].concat()).0, 2);
    let foreign = [
        "open",
        "store",
        "a1",
        "--key",
        "log.vkey",
        "--identity",
        "foreign.age",
        "--purpose",
        "p",
        "--out",
        "y",
    ];
    let (code, json) = case.audited(&foreign);
    assert_eq!((code, labels(&json["opened"]).len()), (1, 0), "{json}");
    assert!(!case.path("y/views.jsonl").exists(), "nothing was seen");
}

#[test]
fn with_a_custodian_an_auditor_opens_full_pictures_only_after_their_release() {
    let mut case = Case::new(true);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    case.assert_intact();
    let full =
        ["open", "store", "a1", "--key", "log.vkey", "--identity", "auditor.age", "--purpose", "p", "--full"];
    let (code, json) = case.audited(&[&full[..], &["--out", "alone"]].concat());
    assert_eq!((code, labels(&json["opened"])), (1, SPARING.to_vec()), "{json}");
    assert!(json.to_string().contains("sudare-audit release"), "{json}");
    let release =
        ["release", "store", "a1", "--key", "log.vkey", "--reason", "request 7", "--out", "released"];
    let (code, json) = case.audited(&[&release[..], &["--identity", "auditor.age"]].concat());
    assert_eq!(code, 1, "an auditor is no custodian: {json}");
    let (code, json) = case.audited(&[&release[..], &["--identity", "custodian.age"]].concat());
    assert_eq!((code, json["released"].as_array().unwrap().len()), (0, 2), "{json}");
    let releases = std::fs::read_to_string(case.path("released/releases.jsonl")).unwrap();
    assert!(releases.lines().count() == 2 && releases.contains("request 7"), "{releases}");
    let (code, json) = case.audited(&[&full[..], &["--out", "both", "--released", "released"]].concat());
    assert_eq!((code, labels(&json["opened"]).len()), (0, 6), "{json}");
    assert_eq!(std::fs::read(case.path("both/3-camera-at.png")).unwrap(), incident.pictures[2]);
    let both = ["--out", "held", "--custodian-identity", "custodian.age"];
    assert_eq!(case.audited(&[&full[..], &both].concat()).0, 0, "where one person may hold both");
}

#[test]
fn debians_age_opens_what_was_stored() {
    if Command::new("age").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "age"), "the package `age` is not installed");
        println!("SKIPPED: no independent opening of pictures without the package `age`.");
        return;
    }
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    let (code, json) =
        case.audited(&["export", "store", "a1", "--key", "log.vkey", "--full", "--out", "incident.zip"]);
    assert_eq!(code, 0, "{json}");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(case.path("incident.zip")).unwrap()).unwrap();
    for (blob, picture) in incident.blobs.iter().zip(&incident.pictures) {
        let name = format!("sealed/{}.age", hex(&blob.blob_id));
        std::io::copy(
            &mut zip.by_name(&name).unwrap(),
            &mut std::fs::File::create(case.path("one.age")).unwrap(),
        )
        .unwrap();
        let opened = Command::new("age")
            .args(["-d", "-i", "auditor.age", "one.age"])
            .current_dir(case.dir.path())
            .output();
        let opened = opened.unwrap();
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        assert_eq!(&opened.stdout[..opened.stdout.len() - SALT_BYTES], picture.as_slice());
    }
}
