//! The witness's commands, and kill -9 while it writes.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sudare_evidence::reader::Store;
use sudare_protocol::tlog::cosignature::check;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey, WitnessKey};
use sudare_ship::notary::cosign::{SubmitError, Submitter};
use sudare_test_kit::{Pace, wait_until};

use super::{Place, copy, grow, keys, log_at, said};

#[test]
fn a_log_that_goes_back_or_is_rewritten_is_refused_and_put_on_record() {
    let place = Place::new();
    let serving = place.serve("120");
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 300, 0);
    let first = place.submit(&place.path("store"), &serving.url);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    copy(&place.path("store"), &place.path("old"));
    grow(&mut log, 700, 0);
    let second = place.submit(&place.path("store"), &serving.url);
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    assert_eq!((place.status("120").1, place.alarms().len()), (Some(0), 0));

    let note = fs::read(place.path("out.cosigned")).unwrap();
    let witness: WitnessKey = place.witness.parse().unwrap();
    assert_eq!(SignedCheckpoint::open(&note, &keys().verifier().unwrap()).unwrap().size(), 700);
    assert_eq!(check(&note, &[witness]).unwrap().len(), 1);

    let back = place.submit(&place.path("old"), &serving.url);
    assert_eq!(back.status.code(), Some(1), "{}", said(&back));
    assert!(said(&back).contains("CUT BACK"), "{}", said(&back));
    // Signed with the real key, with other entries.
    let mut fork = log_at(&place.path("fork"));
    for size in [700, 800] {
        grow(&mut fork, size, 1);
        let forked = place.submit(&place.path("fork"), &serving.url);
        assert_eq!(forked.status.code(), Some(1), "{}", said(&forked));
        assert!(said(&forked).contains("REWRITTEN"), "{}", said(&forked));
    }
    assert_eq!(place.alarms(), ["rollback", "fork", "unproven"]);
    let (status, code) = place.status("120");
    assert_eq!((code, &status["serious_alarms"]), (Some(1), &3.into()), "{status}");

    grow(&mut log, 701, 0);
    let after = place.submit(&place.path("store"), &serving.url);
    assert_eq!(after.status.code(), Some(0), "{}", said(&after));
}

#[test]
fn a_folder_is_cosigned_without_network_also_beside_the_server() {
    let place = Place::new();
    let serving = place.serve("120");
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 40, 0);
    let submitted = place.submit(&place.path("store"), &serving.url);
    assert_eq!(submitted.status.code(), Some(0), "{}", said(&submitted));
    grow(&mut log, 600, 0);
    let pulled = place.pull(&place.path("store"));
    assert_eq!(pulled.status.code(), Some(0), "{}", said(&pulled));
    let mut fork = log_at(&place.path("fork"));
    grow(&mut fork, 900, 1);
    let forked = place.pull(&place.path("fork"));
    assert_eq!(forked.status.code(), Some(1), "{}", said(&forked));
    assert!(said(&forked).contains("REWRITTEN"), "{}", said(&forked));
    assert!(place.alarms().contains(&"fork".to_owned()), "{:?}", place.alarms());
    // What the pull learned, the server knows.
    let back = place.submit(&place.path("fork"), &serving.url);
    assert_eq!(back.status.code(), Some(1), "{}", said(&back));
    grow(&mut log, 601, 0);
    let after = place.submit(&place.path("store"), &serving.url);
    assert_eq!(after.status.code(), Some(0), "{}", said(&after));
}

#[test]
fn a_witness_that_only_checks_copies_knows_how_they_stand() {
    let place = Place::new();
    assert_eq!(place.status("120").1, Some(1), "it knows no log");
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 40, 0);
    for _ in 0..2 {
        let pulled = place.pull(&place.path("store"));
        assert_eq!(pulled.status.code(), Some(0), "{}", said(&pulled));
    }
    let (status, code) = place.status("120");
    assert_eq!((code, status["logs"].as_array().map(Vec::len)), (Some(0), Some(1)), "{status}");
    assert_eq!((&status["logs"][0]["state"], &status["logs"][0]["size"]), (&"heard".into(), &40.into()));
}

#[test]
fn a_silent_log_is_noticed_and_so_is_its_return() {
    let place = Place::new();
    let serving = place.serve("1");
    assert_eq!(place.status("1").1, Some(1), "it has never sent");
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 3, 0);
    place.submit(&place.path("store"), &serving.url);
    let (status, code) = place.status("30");
    assert_eq!((code, &status["logs"][0]["state"]), (Some(0), &"heard".into()), "{status}");
    let until = |kind: &str| {
        wait_until(&format!("the alarm {kind}"), || {
            let alarms = place.alarms();
            let is_last = alarms.last().map(String::as_str) == Some(kind);
            Ok(if is_last { Ok(()) } else { Err(format!("{alarms:?}")) })
        })
        .unwrap();
    };
    until("silence");
    let (status, code) = place.status("1");
    assert_eq!((code, &status["logs"][0]["state"]), (Some(1), &"silent".into()), "{status}");
    // The same checkpoint again says that the log is still there.
    place.submit(&place.path("store"), &serving.url);
    until("heard-again");
}

#[test]
fn a_key_without_its_memory_does_not_start() {
    let place = Place::new();
    fs::remove_file(place.path("state/witness.vkey")).unwrap();
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 3, 0);
    let pulled = place.pull(&place.path("store"));
    assert_eq!(pulled.status.code(), Some(2), "{}", said(&pulled));
    assert!(said(&pulled).contains("create a new key"), "{}", said(&pulled));
}

#[test]
fn a_log_that_is_added_to_the_file_counts_after_a_reload_and_a_broken_file_changes_nothing() {
    let place = Place::new();
    let ours = fs::read_to_string(place.path("log.vkey")).unwrap();
    let another = VerifierKey::new("example/log/another", keys().log.verifying_key()).unwrap();
    fs::write(place.path("log.vkey"), format!("{another}\n")).unwrap();
    let mut serving = place.serve("120");
    fs::write(place.path("log.vkey"), &ours).unwrap();
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 3, 0);
    let unknown = place.submit(&place.path("store"), &serving.url);
    assert!(said(&unknown).contains("does not know this log"), "{}", said(&unknown));
    serving.reload();
    wait_until("the log to be known", || {
        let submitted = place.submit(&place.path("store"), &serving.url);
        Ok(if submitted.status.success() { Ok(()) } else { Err(said(&submitted)) })
    })
    .unwrap();
    fs::write(place.path("log.vkey"), "not a line of a key\n").unwrap();
    serving.reload();
    sleep(Duration::from_millis(300));
    fs::write(place.path("log.vkey"), &ours).unwrap();
    grow(&mut log, 4, 0);
    let submitted = place.submit(&place.path("store"), &serving.url);
    assert!(
        submitted.status.success() && serving.process.try_wait().unwrap().is_none(),
        "{}",
        said(&submitted)
    );
}

/// kill -9 at times that are not chosen, while it answers and writes without pause.
#[tokio::test]
async fn what_was_answered_is_known_after_kill_9_at_any_time() {
    let place = Place::new();
    let witness: WitnessKey = place.witness.parse().unwrap();
    let mut log = log_at(&place.path("store"));
    let mut fork = log_at(&place.path("fork"));
    let store = Store::open(&place.path("store")).unwrap();
    let (pace, mut answered, mut restarts) = (Pace::start(), 0, 0);
    for round in 0..12_u64 {
        let mut serving = place.serve("120");
        let mut submitter = Submitter::new(&serving.url, witness.clone()).unwrap();
        if answered > 0 {
            let checkpoint = grow(&mut fork, answered + 1, 1);
            let forked = Store::open(&place.path("fork")).unwrap();
            let refused = submitter.submit(&forked, &checkpoint).await;
            let contradicts =
                matches!(refused, Err(SubmitError::Forked { .. } | SubmitError::RolledBack { .. }));
            assert!(contradicts, "round {round}, {answered} answered: {refused:?}");
            submitter = Submitter::new(&serving.url, witness.clone()).unwrap();
        }
        // Long enough for several requests, and spread over the milliseconds that one takes.
        let kill_at =
            Instant::now() + pace.allow(Duration::from_millis(250)) + Duration::from_micros(round * 1_370);
        let killer = std::thread::spawn(move || {
            sleep(kill_at.saturating_duration_since(Instant::now()));
            serving.process.kill().unwrap();
            serving.process.wait().unwrap();
        });
        loop {
            let size = log.size() + 1;
            let checkpoint = grow(&mut log, size, 0);
            match submitter.submit(&store, &checkpoint).await {
                Ok(_) => answered = checkpoint.size(),
                Err(SubmitError::Http(_)) => break,
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        killer.join().unwrap();
        restarts += 1;
    }
    assert!(answered >= 12, "only {answered} were answered in {restarts} lives: nothing was tested");
    let (status, _) = place.status("120");
    assert!(status["logs"][0]["size"].as_u64().unwrap() >= answered, "{answered} answered: {status}");
    println!("{answered} checkpoints answered in {restarts} lives");
}
