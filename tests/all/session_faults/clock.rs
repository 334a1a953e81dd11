//! The host's clock jumps (suspend, a stopped process): the guard covers until it has heard anew.

use sudare_guard::decision::{Action, Event, Guard};
use sudare_protocol::limits::CLOCK_JUMP_MS;
use sudare_protocol::message::Shown;
use sudare_protocol::reason::Reason;
use sudare_protocol::timings::Timings;
use sudare_test_kit::pair;

const FRESH: [u8; 16] = [7; 16];
/// How long the host has been up when the session begins.
const UP_MS: u64 = 100_000;

fn attested(now_ms: u64) -> Event {
    let attest = pair::clear(now_ms);
    // A lease that outlasts any jump, so that nothing else can be what covers.
    Event::Attested { attest, nonce_issued_ms: now_ms, lease_until_ms: now_ms + 3_600_000 }
}

/// Attests every 200 ms from `from_ms` until the desktop is shown; gives that time.
fn until_visible(guard: &mut Guard, from_ms: u64) -> u64 {
    for now_ms in (from_ms..from_ms + 20_000).step_by(200) {
        let actions = guard.handle(now_ms, attested(now_ms), FRESH);
        if actions.contains(&Action::Uncover) {
            guard.handle(now_ms, Event::Painted(Shown::Visible), FRESH);
            return now_ms;
        }
    }
    panic!("the desktop never returned");
}

fn visible() -> (Guard, u64) {
    let mut guard = Guard::new(UP_MS);
    guard.handle(UP_MS, Event::Painted(Shown::Covered), FRESH);
    guard.handle(UP_MS, Event::LinkUp { timings: Timings::default() }, FRESH);
    let now_ms = until_visible(&mut guard, UP_MS + 20);
    (guard, now_ms)
}

#[test]
fn a_jump_covers_at_the_first_event_after_it_and_is_no_incident() {
    for first in [Event::Tick, Event::Unlock, Event::Painted(Shown::Visible)] {
        let (mut guard, now_ms) = visible();
        let actions = guard.handle(now_ms + CLOCK_JUMP_MS + 1, first, FRESH);
        assert!(actions.contains(&Action::Cover(Reason::ClockJump)), "{actions:?}");
        assert!(!actions.iter().any(|a| matches!(a, Action::OpenIncident { .. })));
    }
}

#[test]
fn a_gap_that_is_no_jump_does_not_cover() {
    let (mut guard, now_ms) = visible();
    assert!(guard.handle(now_ms + CLOCK_JUMP_MS, Event::Tick, FRESH).is_empty());
}

#[test]
fn after_a_jump_the_view_must_be_clear_anew_for_the_whole_release_time() {
    let (mut guard, now_ms) = visible();
    let woke_ms = now_ms + 3_000_000;
    guard.handle(woke_ms, Event::Tick, FRESH);
    guard.handle(woke_ms, Event::Painted(Shown::Covered), FRESH);
    let back_ms = until_visible(&mut guard, woke_ms + 100);
    let timings = Timings::default();
    // The host allows two intervals for what the client knew before it could say so.
    let least_ms = timings.release_ms - 2 * timings.attestation_interval_ms;
    assert!(back_ms >= woke_ms + least_ms, "after {} ms", back_ms - woke_ms);
}

#[test]
fn a_clock_that_goes_back_extends_nothing() {
    let (mut guard, now_ms) = visible();
    guard.handle(now_ms - 5_000, Event::Tick, FRESH);
    let actions = guard.handle(now_ms + CLOCK_JUMP_MS + 1, Event::Tick, FRESH);
    assert!(actions.contains(&Action::Cover(Reason::ClockJump)), "{actions:?}");
}
