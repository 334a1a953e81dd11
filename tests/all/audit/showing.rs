//! `show`: an incident in words, in one language, with no secret and nothing opened.

use serde_json::Value;
use sudare_protocol::hex::hex;

use super::case::{Case, HOUR_MS, Incident};

fn told(custody: bool) -> (Case, Incident) {
    let mut case = Case::new(custody);
    let session = case.session(1, HOUR_MS);
    case.uncover(session, HOUR_MS / 2 + 4_000);
    let incident = case.incident(session, 0xa1, HOUR_MS / 2);
    case.incident(session, 0xa2, HOUR_MS / 3);
    (case.close(), incident)
}

fn show(case: &Case) -> (i32, Value) {
    case.audited(&["show", "store", "a1a1", "--key", "log.vkey"])
}

fn states(json: &Value) -> Vec<&str> {
    let pictures = json["story"]["pictures"].as_array().unwrap();
    pictures.iter().map(|one| one["state"].as_str().unwrap()).collect()
}

/// The value of a fact in English.
fn fact<'a>(json: &'a Value, name: &str) -> &'a str {
    let facts = json["story"]["facts"].as_array().unwrap();
    let found = facts.iter().find(|fact| fact["name"]["en"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {json}"))["value"]["en"].as_str().unwrap()
}

#[test]
fn an_incident_is_told_with_its_facts_its_times_and_where_its_pictures_are() {
    let (case, incident) = told(true);
    let before = std::fs::read_dir(case.dir.path()).unwrap().count();
    let (code, json) = show(&case);
    assert_eq!((code, &json["ok"]), (0, &Value::Bool(true)), "{json}");
    assert_eq!(fact(&json, "Incident"), incident.hex());
    assert_eq!(fact(&json, "From the host's decision to the cover"), "38 ms");
    assert_eq!(fact(&json, "Assurance: camera"), "hardware");
    assert_eq!(fact(&json, "Assurance: phones"), "not looked for");
    assert_eq!(fact(&json, "Assurance: a living face"), "passive cues, which can only deny it");
    assert_eq!(
        fact(&json, "Decision: similarity to the operator"),
        "0.081 (operator ≥ 0.363, stranger < 0.250)"
    );
    assert!(fact(&json, "Policy").contains("serial number"), "{json}");
    let timeline = json["story"]["timeline"].as_array().unwrap();
    let at = |time: &str| timeline.iter().find(|moment| moment["time"] == time).unwrap();
    assert_eq!(
        (&at("T +0.038 s")["own"], at("T +0.000 s")["own"].as_bool()),
        (&Value::Bool(true), Some(true))
    );
    assert_eq!(at("T −4.000 s")["what"]["en"], "The desktop is shown again");
    assert_eq!(at("T −4.000 s")["own"], false);
    let entries: Vec<u64> = timeline.iter().map(|moment| moment["entry"].as_u64().unwrap()).collect();
    assert!(entries.is_sorted() && !json.to_string().contains(&"a2".repeat(16)), "the other incident's");
    assert_eq!(states(&json), ["sealed", "sealed", "custodian", "sealed", "custodian", "sealed"]);
    let shows: Vec<&str> = json["story"]["pictures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["shows"].as_str().unwrap())
        .collect();
    assert_eq!(shows, ["screen", "screen", "full", "pixelated", "full", "pixelated"]);
    assert_eq!(std::fs::read_dir(case.dir.path()).unwrap().count(), before, "nothing is written");
}

#[test]
fn people_read_one_language_and_the_verdict_on_the_log_at_the_end() {
    let (case, _) = told(false);
    let text = |language: &str| {
        let args = ["show", "store", "a1", "--key", "log.vkey"];
        let output = std::process::Command::new(super::case::program())
            .args(args)
            .args(["--lang", language])
            .current_dir(case.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let (english, japanese) = (text("en"), text("ja"));
    let is_japanese = |text: &str| text.chars().any(|c| ('\u{3040}'..='\u{9fff}').contains(&c));
    assert!(!is_japanese(&english), "{english}");
    for said in [
        "Someone else is in front of the screen.",
        "T +0.038 s",
        "at the decision (camera, full): sealed in the store",
    ] {
        assert!(english.contains(said), "{said}: {english}");
    }
    assert!(
        english.ends_with("The log is intact (`verify` checks the sealed pictures as well).\n"),
        "{english}"
    );
    for said in ["別の人が画面の前にいます。", "判定から遮蔽まで: 38 ms", "封印されて保存"]
    {
        assert!(japanese.contains(said), "{said}: {japanese}");
    }
    assert!(!japanese.contains("Somebody") && !japanese.contains("sealed"), "{japanese}");
}

#[test]
fn what_is_gone_or_changed_is_said_and_found() {
    let (case, incident) = told(false);
    let file = |folder: &str, at: usize| case.store().join(folder).join(hex(&incident.blobs[at].blob_id));
    std::fs::remove_file(file("headers", 0)).unwrap();
    let mut bytes = std::fs::read(file("blobs", 3)).unwrap();
    bytes[7] ^= 1;
    std::fs::write(file("blobs", 3), bytes).unwrap();
    let (code, json) = show(&case);
    assert_eq!(
        (code, states(&json)),
        (1, vec!["missing", "sealed", "sealed", "differs", "sealed", "sealed"])
    );
    // A tampered log is shown as far as it can be trusted, and the last line says that it was tampered with.
    let bundle = std::fs::read_dir(case.store().join("tile/entries/000.p")).unwrap().next().unwrap();
    let bundle = bundle.unwrap().path();
    let mut bytes = std::fs::read(&bundle).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let output = case.audit(&["show", "store", "a1", "--key", "log.vkey"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("T +0.038 s") && said.ends_with("There are findings: run `verify`.\n"), "{said}");
}

/// Nothing that others wrote commands the auditor's terminal, whether it is refused or shown.
#[test]
fn texts_of_others_are_seen_and_do_nothing() {
    const EVIL: &str = "s\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}txt\nThe evidence is intact.\r\u{200b}";
    let mut case = Case::new(false);
    case.software = EVIL.to_owned();
    let session = case.session(1, HOUR_MS);
    case.incident(session, 0xa1, HOUR_MS / 2);
    let case = case.close();
    std::fs::write(case.store().join(EVIL.replace('/', "")), "").unwrap();
    let commands: [&[&str]; 5] = [
        &["verify", "store", "--key", "log.vkey"],
        &["list", "store", "--key", "log.vkey"],
        &["show", "store", "a1a1", "--key", "log.vkey"],
        &["verify", EVIL, "--key", EVIL],
        &["export", "store", "a1a1", "--key", "log.vkey", "--out", "evil.zip"],
    ];
    let hidden = |text: &str| text.chars().any(|c| c != '\n' && sudare_base::text::is_hidden(c));
    for args in commands {
        for more in [&[][..], &["--json"]] {
            let ended = case.audit(&[args, more].concat());
            let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            assert!(!hidden(&said), "{args:?} {more:?}: {said:?}");
            assert!(said.lines().all(|line| line != "The evidence is intact."), "{args:?}: {said:?}");
            assert_ne!(ended.status.code(), Some(0), "{args:?}: {said:?}");
        }
    }
}
