use std::fs;

use sudare_evidence::status::forward as status;

use super::*;
use crate::test_log::{ORIGIN, TestLog};

#[test]
fn each_alarm_is_delivered_once_in_order_and_only_under_a_checkpoint() {
    let mut log = TestLog::new();
    log.quiet(250);
    // More than one batch, over the edge of a bundle.
    let mut expected = log.alarms(150);
    log.quiet(3);
    log.checkpoint();
    log.forwarder().run_once().unwrap();
    assert_eq!(log.delivered(), expected);
    // Entries that no checkpoint covers yet wait for one.
    expected.extend(log.alarms(2));
    log.forwarder().run_once().unwrap();
    assert_eq!(log.delivered().len(), 150);
    log.checkpoint();
    log.forwarder().run_once().unwrap();
    assert_eq!(log.delivered(), expected);
    let status = status::read(&log.path("state")).unwrap().unwrap();
    assert_eq!((status.state, status.running), (State::Idle, false));
    assert_eq!((status.accepted_events, status.waiting_events), (152, 0));
    assert_eq!((status.verified_entries, status.last_leaf), (406, Some(405)));
}

#[test]
fn a_running_forwarder_follows_the_growing_log() {
    let mut log = TestLog::new();
    let mut forwarder = log.forwarder();
    let mut expected = Vec::new();
    for _ in 0..6 {
        expected.extend(log.alarms(31));
        log.quiet(29);
        log.checkpoint();
        forwarder.run_once().unwrap();
        assert_eq!(log.delivered(), expected);
    }
}

#[test]
fn an_unavailable_receiver_loses_nothing_and_is_reported() {
    let mut log = TestLog::new();
    let expected = log.alarms(3000);
    log.checkpoint();
    // A folder cannot be written to as a file.
    fs::create_dir(log.path("out")).unwrap();
    let mut forwarder = log.forwarder();
    for _ in 0..20 {
        forwarder.run_once().unwrap_err();
    }
    let status = status::read(&log.path("state")).unwrap().unwrap();
    assert_eq!((status.state, status.failed_tries, status.running), (State::Waiting, 20, true));
    assert!(status.last_error.unwrap().contains("cannot be written"));
    // The outbox is bounded; the log keeps the rest.
    assert_eq!(status.waiting_events, 16 * 64);
    fs::remove_dir(log.path("out")).unwrap();
    drop(forwarder);
    log.forwarder().run_once().unwrap();
    assert_eq!(log.delivered(), expected);
}

#[test]
fn a_rolled_back_log_is_reported_once() {
    let mut log = TestLog::new();
    let early = fs::read(log.path("store/checkpoint")).unwrap();
    log.alarms(3);
    log.checkpoint();
    log.forwarder().run_once().unwrap();
    let late = fs::read(log.path("store/checkpoint")).unwrap();
    fs::write(log.path("store/checkpoint"), early).unwrap();
    for _ in 0..3 {
        let mut forwarder = log.forwarder();
        forwarder.run_once().unwrap_err();
        assert_eq!(forwarder.status().state, State::Contradiction);
        let error = forwarder.run_once().unwrap_err();
        assert!(error.to_string().contains("rolled back"), "{error}");
    }
    assert_eq!(log.delivered()[3..], [format!("{ORIGIN}#4!contradiction")]);
    // Once the true log is back, forwarding continues after the last event.
    fs::write(log.path("store/checkpoint"), late).unwrap();
    let more = log.alarms(2);
    log.checkpoint();
    log.forwarder().run_once().unwrap();
    assert_eq!(log.delivered()[4..], more);
}

#[test]
fn an_edited_entry_is_never_sent_and_the_edit_is_reported() {
    let mut log = TestLog::new();
    log.checkpoint();
    log.forwarder().run_once().unwrap();
    log.note(7);
    log.checkpoint();
    log.edit("tile/entries/000.p/2", |bytes| {
        let last = bytes.len() - 70;
        bytes[last] ^= 1;
    });
    let error = log.forwarder().run_once().unwrap_err();
    assert!(error.to_string().contains("do not lead to the root"), "{error}");
    assert_eq!(log.delivered(), [format!("{ORIGIN}#1!contradiction")]);
}

#[test]
fn a_foreign_key_sends_nothing() {
    let log = TestLog::new();
    let other = sudare_protocol::SigningKey::from_bytes(&[8; 32]).verifying_key();
    let mut forwarder = Forwarder::open(Settings {
        store: log.path("store"),
        state: log.path("state"),
        verifier: VerifierKey::new(ORIGIN, other).unwrap(),
        format: Format::Cef,
        syslog: false,
        receiver: Receiver::File(log.path("out")),
        to: "test".into(),
    })
    .unwrap();
    assert!(matches!(forwarder.run_once(), Err(ForwardError::Tail(TailError::Key(_)))));
    assert!(!log.path("out").exists());
}

#[test]
fn retries_back_off_up_to_a_bound() {
    let waits: Vec<_> = [1, 2, 3, 8, 200, u32::MAX].map(backoff).iter().map(Duration::as_millis).collect();
    assert_eq!(waits, [500, 1_000, 2_000, 60_000, 60_000, 60_000]);
}
