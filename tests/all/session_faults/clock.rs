//! The host's clock jumps (suspend, a stopped process): it is covered until it has heard anew.

use sudare_guard::decision::{Action, Decider, Event};
use sudare_protocol::host::Attested;
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
    Event::Attested(Attested { attest, nonce_issued_ms: now_ms, lease_until_ms: now_ms + 3_600_000 })
}

/// Attests every 200 ms from `from_ms` until the desktop is shown; gives that time.
fn until_visible(decider: &mut Decider, from_ms: u64) -> u64 {
    for now_ms in (from_ms..from_ms + 20_000).step_by(200) {
        let actions = decider.handle(now_ms, attested(now_ms), FRESH);
        if actions.contains(&Action::Uncover) {
            decider.handle(now_ms, Event::Painted(Shown::Visible), FRESH);
            return now_ms;
        }
    }
    panic!("the desktop never returned");
}

fn visible() -> (Decider, u64) {
    let mut decider = Decider::new(UP_MS);
    decider.handle(UP_MS, Event::Painted(Shown::Covered), FRESH);
    decider.handle(UP_MS, Event::LinkUp { timings: Timings::default(), observed_until_ms: None }, FRESH);
    let now_ms = until_visible(&mut decider, UP_MS + 20);
    (decider, now_ms)
}

#[test]
fn a_jump_covers_at_the_first_event_after_it_and_is_no_incident() {
    for first in [Event::Tick, Event::Unlock, Event::Painted(Shown::Visible)] {
        let (mut decider, now_ms) = visible();
        let actions = decider.handle(now_ms + CLOCK_JUMP_MS + 1, first, FRESH);
        assert!(actions.contains(&Action::Cover(Reason::ClockJump)), "{actions:?}");
        assert!(!actions.iter().any(|a| matches!(a, Action::OpenIncident { .. })));
    }
}

#[test]
fn a_gap_that_is_no_jump_does_not_cover() {
    let (mut decider, now_ms) = visible();
    assert!(decider.handle(now_ms + CLOCK_JUMP_MS, Event::Tick, FRESH).is_empty());
}

#[test]
fn after_a_jump_the_view_must_be_clear_anew_for_the_whole_release_time() {
    let (mut decider, now_ms) = visible();
    let woke_ms = now_ms + 3_000_000;
    decider.handle(woke_ms, Event::Tick, FRESH);
    decider.handle(woke_ms, Event::Painted(Shown::Covered), FRESH);
    let back_ms = until_visible(&mut decider, woke_ms + 100);
    let timings = Timings::default();
    // The host allows two intervals for what the client knew before it could say so.
    let least_ms = timings.release_ms - 2 * timings.attestation_interval_ms;
    assert!(back_ms >= woke_ms + least_ms, "after {} ms", back_ms - woke_ms);
}

#[test]
fn a_clock_that_goes_back_extends_nothing() {
    let (mut decider, now_ms) = visible();
    decider.handle(now_ms - 5_000, Event::Tick, FRESH);
    let actions = decider.handle(now_ms + CLOCK_JUMP_MS + 1, Event::Tick, FRESH);
    assert!(actions.contains(&Action::Cover(Reason::ClockJump)), "{actions:?}");
}
