//! A policy that comes while a session runs.

use sudare_guard::transport::LinkEvent;
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{Policy, Signed};
use sudare_test_kit::pair;

use super::seat::{Host, Seat, Shown};

impl Host {
    /// The host is given its policy once more, with this serial and this hold.
    fn give_policy(&self, serial: u64, hold_ms: u64) {
        let mut policy = Policy { serial, ..self.shared.policy.record().clone() };
        policy.timings.insert("hold_ms".into(), hold_ms);
        let organisation = pair::organisation_key();
        let bytes = Signed::sign(&organisation, &policy).unwrap();
        let signed = Signed::verify(&organisation.verifying_key(), &bytes, pair::WALL_MS).unwrap();
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
