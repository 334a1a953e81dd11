//! A policy that comes while a session runs, one that only observes, and consent that is taken back.

use sudare_base::clock;
use sudare_guard::transport::LinkEvent;
use sudare_protocol::cose;
use sudare_protocol::evidence::Event;
use sudare_protocol::groups::{EVERYBODY, Group};
use sudare_protocol::message::{self, Open};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{Policy, Signed};
use sudare_test_kit::pair;

use super::seat::{Host, Seat, Shown, USER};

impl Host {
    /// The host is given its policy once more, with this serial and this hold.
    fn give_policy(&self, serial: u64, hold_ms: u64) {
        let mut policy = Policy { serial, ..self.shared.policy.record().clone() };
        policy.timings.insert("hold_ms".into(), hold_ms);
        self.give(&policy);
    }

    /// And with a pilot for everybody.
    fn give_pilot(&self) {
        let now_ms = clock::wall_ms();
        let pilot = Group {
            name: "pilot".into(),
            members: vec![EVERYBODY.into()],
            timings: [].into(),
            eyes: None,
            observed_until_ms: Some(now_ms + 3_600_000),
        };
        let before = self.shared.policy.record();
        let (serial, not_before_ms) = (before.serial + 1, now_ms - 60_000);
        self.give(&Policy { serial, not_before_ms, groups: Some(vec![pilot]), ..before.clone() });
    }

    fn give(&self, policy: &Policy) {
        let organisation = pair::organisation_key();
        let bytes = Signed::sign(&organisation, policy).unwrap();
        let signed = Signed::verify_any_time(&organisation.verifying_key(), &bytes).unwrap();
        *self.newest.lock().unwrap() = Some(signed);
    }
}

#[test]
fn a_newer_policy_begins_the_session_anew_and_is_no_incident() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    let before = seat.client.as_ref().unwrap().policy().record().serial;
    host.give_policy(before + 1, 444);
    let changed = Shown::Covered(Reason::PolicyChanged);
    seat.until("the host begins anew", |seat| seat.reopened == 1);
    assert_eq!(seat.shown, changed, "nothing is shown under rules that are over");
    seat.link(LinkEvent::Closed);
    assert_eq!(seat.shown, changed, "the words stay");
    seat.open();
    seat.until("the desktop returns", |seat| seat.shown == Shown::Desktop);
    let client = seat.client.as_ref().unwrap();
    assert_eq!((client.policy().record().serial, client.timings().hold_ms), (before + 1, 444));
    // And it is not looked for again and again.
    seat.attest_for_ms(11_000);
    assert_eq!((seat.reopened, seat.shown), (1, Shown::Desktop));
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    assert!(host.verified_incidents().is_empty());
}

#[test]
fn an_older_policy_changes_nothing() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    let before = seat.client.as_ref().unwrap().policy().record().serial;
    for serial in [before, before - 1] {
        host.give_policy(serial, 444);
        seat.attest_for_ms(11_000);
        assert_eq!((seat.reopened, seat.shown), (0, Shown::Desktop));
    }
    // Nor for whoever comes after it.
    seat.link(LinkEvent::Closed);
    seat.open();
    seat.until("the desktop returns", |seat| seat.shown == Shown::Desktop);
    assert_ne!(seat.client.as_ref().unwrap().timings().hold_ms, 444);
}

#[test]
fn a_pilot_keeps_what_is_seen_with_its_pictures_and_covers_nobody() {
    let host = Host::start();
    host.give_pilot();
    let mut seat = Seat::connect(&host, USER);
    seat.open();
    seat.until("that it is a pilot", |seat| seat.shown == Shown::Covered(Reason::Observing));
    seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    seat.lock_with_picture(&host, Reason::Stranger);
    seat.until("the receipt", |seat| !seat.receipts.is_empty());
    assert_eq!(seat.shown, Shown::Desktop);
    seat.unlock();
    seat.attest_for_ms(1_000);
    // Whoever is gone is no onlooker.
    seat.link(LinkEvent::Closed);
    assert_eq!(seat.shown, Shown::Covered(Reason::ClientGone));
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let incidents = host.verified_incidents();
    let seen = incidents.iter().find(|incident| incident.reason == "stranger").unwrap();
    assert_eq!(seen.pictures.len(), 2, "camera and screen");
}

#[test]
fn a_pilot_says_in_the_log_what_it_did_not_cover() {
    let host = Host::start();
    host.give_pilot();
    let mut seat = Seat::visible(&host);
    seat.lock(Reason::Absent, [0; 16]);
    seat.attest_for_ms(500);
    assert_eq!(seat.shown, Shown::Desktop);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    // The first group, in a pilot.
    assert_eq!(host.verified_notes(), [(35, 4 + 2), (36, Reason::Absent.number().into())]);
}

#[test]
fn consent_that_is_taken_back_covers_and_is_in_the_log_once_however_often_it_is_said() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    seat.link(LinkEvent::Closed);
    seat.withdrawal = Some(pair::withdrawal());
    for _ in 0..3 {
        seat.try_open();
        assert_eq!(seat.shown, Shown::Covered(Reason::NoConsent));
        seat.link(LinkEvent::Closed);
    }
    // Whoever forgets it is refused as well.
    seat.withdrawal = None;
    seat.try_open();
    assert_eq!(seat.shown, Shown::Covered(Reason::NoConsent));
    assert!(seat.client.is_none());
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let withdrawn = |event: &Event| match event {
        Event::SessionStart(start) => {
            let (_, _, body) = message::split(cose::unverified_payload(&start.open).unwrap()).unwrap();
            message::body::<Open>(body).unwrap().withdrawal == Some(pair::withdrawal())
        }
        _ => false,
    };
    assert_eq!(host.verified_events().iter().filter(|event| withdrawn(event)).count(), 1);
}
