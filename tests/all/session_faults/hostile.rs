//! An enrolled client that means harm: it cannot misfile evidence, nor fill the log; and a client that
//! means none is not blamed for a store that keeps nothing.

use std::thread;
use std::time::Duration;

use sudare_base::clock;
use sudare_guard::session::evidence::{Job, What};
use sudare_guard::transport::LinkEvent;
use sudare_protocol::error::Code;
use sudare_protocol::evidence::Event;
use sudare_protocol::evidence::event::Note;
use sudare_protocol::limits::CREDITS;
use sudare_protocol::reason::Reason;

use super::seat::{Host, Seat, Shown, USER};

/// What a client can cause at once, with some for the time that passes.
const LOGGED_MAX: usize = 90;
/// Waiting jobs from which on nobody may cause more.
const FULL_QUEUE: usize = 256;

#[test]
fn the_name_of_an_old_incident_files_nothing_under_it() {
    let host = Host::start().pictures_withheld();
    let mut seat = Seat::visible(&host);
    let old = seat.lock_with_picture(&host, Reason::Stranger).manifest.incident_id;
    seat.until("the receipt", |seat| !seat.receipts.is_empty());
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let mut seat = Seat::visible(&host);
    seat.lock(Reason::Onlooker, old);
    assert_eq!(seat.shown, Shown::Covered(Reason::Onlooker));
    // Once more within the session, under a name that was good the first time.
    seat.unlock();
    seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    let named = seat.client.as_ref().unwrap().incident_id(clock::random().unwrap());
    for _ in 0..2 {
        seat.lock(Reason::Stranger, named);
        seat.unlock();
        seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    }
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let incidents = host.verified_incidents();
    let told: Vec<_> = incidents.iter().map(|i| (i.reason.as_str(), i.pictures.len())).collect();
    let one_each = [("stranger", 2), ("onlooker", 1), ("stranger", 1), ("stranger", 1)];
    assert_eq!(told, one_each, "each with its own screenshot");
}

#[test]
fn a_client_that_locks_without_end_is_refused_and_its_log_stays_short() {
    let host = Host::start().pictures_withheld();
    let mut seat = Seat::visible(&host);
    let mut sent = 0;
    // Slower than what is a flood of messages in itself.
    while seat.refused.is_none() && sent < 2 * LOGGED_MAX {
        let named = seat.client.as_ref().unwrap().incident_id(clock::random().unwrap());
        if sent % 2 == 0 {
            seat.lock(Reason::Stranger, named);
        } else {
            seat.unlock();
        }
        sent += 1;
        thread::sleep(Duration::from_millis(25));
    }
    let told = seat.refused.take().expect("it is refused").to_string();
    assert!(told.contains(Code::Flood.text()), "{told}");
    assert!(matches!(seat.shown, Shown::Covered(_)));
    drop(seat);
    let logged = host.verified_events().iter().filter(|e| matches!(e, Event::ClientMessage(_))).count();
    assert!((32..=LOGGED_MAX).contains(&logged), "{logged}");
}

#[test]
fn a_client_that_delivers_without_end_has_to_wait_and_is_not_refused() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    for _ in 0..2 * LOGGED_MAX {
        let named = seat.client.as_ref().unwrap().incident_id(clock::random().unwrap());
        seat.deliver(&host, Reason::Stranger, named);
        thread::sleep(Duration::from_millis(25));
    }
    assert!(seat.refused.is_none(), "{:?}", seat.refused);
    let waits = seat.receipts.len();
    seat.until("credit again", |seat| seat.receipts.len() > waits + 4);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let logged = host.verified_events().iter().filter(|e| matches!(e, Event::ClientMessage(_))).count();
    // With what may come before it learns that it has to wait.
    assert!((64..=LOGGED_MAX + CREDITS as usize).contains(&logged), "{logged}");
}

#[test]
fn locks_and_unlocks_that_change_nothing_are_not_logged() {
    let host = Host::start().pictures_withheld();
    let mut seat = Seat::visible(&host);
    seat.attest_for_ms(1_000);
    (0..5).for_each(|_| seat.unlock());
    (0..20).for_each(|n| seat.lock(Reason::Stranger, [n; 16]));
    (0..5).for_each(|_| seat.unlock());
    assert!(seat.refused.is_none(), "{:?}", seat.refused);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let logged = host.verified_events().iter().filter(|e| matches!(e, Event::ClientMessage(_))).count();
    assert_eq!(logged, 2, "one lock and one unlock");
}

#[test]
fn a_store_that_keeps_nothing_is_not_called_the_clients_fault() {
    let host = Host::without_store();
    let mut inside = Seat::connect(&host, USER);
    inside.open();
    for _ in 0..FULL_QUEUE {
        let what = What::Note(Note { code: 2, value: 0 });
        host.shared.evidence.keep(Job { session_id: [1; 16], incident_id: None, what });
    }
    inside.unlock();
    // Nor may anybody come in and add to what waits.
    let mut outside = Seat::connect(&host, USER);
    outside.try_open();
    for mut seat in [inside, outside] {
        let told = seat.refused.take().expect("it is refused").to_string();
        assert!(told.contains(Code::EvidenceStore.text()), "{told}");
        assert_eq!(seat.shown, Shown::Covered(Reason::EvidenceNotKept));
    }
}
