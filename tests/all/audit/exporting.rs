//! `export` and `verify-export`: what is handed on fits the log, for our checker and for Python alone, and
//! nothing in it can be changed without both refusing it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::SignedCheckpoint;
use sudare_protocol::tlog::cosignature::{self, Cosigner};

use super::case::{Case, HOUR_MS, Incident};

type Files = BTreeMap<String, Vec<u8>>;

fn exported(more: &[&str]) -> (Case, Incident) {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    case.uncover(session, HOUR_MS - 4_000);
    let other = case.session(2, HOUR_MS / 2 + 5_000);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    case.incident(other, 0xa2, HOUR_MS / 2 - 5_000);
    case.uncover(session, HOUR_MS / 2 - 20_000);
    let case = case.close();
    let args = [
        "export",
        "store",
        "a1a1",
        "--key",
        "log.vkey",
        "--identity",
        "auditor.age",
        "--purpose",
        "case 12",
        "--out",
        "incident.zip",
    ];
    let (code, json) = case.audited(&[&args[..], more].concat());
    assert_eq!(code, 0, "{json}");
    (case, incident)
}

fn unzip(path: &Path) -> Files {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut member = zip.by_index(at).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            (member.name().to_owned(), bytes)
        })
        .collect()
}

fn zip(path: &Path, files: &Files) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in files {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// The list as somebody makes it who changed files and knows about the list.
fn relist(files: &mut Files) {
    files.remove("files.sha256");
    let line = |(name, bytes): (&String, &Vec<u8>)| format!("{}  {name}\n", hex(&Sha256::digest(bytes)));
    let list: String = files.iter().map(line).collect();
    files.insert("files.sha256".into(), list.into_bytes());
}

fn ours(case: &Case, zip: &str, key: &str) -> (bool, Value) {
    let (code, json) = case.audited(&["verify-export", zip, "--key", key]);
    assert!(code < 2, "{json}");
    (code == 0, json)
}

/// The script of this source, not the one in the zip: a changed one could say anything.
fn python(case: &Case, zip: &str, key: &str) -> (bool, String) {
    python_with(case, &[zip, "--key", key])
}

fn python_with(case: &Case, args: &[&str]) -> (bool, String) {
    let script = sudare_test_kit::checkout().join("host-ext/audit/src/export/verify.py");
    let mut run = Command::new("python3");
    run.arg("-I").arg(script).args(args).current_dir(case.dir.path());
    let run = run.output().expect("python3 is part of the set-up");
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code().is_some_and(|code| code < 2), "{said}");
    (run.status.success(), said)
}

#[track_caller]
fn assert_refused(case: &Case, files: &Files, what: &str) {
    zip(&case.path("changed.zip"), files);
    let (ours, json) = ours(case, "changed.zip", "log.vkey");
    let (python, said) = python(case, "changed.zip", "log.vkey");
    assert!(!ours, "{what}: ours accepts it: {json}");
    assert!(!python, "{what}: Python accepts it: {said}");
}

#[test]
fn an_export_is_accepted_by_both_and_holds_no_more_than_its_incident() {
    let (case, incident) = exported(&[]);
    let (accepted, json) = ours(&case, "incident.zip", "log.vkey");
    assert!(accepted && json["reason"] == "stranger" && json["incident"] == incident.hex(), "{json}");
    let (accepted, said) = python(&case, "incident.zip", "log.vkey");
    assert!(accepted, "{said}");
    let files = unzip(&case.path("incident.zip"));
    let opened: Vec<&str> = files.keys().filter_map(|name| name.strip_prefix("opened/")).collect();
    let names = [
        "1-screenshot-suspect.png",
        "2-screenshot-at-cover.png",
        "4-camera-at-pixelated.png",
        "6-camera-after-pixelated.png",
    ];
    assert_eq!(opened, names, "full pictures are left out, sealed ones too");
    assert_eq!(files.keys().filter(|name| name.starts_with("sealed/")).count(), 4);
    // Entries of the other session and incident stay at home.
    let entries = files.keys().filter(|name| name.starts_with("entries/")).count();
    assert_eq!(entries, 9, "{:?}", files.keys());
    let views = std::fs::read_to_string(case.path("views.jsonl")).unwrap();
    assert!(views.lines().count() == 4 && views.contains("case 12"), "{views}");
    // The second verifier is a program of its own, and the same as in the source.
    assert_eq!(files["verify.py"], include_bytes!("../../../host-ext/audit/src/export/verify.py"));
    let (_, json) = case.audited(&["export", "store", "a1", "--key", "log.vkey", "--out", "incident.zip"]);
    assert!(json.to_string().contains("is there already"), "{json}");
}

#[test]
fn the_page_runs_and_loads_nothing_and_shows_the_pictures() {
    let (case, _) = exported(&["--full"]);
    let files = unzip(&case.path("incident.zip"));
    let page = String::from_utf8(files["index.html"].clone()).unwrap();
    assert_eq!(page.matches("<img src=\"data:image/png;base64,").count(), 6);
    for forbidden in ["<script", "http://", "https://", "<link", "<iframe", " onload"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for said in [
        "別の人が画面の前にいます。",
        "Someone else is in front of the screen.",
        "default-src 'none'",
        "T +0.038 s",
        "ファイル / file",
        "ハードウェア / hardware",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(ours(&case, "incident.zip", "log.vkey").0 && python(&case, "incident.zip", "log.vkey").0);
}

#[test]
fn without_an_identity_everything_stays_sealed_and_still_verifies() {
    let mut case = Case::new(true);
    let session = case.session(1, HOUR_MS);
    case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    let (code, json) =
        case.audited(&["export", "store", "a1", "--key", "log.vkey", "--full", "--out", "sealed.zip"]);
    assert_eq!(code, 0, "{json}");
    let files = unzip(&case.path("sealed.zip"));
    assert_eq!(files.keys().filter(|name| name.starts_with("sealed/")).count(), 6);
    assert!(!files.keys().any(|name| name.starts_with("opened/")));
    assert!(!String::from_utf8_lossy(&files["index.html"]).contains("<img"));
    assert!(ours(&case, "sealed.zip", "log.vkey").0 && python(&case, "sealed.zip", "log.vkey").0);
}

#[test]
fn a_changed_byte_in_any_file_is_refused_by_both() {
    let (case, _) = exported(&[]);
    let files = unzip(&case.path("incident.zip"));
    for name in files.keys() {
        let mut changed = files.clone();
        let bytes = changed.get_mut(name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        assert_refused(&case, &changed, name);
        let mut missing = files.clone();
        missing.remove(name);
        assert_refused(&case, &missing, &format!("{name} missing"));
    }
}

#[test]
fn what_counts_is_refused_also_if_the_list_is_made_anew() {
    let (case, _) = exported(&[]);
    let files = unzip(&case.path("incident.zip"));
    for name in files.keys().filter(|name| {
        ["entries/", "sealed/", "opened/", "checkpoint"].iter().any(|part| name.starts_with(part))
    }) {
        let mut changed = files.clone();
        let bytes = changed.get_mut(name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        relist(&mut changed);
        assert_refused(&case, &changed, name);
    }
    let edited = |name: &str, from: &str, to: &str| {
        let mut changed = files.clone();
        let text = String::from_utf8(changed[name].clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        changed.insert(name.to_owned(), text.replacen(from, to, 1).into_bytes());
        relist(&mut changed);
        changed
    };
    let size = String::from_utf8(files["checkpoint"].clone()).unwrap().lines().nth(1).unwrap().to_owned();
    assert_refused(&case, &edited("checkpoint", &format!("\n{size}\n"), "\n99\n"), "another size");
    assert_refused(&case, &edited("proof.json", "\"index\": 1", "\"index\": 2"), "another place");
    assert_refused(
        &case,
        &edited("proof.json", "sudare.example/log/vdi-1", "sudare.example/log/vdi-2"),
        "another log",
    );
    assert_refused(&case, &edited("proof.json", "\"version\": 1", "\"version\": 2"), "another version");
    assert_refused(
        &case,
        &edited("index.html", "data:image/png;base64,iVBOR", "data:image/png;base64,iVBOS"),
        "another picture on the page",
    );
    assert_refused(&case, &edited("index.html", "</main>", "<script>1</script></main>"), "a script");
    for (what, from, to) in [
        ("other words", "別の人が", "本人が"),
        ("an event of svg", "</main>", "<svg/onload=alert(1)></main>"),
        ("an event in capitals", "<main>", "<main ONCLICK=x>"),
        ("an address without a scheme", "</main>", "<img src=//evil.example/x></main>"),
        (
            "a refresh",
            "<meta charset",
            "<meta http-equiv=refresh content=\"0;url=//evil.example\"><meta charset",
        ),
        ("a base", "<meta charset", "<base href=//evil.example><meta charset"),
        ("a form", "</main>", "<form action=x><button>log in</button></form></main>"),
        ("a looser policy", "default-src 'none'", "default-src *"),
        ("a style that hides", "<style>", "<style>.bad{display:none}"),
        ("a comment", "</main>", "<!-- x --></main>"),
        ("more space", "</main>", "</main> "),
    ] {
        assert_refused(&case, &edited("index.html", from, to), what);
    }
    assert_refused(&case, &edited("verify.py", "return False", "return True"), "another verify.py");
    assert_refused(&case, &edited("README.txt", "log.vkey", "log.key"), "another README");
    let words = |from: &str, to: &str| edited("proof.json", from, to);
    let made_by = format!("sudare-audit {}", env!("CARGO_PKG_VERSION"));
    assert_refused(&case, &words(&made_by, "sudare-audit 9.9.9"), "another version made it");
    assert_refused(&case, &words(&made_by, "the court"), "somebody else made it");
    assert_refused(&case, &words("\"not-chosen\"", "\"was innocent\""), "words of one's own about a picture");
    assert_refused(
        &case,
        &words("\"findings\": []", "\"findings\": [\"was innocent\"]"),
        "and about the log",
    );
}

#[test]
fn entries_and_pictures_that_are_left_out_put_in_or_exchanged_are_refused() {
    let (case, incident) = exported(&[]);
    let files = unzip(&case.path("incident.zip"));
    let mut facts: Value = serde_json::from_slice(&files["proof.json"]).unwrap();
    let with = |facts: &Value, change: &dyn Fn(&mut Files)| {
        let mut changed = files.clone();
        changed.insert("proof.json".into(), serde_json::to_vec_pretty(facts).unwrap());
        change(&mut changed);
        relist(&mut changed);
        changed
    };
    let unproved = with(&facts, &|files| drop(files.insert("entries/90.cose".into(), b"x".to_vec())));
    assert_refused(&case, &unproved, "an entry without a proof");
    let foreign =
        with(&facts, &|files| drop(files.insert(format!("sealed/{}.age", "0".repeat(32)), b"x".to_vec())));
    assert_refused(&case, &foreign, "a picture that nothing names");
    for name in ["../evil", "entries/../../evil.cose", "/etc/passwd", "more.txt"] {
        assert_refused(&case, &with(&facts, &|files| drop(files.insert(name.into(), b"x".to_vec()))), name);
    }
    // Two pictures exchanged, names and all.
    let opened: Vec<String> = files.keys().filter(|name| name.starts_with("opened/")).cloned().collect();
    let exchanged = with(&facts, &|files| {
        let (a, b) = (files[&opened[0]].clone(), files[&opened[1]].clone());
        files.insert(opened[0].clone(), b);
        files.insert(opened[1].clone(), a);
    });
    assert_refused(&case, &exchanged, "pictures exchanged");
    // The client's message without the handshake it belongs to.
    let start = facts["entries"].as_array().unwrap()[1]["index"].clone();
    facts["entries"].as_array_mut().unwrap().remove(1);
    let without = with(&facts, &|files| drop(files.remove(&format!("entries/{start}.cose"))));
    assert_refused(&case, &without, "no handshake");
    let mut less: Value = serde_json::from_slice(&files["proof.json"]).unwrap();
    less["pictures"].as_array_mut().unwrap().remove(0);
    let blob = hex(&incident.blobs[0].blob_id);
    let withheld = with(&less, &|files| {
        files.remove(&format!("sealed/{blob}.age"));
        files.remove(&opened[0]);
    });
    assert_refused(&case, &withheld, "a picture left out");
}

#[test]
fn another_key_and_no_zip_are_refused() {
    let (case, _) = exported(&[]);
    let other =
        sudare_protocol::tlog::VerifierKey::new(super::case::ORIGIN, super::case::key(77).verifying_key());
    case.write("other.vkey", format!("{}\n", other.unwrap()).as_bytes());
    assert!(!ours(&case, "incident.zip", "other.vkey").0 && !python(&case, "incident.zip", "other.vkey").0);
    case.write("no.zip", b"PK\x03\x04 nothing");
    assert!(!ours(&case, "no.zip", "log.vkey").0 && !python(&case, "no.zip", "log.vkey").0);
    let long = vec![0; 70_000];
    let mut files: Files = (0..1300).map(|n| (format!("entries/{n}.cose"), vec![])).collect();
    zip(&case.path("many.zip"), &files);
    assert!(!ours(&case, "many.zip", "log.vkey").0 && !python(&case, "many.zip", "log.vkey").0);
    files.clear();
    files.insert("checkpoint".into(), long);
    zip(&case.path("long.zip"), &files);
    assert!(!ours(&case, "long.zip", "log.vkey").0 && !python(&case, "long.zip", "log.vkey").0);
}

#[test]
fn evidence_that_is_not_intact_is_not_handed_on() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    let bundles = case.store().join("tile/entries/000.p");
    let bundle = std::fs::read_dir(bundles).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&bundle).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let (code, said) = case.audited(&["export", "store", "a1", "--key", "log.vkey", "--out", "x.zip"]);
    assert!(code == 2 && said.to_string().contains("do not lead to the checkpoint"), "{said}");
    assert!(!case.path("x.zip").exists());
}

#[test]
fn a_cosigned_checkpoint_is_handed_on_and_a_witness_can_be_demanded() {
    let mut case = Case::new(false);
    let session = case.session(1, HOUR_MS);
    case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    let line = std::fs::read_to_string(case.path("log.vkey")).unwrap();
    let note = std::fs::read(case.store().join("checkpoint")).unwrap();
    let checkpoint = SignedCheckpoint::open(&note, &line.parse().unwrap()).unwrap();
    let witness = Cosigner::new("witness.example/audit", super::case::key(60)).unwrap();
    let cosigned =
        cosignature::attach(checkpoint.note(), &witness.cosign(&checkpoint, 1_800_000_000).unwrap());
    case.write("cosigned", cosigned.as_bytes());
    case.write("witness.vkey", format!("{}\n", witness.public()).as_bytes());
    let other = Cosigner::new("witness.example/audit", super::case::key(61)).unwrap();
    case.write("other.vkey", format!("{}\n", other.public()).as_bytes());
    let export = ["export", "store", "a1", "--key", "log.vkey"];
    assert_eq!(case.audited(&[&export[..], &["--out", "plain.zip"]].concat()).0, 0);
    assert_eq!(
        case.audited(&[&export[..], &["--out", "seen.zip", "--checkpoint", "cosigned"]].concat()).0,
        0
    );
    for (zip, witness, accepted) in [
        ("seen.zip", "witness.vkey", true),
        ("seen.zip", "other.vkey", false),
        ("plain.zip", "witness.vkey", false),
    ] {
        let (code, json) = case.audited(&["verify-export", zip, "--key", "log.vkey", "--witness", witness]);
        assert_eq!(code == 0, accepted, "{zip} {witness}: {json}");
        let (independent, said) = python_with(&case, &[zip, "--key", "log.vkey", "--witness", witness]);
        assert_eq!(independent, accepted, "{zip} {witness}: {said}");
    }
}

/// What file managers do on the way: nothing of it is the export's, and the export is what it was.
#[test]
fn an_export_that_was_unpacked_and_packed_again_is_accepted_and_a_changed_one_is_not() {
    let (case, _) = exported(&[]);
    let files = unzip(&case.path("incident.zip"));
    let litter = [
        (".DS_Store", "x"),
        ("entries/.DS_Store", "x"),
        ("__MACOSX/._index.html", "x"),
        ("opened/Thumbs.db", "x"),
        ("desktop.ini", "[.ShellClassInfo]"),
        ("index.html:Zone.Identifier", "[ZoneTransfer]"),
    ];
    let with = |prefix: &str, separator: &str, files: &Files| {
        let mut again = Files::new();
        for name in ["entries/", "sealed/", "opened/"] {
            again.insert(format!("{prefix}{name}"), vec![]);
        }
        for (name, bytes) in litter {
            again.insert(format!("{prefix}{name}"), bytes.into());
        }
        again.extend(
            files
                .iter()
                .map(|(name, bytes)| (format!("{prefix}{name}").replace('/', separator), bytes.clone())),
        );
        again
    };
    let unpack = |folder: &str, files: &Files| {
        for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with('/')) {
            let path = case.path(folder).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    };
    zip(&case.path("again.zip"), &with("", "/", &files));
    zip(&case.path("inside.zip"), &with("case 12/", "/", &files));
    zip(&case.path("windows.zip"), &with("", "\\", &files));
    unpack("folder", &with("", "/", &files));
    unpack("around", &with("incident/", "/", &files));
    for export in ["again.zip", "inside.zip", "windows.zip", "folder", "around"] {
        let (accepted, json) = ours(&case, export, "log.vkey");
        let said = json["checks"][0]["detail"].as_str().unwrap_or_default();
        assert!(accepted && said.contains(".DS_Store") && said.contains("not read"), "{export}: {json}");
        let (accepted, said) = python(&case, export, "log.vkey");
        assert!(accepted && said.contains(".DS_Store"), "{export}: {said}");
    }
    let mut changed = files.clone();
    changed.get_mut("entries/0.cose").unwrap()[100] ^= 1;
    relist(&mut changed);
    assert_refused(&case, &with("", "/", &changed), "a changed entry between the litter");
    unpack("changed", &changed);
    let mut twice = with("", "/", &files);
    twice.insert("entries\\0.cose".into(), b"another".to_vec());
    assert_refused(&case, &twice, "an entry under two spellings");
    std::os::unix::fs::symlink("/etc/passwd", case.path("folder").join("more.txt")).unwrap();
    for export in ["changed", "folder"] {
        assert!(!ours(&case, export, "log.vkey").0 && !python(&case, export, "log.vkey").0, "{export}");
    }
}

#[test]
fn a_key_file_is_read_whatever_an_editor_did_to_its_ends() {
    let (case, _) = exported(&[]);
    let line = std::fs::read_to_string(case.path("log.vkey")).unwrap();
    let line = line.trim();
    let wide: Vec<u8> = format!("{line}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes) in [
        ("bom.vkey", format!("\u{feff}{line}\n").into_bytes()),
        ("crlf.vkey", format!("{line}\r\n").into_bytes()),
        ("bare.vkey", line.as_bytes().to_vec()),
        ("both.vkey", format!("\u{feff}{line}\r\n\r\n").into_bytes()),
        ("wide.vkey", [&[0xff, 0xfe], wide.as_slice()].concat()),
    ] {
        case.write(name, &bytes);
        let (accepted, json) = ours(&case, "incident.zip", name);
        assert!(accepted, "{name}: {json}");
        let (accepted, said) = python(&case, "incident.zip", name);
        assert!(accepted, "{name}: {said}");
        let (code, json) = case.audited(&["verify", "store", "--key", name]);
        assert_eq!(code, 0, "{name}: {json}");
    }
    // A receipt that went through a mail program on Windows is the same receipt.
    let note = std::fs::read_to_string(case.store().join("checkpoint")).unwrap();
    case.write("mailed", format!("\u{feff}{}", note.replace('\n', "\r\n")).as_bytes());
    let (code, json) = case.audited(&["verify", "store", "--key", "log.vkey", "--receipt", "mailed"]);
    assert_eq!((code, &json["checkpoints"]), (0, &2.into()), "{json}");
}

#[test]
fn the_page_that_belongs_to_the_evidence_can_be_had_from_both() {
    let (case, _) = exported(&[]);
    let mut files = unzip(&case.path("incident.zip"));
    let page = files["index.html"].clone();
    files.insert("index.html".into(), b"<svg/onload=alert(1)>".to_vec());
    relist(&mut files);
    zip(&case.path("changed.zip"), &files);
    let (code, json) =
        case.audited(&["verify-export", "changed.zip", "--key", "log.vkey", "--page", "ours.html"]);
    assert!(code == 1 && json["evidence_ok"] == true && json["ok"] == false, "{json}");
    assert_eq!(std::fs::read(case.path("ours.html")).unwrap(), page);
}
