//! `approve`, `erase` and `retention`: two people or time, said in the log first, and the log still verifies.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use sudare_audit::Walk;
use sudare_evidence::log::{Draft, TAIL_ENTRIES};
use sudare_evidence::reader::Store;
use sudare_protocol::approval::{self, Approval};
use sudare_protocol::evidence::event::{BlobId, Erasure, IncidentComplete, IncidentOpen, Tombstone};
use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::hex::hex;

use super::case::{Case, HOUR_MS, Incident, ORIGIN, key};

const KEYS: [&str; 6] = ["--key", "log.vkey", "--org-key", "organisation.pub", "--log-key", "log.key"];

fn approve(case: &Case, incident: &str, n: u8, more: &[&str]) -> String {
    let (key, out) = (format!("approver-{n}.key"), format!("{n}-{}.approval", more.len()));
    let args = ["approve", incident, "--log", "log.vkey", "--key", &key, "--reason-code", "2", "--out", &out];
    let (code, said) = case.audited(&[&args[..], more].concat());
    assert_eq!(code, 0, "{said}");
    out
}

fn erase(case: &Case, incident: &str, approvals: &[&str], more: &[&str]) -> (i32, Value) {
    let approvals: Vec<&str> = approvals.iter().flat_map(|file| ["--approval", file]).collect();
    case.audited(&[&["erase", "store", "--incident", incident][..], &KEYS, &approvals, more].concat())
}

fn kinds(case: &Case) -> Vec<&'static str> {
    let line = std::fs::read_to_string(case.path("log.vkey")).unwrap();
    let store = Store::open(&case.store()).unwrap();
    let mut kinds = Vec::new();
    let walk = Walk::new(&store, &line.parse().unwrap(), &[]);
    walk.run(|_, entry, _| {
        let event = entry.event().unwrap();
        if matches!(event, Event::Tombstone(_) | Event::Approval(_)) {
            kinds.push(event.name());
        }
        Ok(())
    })
    .unwrap();
    kinds
}

#[test]
fn two_approvers_erase_an_incident_and_the_log_still_verifies() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    let other = case.incident(session, 0xa2, HOUR_MS / 3);
    let case = case.close();
    let (a, b) = (approve(&case, &incident.hex(), 21, &[]), approve(&case, &incident.hex(), 23, &[]));
    let (code, json) = erase(&case, "a1a1", &[&a, &b], &[]);
    assert_eq!(
        (code, json["erased"]["pictures"].as_u64(), json["erased"]["files"].as_u64()),
        (0, Some(6), Some(12)),
        "{json}"
    );
    for blob in &incident.blobs {
        assert_eq!(case.is_stored(&blob.blob_id), (false, false));
    }
    assert!(other.blobs.iter().all(|blob| case.is_stored(&blob.blob_id) == (true, true)));
    case.assert_intact();
    assert_eq!(kinds(&case), ["approval", "approval", "tombstone"]);
    // Again: nothing is left to do, nothing is recorded twice.
    let (code, json) = erase(&case, "a1a1", &[&a, &b], &[]);
    assert_eq!((code, json["erased"]["pictures"].as_u64()), (0, Some(0)), "{json}");
    assert_eq!(kinds(&case).len(), 3);
    let (_, opened) = case.audited(&[
        "open",
        "store",
        "a1",
        "--key",
        "log.vkey",
        "--identity",
        "auditor.age",
        "--purpose",
        "p",
        "--out",
        "o",
    ]);
    assert!(opened.to_string().contains("not in the store"), "{opened}");
}

#[test]
fn erasing_from_a_long_log_keeps_the_organisations_word_about_its_host() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    // So that whoever opens it does not find its host key any more.
    case.notes(TAIL_ENTRIES + 256, HOUR_MS / 3);
    let case = case.close();
    let (a, b) = (approve(&case, &incident.hex(), 21, &[]), approve(&case, &incident.hex(), 22, &[]));
    let (code, json) = erase(&case, "a1a1", &[&a, &b], &[]);
    assert_eq!((code, json["erased"]["pictures"].as_u64()), (0, Some(6)), "{json}");
    assert_eq!(verdict(&case), [""; 0]);
}

#[test]
fn one_picture_of_an_incident_can_go_alone() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    let one = hex(&incident.blobs[2].blob_id);
    let more = ["--blob", &one];
    let (a, b) = (approve(&case, &incident.hex(), 21, &more), approve(&case, &incident.hex(), 22, &more));
    let (code, said) = erase(&case, "a1", &[&a, &b], &[]);
    assert_eq!(code, 2, "they approved one picture, not all: {said}");
    assert_eq!(erase(&case, "a1", &[&a, &b], &more).0, 0);
    assert_eq!(case.is_stored(&incident.blobs[2].blob_id), (false, false));
    assert_eq!(case.is_stored(&incident.blobs[3].blob_id), (true, true));
    case.assert_intact();
}

#[test]
fn without_two_valid_approvals_nothing_is_erased() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    let second = case.incident(session, 0xa2, HOUR_MS / 3);
    let case = case.close();
    let id = incident.hex();
    let (a, b) = (approve(&case, &id, 21, &[]), approve(&case, &id, 22, &[]));
    let stranger = approve(&case, &id, 29, &[]);
    let elsewhere = approve(&case, &second.hex(), 23, &[]);
    let again = approve(&case, &id, 21, &["--valid-hours", "5"]);
    let signed = |n: u8, change: &dyn Fn(&mut Approval)| {
        let mut approval = Approval {
            version: 1,
            origin: ORIGIN.into(),
            incident_id: incident.id,
            pictures: vec![],
            reason_code: 1,
            made_ms: case.now_ms - 2 * HOUR_MS,
            expires_ms: case.now_ms + HOUR_MS,
        };
        change(&mut approval);
        let name = format!("made-{n}-{}.approval", approval.expires_ms ^ approval.origin.len() as u64);
        case.write(&name, &approval::sign(&approval, &key(n)).unwrap());
        name
    };
    let expired = signed(22, &|approval| approval.expires_ms = case.now_ms - HOUR_MS);
    let other_log = signed(22, &|approval| approval.origin = "sudare.example/log/vdi-22".into());
    let mut bytes = std::fs::read(case.path(&b)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    case.write("changed.approval", &bytes);
    for (approvals, why) in [
        (vec![], "0 different people"),
        (vec![&*a], "1 different people"),
        (vec![&*a, &a], "1 different people"),
        (vec![&*a, &again], "1 different people"),
        (vec![&*a, &stranger], "not signed by an approver"),
        (vec![&*a, &b, &stranger], "not signed by an approver"),
        (vec![&*a, &elsewhere], "another incident"),
        (vec![&*a, &expired], "valid from"),
        (vec![&*a, &other_log], "another log"),
        (vec![&*a, "changed.approval"], "not signed by an approver"),
    ] {
        let (code, said) = erase(&case, "a1", &approvals, &[]);
        assert_eq!(code, 2, "{approvals:?}: {said}");
        assert!(said.to_string().contains(why), "{approvals:?}: {said}");
    }
    // The approvers are those of the policy that the organisation signed, not of any policy.
    case.write("foreign.pub", sudare_protocol::keyfile::public_line(&key(99).verifying_key()).as_bytes());
    let keys = [
        "--key",
        "log.vkey",
        "--org-key",
        "foreign.pub",
        "--log-key",
        "log.key",
        "--approval",
        &a,
        "--approval",
        &b,
    ];
    let (code, said) = case.audited(&[&["erase", "store", "--incident", "a1"][..], &keys].concat());
    assert!(code == 2 && said.to_string().contains("is not known"), "{said}");
    assert!(incident.blobs.iter().all(|blob| case.is_stored(&blob.blob_id) == (true, true)));
    assert!(kinds(&case).is_empty());
    case.assert_intact();
}

#[test]
fn nothing_is_erased_from_a_log_that_was_changed_or_that_a_recorder_has_open() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    let (a, b) = (approve(&case, &incident.hex(), 21, &[]), approve(&case, &incident.hex(), 22, &[]));
    let lock = std::fs::File::open(case.store().join("lock")).unwrap();
    lock.lock().unwrap();
    let (code, said) = erase(&case, "a1", &[&a, &b], &[]);
    assert!(code == 2 && said.to_string().contains("another recorder"), "{said}");
    drop(lock);
    let tile = case.store().join("tile/0/000.p");
    let tile = std::fs::read_dir(tile).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    let (code, said) = erase(&case, "a1", &[&a, &b], &[]);
    assert!(code == 2 && said.to_string().contains("not intact"), "{said}");
    assert!(incident.blobs.iter().all(|blob| case.is_stored(&blob.blob_id) == (true, true)));
}

#[test]
fn retention_takes_full_pictures_after_three_days_the_others_after_two_weeks_and_spares_what_is_held() {
    let mut case = Case::new(false);
    let session = case.session(1, 21 * 24 * HOUR_MS);
    let old = case.incident(session, 0xa1, 20 * 24 * HOUR_MS);
    let held = case.incident(session, 0xa2, 19 * 24 * HOUR_MS);
    let recent = case.incident(session, 0xa3, 4 * 24 * HOUR_MS);
    let fresh = case.incident(session, 0xa4, 2 * 24 * HOUR_MS);
    let case = case.close();
    case.write("holds.txt", format!("# case 12\n{}\n", held.hex()).as_bytes());
    let common = [&["retention", "store", "--hold", "holds.txt"][..], &KEYS].concat();
    let (code, plan) = case.audited(&common);
    let count = |list: &Value| list.as_array().unwrap().len();
    assert_eq!((code, count(&plan["plan"]["due"]), count(&plan["plan"]["held"])), (0, 6 + 2, 6), "{plan}");
    assert!(old.blobs.iter().all(|blob| case.is_stored(&blob.blob_id) == (true, true)), "a dry run");
    let text = String::from_utf8(case.audit(&common).stdout).unwrap();
    assert!(text.contains("8 pictures are due") && text.contains("Dry run"), "{text}");
    let (code, done) = case.audited(&[&common[..], &["--apply"]].concat());
    assert_eq!(
        (code, done["erased"]["pictures"].as_u64(), done["erased"]["files"].as_u64()),
        (0, Some(8), Some(16)),
        "{done}"
    );
    assert!(old.blobs.iter().all(|blob| case.is_stored(&blob.blob_id) == (false, false)));
    let kept: Vec<bool> = recent.blobs.iter().map(|blob| case.is_stored(&blob.blob_id).0).collect();
    assert_eq!(kept, [true, true, false, true, false, true], "full ones of four days ago");
    for incident in [&held, &fresh] {
        assert!(incident.blobs.iter().all(|blob| case.is_stored(&blob.blob_id) == (true, true)));
    }
    case.assert_intact();
    assert_eq!(kinds(&case), ["tombstone", "tombstone"]);
    assert_eq!(count(&case.audited(&common).1["plan"]["due"]), 0);
    // A hold that cannot be read may be the one that matters.
    case.write("holds.txt", b"a2a2\n");
    let (code, said) = case.audited(&[&common[..], &["--apply"]].concat());
    assert!(code == 2 && said.to_string().contains("line 1"), "{said}");
}

/// Of this incident, for these pictures of that one, with nobody asked.
fn bury(case: &mut Case, session_id: Id, as_of: &Incident, pictures: &Incident) {
    let blobs = pictures.blobs.iter().map(|blob| BlobId(blob.blob_id)).collect();
    let cause = Erasure::Retention.number();
    let tombstone = Event::Tombstone(Tombstone { blobs, cause, approvals_sha256: None });
    let of = Draft { session_id: Some(session_id), incident_id: Some(as_of.id), ..Draft::of(tombstone) };
    case.append(0, of);
}

fn verdict(case: &Case) -> Vec<String> {
    let (_, report) =
        case.audited(&["verify", "store", "--key", "log.vkey", "--org-key", "organisation.pub"]);
    let kind = |finding: &Value| finding["kind"].as_str().unwrap().to_owned();
    let mut kinds: Vec<String> = report["findings"].as_array().unwrap().iter().map(kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
fn the_logs_own_key_cannot_erase_yesterdays_pictures_as_those_of_an_old_incident() {
    let mut case = Case::new(false);
    let session = case.session(1, 21 * 24 * HOUR_MS);
    let old = case.incident(session, 0xa1, 20 * 24 * HOUR_MS);
    let yesterdays = case.incident(session, 0xa2, 24 * HOUR_MS);
    bury(&mut case, session, &old, &yesterdays);
    let case = case.close();
    assert_eq!(verdict(&case), ["erasure-unapproved", "erasure-unfinished"]);
    // Nobody finishes it, and it does not count as erased.
    let common = [&["retention", "store"][..], &KEYS, &["--apply"]].concat();
    let (code, done) = case.audited(&common);
    assert_eq!((code, done["erased"]["files"].as_u64()), (0, Some(12)), "{done}");
    assert!(yesterdays.blobs.iter().all(|blob| case.is_stored(&blob.blob_id) == (true, true)));
    for blob in &yesterdays.blobs {
        let file = case.store().join("headers").join(hex(&blob.blob_id));
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(verdict(&case), ["blob-header-missing", "erasure-unapproved"]);
}

#[test]
fn screenshots_are_not_erased_with_the_full_pictures() {
    let mut case = Case::new(false);
    let session = case.session(1, 21 * 24 * HOUR_MS);
    let recent = case.incident(session, 0xa1, 4 * 24 * HOUR_MS);
    bury(&mut case, session, &recent, &recent);
    assert_eq!(verdict(&case.close()), ["erasure-early", "erasure-unfinished"]);
}

#[test]
fn a_picture_that_two_incidents_list_goes_with_the_first_unless_one_is_held() {
    let mut case = Case::new(false);
    let session = case.session(1, 21 * 24 * HOUR_MS);
    let first = case.incident(session, 0xa1, 20 * 24 * HOUR_MS);
    let second = case.incident(session, 0xa2, 19 * 24 * HOUR_MS);
    let done = Event::IncidentComplete(IncidentComplete { missing: 0 });
    let again = Draft { incident_id: Some(second.id), blobs: first.blobs[..1].to_vec(), ..Draft::of(done) };
    case.append(18 * 24 * HOUR_MS, again);
    let case = case.close();
    case.write("holds.txt", second.hex().as_bytes());
    let held = [&["retention", "store", "--hold", "holds.txt"][..], &KEYS, &["--apply"]].concat();
    let (code, done) = case.audited(&held);
    assert_eq!((code, done["erased"]["pictures"].as_u64()), (0, Some(5)), "{done}");
    assert_eq!(case.is_stored(&first.blobs[0].blob_id), (true, true));
    let (code, done) = case.audited(&[&["retention", "store"][..], &KEYS, &["--apply"]].concat());
    assert_eq!((code, done["erased"]["pictures"].as_u64()), (0, Some(7)), "{done}");
    assert_eq!(verdict(&case), [""; 0]);
}

#[test]
fn what_is_filed_under_an_old_incident_is_kept_as_long_as_a_new_one() {
    let mut case = Case::new(false);
    let session = case.session(1, 21 * 24 * HOUR_MS);
    let old = case.incident(session, 0xa1, 20 * 24 * HOUR_MS);
    let opened = Event::IncidentOpen(IncidentOpen { boot_ms: 0 });
    case.append(HOUR_MS, Draft { session_id: Some(session), incident_id: Some(old.id), ..Draft::of(opened) });
    let case = case.close();
    let (code, done) = case.audited(&[&["retention", "store"][..], &KEYS, &["--apply"]].concat());
    assert_eq!((code, done["erased"]["pictures"].as_u64()), (0, Some(0)), "{done}");
}

#[test]
fn an_approval_is_a_private_file_and_never_replaces_another() {
    let case = Case::new(false).close();
    let id = "a1".repeat(16);
    let file = approve(&case, &id, 21, &[]);
    assert_eq!(std::fs::metadata(case.path(&file)).unwrap().permissions().mode() & 0o777, 0o600);
    let args = [
        "approve",
        &id,
        "--log",
        "log.vkey",
        "--key",
        "approver-21.key",
        "--reason-code",
        "2",
        "--out",
        &file,
    ];
    assert_eq!(case.audited(&args).0, 2);
}
