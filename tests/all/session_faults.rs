//! The host's real session (signatures, guard, evidence thread, store) under faults, with a
//! transport made by hand in the place of RDP: what covers, what stays, and that nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod clock;
mod figures;
mod full_disk;
mod hostile;
mod logs;
mod policy;
mod quota;
mod seat;

use std::time::{Duration, Instant};

use sudare_guard::decision::COVER_CONFIRM_MAX_MS;
use sudare_guard::transport::{CoverKey, LinkEvent};
use sudare_protocol::error::{Code, Fault, Refusal};
use sudare_protocol::evidence::Event;
use sudare_protocol::evidence::event::Cover;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::frame::frame;
use sudare_protocol::message::{Bye, Unlock};
use sudare_protocol::reason::Reason;
use sudare_test_kit::Pace;

use seat::{Host, Seat, Shown, USER};

#[test]
fn a_bad_message_covers_is_answered_and_stays_covered() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    // Signed by the right key, in its place, and cut short.
    let good = seat.client.as_mut().unwrap().unlock(Unlock { boot_ms: 1 }).unwrap();
    seat.send(&frame(&good[4..good.len() - 1]).unwrap());
    assert_eq!(seat.shown, Shown::Covered(Reason::BadMessage), "at once, not at the next tick");
    let told = seat.refused.take().expect("the client is told");
    assert_eq!(told.code, Code::PeerEnded);
    assert!(told.to_string().contains(Code::Malformed.text()), "{told}");
    // Good attestations change nothing any more: only a new handshake does.
    seat.attest_for_ms(2_000);
    assert_eq!(seat.shown, Shown::Covered(Reason::BadMessage));
    seat.link(LinkEvent::Closed);
    seat.open();
    seat.until("the desktop returns", |seat| seat.shown == Shown::Desktop);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let incidents = host.verified_incidents();
    assert_eq!(incidents.iter().map(|i| i.reason.as_str()).collect::<Vec<_>>(), ["bad-message"]);
    assert_eq!(incidents[0].pictures.len(), 1, "what was shown at the cover");
}

#[test]
fn an_oversized_announcement_and_bytes_of_something_else_cover() {
    let host = Host::start();
    for bytes in [&[0xff; 4][..], b"GET / HTTP/1.1\r\n\r\n", &[0; 4]] {
        let mut seat = Seat::visible(&host);
        seat.send(bytes);
        assert_eq!(seat.shown, Shown::Covered(Reason::BadMessage));
        seat.link(LinkEvent::Disconnected);
    }
}

#[test]
fn an_error_of_the_client_covers() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    let refusal = Refusal::new(Code::ClockJump, Fault::Us, "");
    let error = seat.client.as_mut().unwrap().refuse(&refusal).unwrap();
    seat.send(&error);
    assert_eq!(seat.shown, Shown::Covered(Reason::BadMessage));
}

#[test]
fn a_closed_channel_covers_and_the_desktop_returns_with_it() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    seat.link(LinkEvent::Closed);
    assert_eq!(seat.shown, Shown::Covered(Reason::ClientGone));
    seat.open();
    seat.until("the desktop returns", |seat| seat.shown == Shown::Desktop);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let incidents = host.verified_incidents();
    assert_eq!(incidents.iter().map(|i| i.reason.as_str()).collect::<Vec<_>>(), ["client-gone"]);
}

#[test]
fn a_client_that_says_goodbye_is_covered_without_an_incident() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    let bye = seat.client.as_mut().unwrap().bye(Bye { reason: Reason::None }).unwrap();
    seat.send(&bye);
    assert_eq!(seat.shown, Shown::Covered(Reason::NoClient));
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    assert!(host.verified_incidents().is_empty());
}

#[test]
fn a_client_that_falls_silent_is_covered_when_its_lease_ends() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    let pace = Pace::start();
    let since = Instant::now();
    seat.silent_until("the cover", |seat| seat.shown == Shown::Covered(Reason::LinkLost));
    // The lease is the host's own bound and stays sharp; only what follows its end may take as long as the machine does.
    let (lasted, work) = (since.elapsed(), pace.allow(Duration::from_millis(300)));
    assert!(lasted <= Duration::from_secs(2) + work, "the lease of 2 s was stretched to {lasted:?}");
}

#[test]
fn a_revoked_or_unknown_device_never_sees_the_desktop_and_is_told_why() {
    let host = Host::start();
    let mut seat = Seat::connect(&host, USER);
    host.registry().revoke(&host.device_id).unwrap();
    seat.try_open();
    assert_eq!(seat.shown, Shown::Covered(Reason::DeviceRefused));
    let told = seat.refused.take().expect("the client is told");
    assert!(told.to_string().contains(Code::DeviceRevoked.text()), "{told}");
    seat.attest_for_ms(1_500);
    assert_eq!(seat.shown, Shown::Covered(Reason::DeviceRefused));
    assert!(!seat.was_visible);
    // Again and again: noted once.
    seat.try_open();
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    assert_eq!(
        host.verified_notes(),
        [(NoteCode::DeviceRefused.number(), Code::DeviceRevoked.number().into())]
    );
}

#[test]
fn a_device_of_another_user_never_sees_the_desktop() {
    let host = Host::start();
    let mut seat = Seat::connect(&host, "somebody-else");
    seat.try_open();
    assert_eq!(seat.shown, Shown::Covered(Reason::DeviceRefused));
    assert!(seat.refused.take().unwrap().to_string().contains(Code::WrongUser.text()));
    drop(seat);
    assert_eq!(host.verified_notes(), [(NoteCode::DeviceRefused.number(), Code::WrongUser.number().into())]);
}

#[test]
fn a_cover_that_is_never_confirmed_ends_the_connection_and_the_log_says_so() {
    let host = Host::start().pictures_withheld();
    let mut seat = Seat::visible(&host);
    seat.paints_not = true;
    let named = seat.client.as_ref().unwrap().incident_id([5; 16]);
    seat.lock(Reason::Stranger, named);
    seat.silent_until("the end of the connection", |seat| seat.disconnected);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let cover = |event| if let Event::Cover(cover) = event { Some(cover) } else { None };
    let covers: Vec<_> = host.verified_events().into_iter().filter_map(cover).collect();
    let unconfirmed = |cover: &&Cover| !cover.confirmed;
    let waited_ms = |cover: &Cover| cover.effective_boot_ms - cover.asked_boot_ms;
    let waited: Vec<u64> = covers.iter().filter(unconfirmed).map(waited_ms).collect();
    assert!(waited.len() == 1 && waited[0] >= COVER_CONFIRM_MAX_MS, "{covers:?}");
}

#[test]
fn an_acknowledgement_lost_with_the_channel_is_given_when_the_evidence_comes_again() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    let evidence = seat.lock_with_picture(&host, Reason::Stranger);
    // The host stores it; its word does not get through.
    seat.deaf = true;
    seat.for_ms(1_500);
    assert!(seat.receipts.is_empty());
    seat.deaf = false;
    seat.link(LinkEvent::Closed);
    seat.open();
    seat.queue(&evidence);
    seat.until("the receipt", |seat| !seat.receipts.is_empty());
    assert_eq!(seat.receipts[0].incident_id, evidence.manifest.incident_id);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let incidents = host.verified_incidents();
    let with_camera = |i: &&sudare_audit::Incident| i.pictures.iter().any(|p| p.label == "camera-at");
    assert_eq!(incidents.iter().filter(with_camera).count(), 1);
}

#[test]
fn where_nothing_else_helps_a_key_pressed_twice_ends_the_connection_and_elsewhere_it_does_nothing() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    seat.press(CoverKey::Leave);
    seat.press(CoverKey::Leave);
    assert_eq!((seat.shown, seat.disconnected), (Shown::Desktop, false), "there is no cover");
    seat.lock_with_picture(&host, Reason::Onlooker);
    seat.press(CoverKey::Leave);
    seat.press(CoverKey::Leave);
    assert!(!seat.disconnected, "this cover lifts by itself");
    // Something that no client sends: from here on the channel is closed to it.
    seat.send(&[0; 64]);
    assert_eq!(seat.shown, Shown::Covered(Reason::BadMessage));
    seat.press(CoverKey::Leave);
    assert!(!seat.disconnected, "once may be a mistake");
    seat.press(CoverKey::Leave);
    assert!(seat.disconnected);
}

#[test]
fn the_covers_keys_report_a_wrong_block_and_take_a_break() {
    let host = Host::start();
    let mut seat = Seat::visible(&host);
    seat.press(CoverKey::Break);
    assert_eq!(seat.shown, Shown::Desktop, "there is no cover whose key it could be");
    seat.lock_with_picture(&host, Reason::Onlooker);
    // Twice: one report of one cover.
    seat.press(CoverKey::WrongBlock);
    seat.press(CoverKey::WrongBlock);
    seat.press(CoverKey::Break);
    assert_eq!(seat.shown, Shown::Covered(Reason::Break));
    let unlock = seat.client.as_mut().unwrap().unlock(Unlock { boot_ms: 2 }).unwrap();
    seat.send(&unlock);
    seat.attest_for_ms(2_500);
    assert_eq!(seat.shown, Shown::Covered(Reason::Break), "only its own key ends it");
    seat.press(CoverKey::Break);
    assert_eq!(seat.shown, Shown::Covered(Reason::Starting));
    seat.until("the desktop returns", |seat| seat.shown == Shown::Desktop);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    assert_eq!(
        host.verified_notes(),
        [(NoteCode::WrongBlock.number(), u64::from(Reason::Onlooker.number()))]
    );
}
