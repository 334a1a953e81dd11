//! The rules one by one.

use super::*;

const D: u32 = 10;

fn covered(unconfirmed_ms: u64) -> Line {
    Line::Heartbeat(Heartbeat { covered: true, unconfirmed_ms, client: true, blanker_pid: 7 })
}

fn visible() -> Line {
    Line::Heartbeat(Heartbeat { covered: false, unconfirmed_ms: 0, client: true, blanker_pid: 7 })
}

fn said(run: u64, line: Line) -> Event {
    Event::Said { number: D, run, line }
}

/// A plan with one display whose first guard was started at 0.
fn started(held: bool) -> Plan {
    let mut plan = Plan::default();
    let actions = plan.handle(Event::Appeared { number: D, held }, 0);
    assert_eq!(actions, [Action::Start { number: D, run: 1 }]);
    plan
}

/// The same, and the guard has begun to speak at 0.
fn speaking(held: bool) -> Plan {
    let mut plan = started(held);
    assert_eq!(plan.handle(said(1, covered(1)), 0), [], "its first word confirms nothing");
    plan
}

/// Ticks every 50 ms over the span; all that came of it, with its time.
fn ticks(plan: &mut Plan, from_ms: u64, to_ms: u64) -> Vec<(u64, Action)> {
    let times = (from_ms..to_ms).step_by(50);
    times.flat_map(|ms| plan.handle(Event::Tick, ms).into_iter().map(move |a| (ms, a))).collect()
}

fn disconnect(why: Why) -> Action {
    Action::Disconnect { number: D, why }
}

#[test]
fn user_code_starts_when_the_screen_was_seen_covered_and_not_before() {
    let mut plan = started(true);
    assert_eq!(plan.handle(said(1, covered(0)), 100), []);
    // It has read nothing back yet: it counts from its start. The line took its time on the way.
    assert_eq!(plan.handle(said(1, covered(50)), 190), []);
    assert_eq!(plan.handle(said(1, covered(700)), 800), []);
    assert_eq!(plan.handle(said(1, covered(10)), 900), [Action::Release { number: D }]);
    assert_eq!(plan.handle(said(1, covered(10)), 1_000), []);
}

#[test]
fn a_held_start_may_take_its_time_and_another_may_not() {
    let mut held = started(true);
    let late = ticks(&mut held, 0, 6_000);
    assert_eq!(late.first(), Some(&(5_050, Action::Kill { number: D, run: 1 })));
    assert!(late.contains(&(5_050, disconnect(Why::Silent))), "{late:?}");
    let mut open = started(false);
    assert_eq!(ticks(&mut open, 0, 600), [(550, disconnect(Why::Silent))]);
}

#[test]
fn half_a_second_of_silence_disconnects_and_goes_on_disconnecting() {
    let mut plan = speaking(true);
    plan.handle(said(1, covered(0)), 50);
    plan.handle(said(1, visible()), 100);
    let all = ticks(&mut plan, 100, 1_700);
    let silent = disconnect(Why::Silent);
    assert_eq!(all, [(650, silent.clone()), (1_150, silent.clone()), (1_650, silent)]);
}

#[test]
fn pixels_that_are_not_confirmed_disconnect_at_once() {
    let mut plan = speaking(true);
    plan.handle(said(1, covered(0)), 1_000);
    assert_eq!(plan.handle(said(1, covered(450)), 1_450), []);
    assert_eq!(plan.handle(said(1, covered(501)), 1_501), [disconnect(Why::Unconfirmed)]);
    // Beating on does not help, and is not answered by a flood.
    assert_eq!(plan.handle(said(1, covered(601)), 1_601), []);
    assert_eq!(plan.handle(said(1, covered(1_001)), 2_001), [disconnect(Why::Unconfirmed)]);
    // Confirmed again, lost again: that is a new disconnection, at once.
    assert_eq!(plan.handle(said(1, covered(0)), 2_050), []);
    assert_eq!(plan.handle(said(1, covered(501)), 2_551), [disconnect(Why::Unconfirmed)]);
}

#[test]
fn a_guard_that_asks_without_pause_is_heard_once_every_half_second_and_its_last_word_is_not_lost() {
    let mut plan = speaking(false);
    let asks = || said(1, Line::Disconnect("the cover fell".into()));
    let asked = disconnect(Why::Asked("the cover fell".into()));
    let mut heard = Vec::new();
    for ms in (0..1_000).step_by(10) {
        let mut all = plan.handle(said(1, covered(0)), ms);
        all.extend(plan.handle(asks(), ms));
        all.extend(plan.handle(Event::Tick, ms));
        heard.extend(all.into_iter().map(|action| (ms, action)));
    }
    assert_eq!(heard, [(0, asked.clone()), (500, asked.clone())]);
    plan.handle(said(1, covered(0)), 1_000);
    assert_eq!(ticks(&mut plan, 1_000, 1_200), [(1_000, asked)], "asked for at 990");
}

#[test]
fn a_guard_that_shows_before_it_covered_is_ended() {
    let mut plan = started(true);
    assert_eq!(plan.handle(said(1, visible()), 50), [Action::Kill { number: D, run: 1 }]);
    // Its last words no longer count.
    assert_eq!(plan.handle(said(1, covered(0)), 60), []);
    let next = plan.handle(Event::Ended { number: D, run: 1 }, 70);
    assert_eq!(next, [Action::Start { number: D, run: 2 }]);
    // Nor does a word of the first on behalf of the second.
    assert_eq!(plan.handle(said(1, covered(0)), 80), []);
    assert_eq!(plan.handle(said(2, covered(9)), 90), []);
    assert_eq!(plan.handle(said(2, covered(0)), 140), [Action::Release { number: D }]);
}

#[test]
fn a_hanging_or_babbling_guard_is_replaced() {
    let mut plan = speaking(true);
    let all = ticks(&mut plan, 0, 2_100);
    assert!(all.contains(&(2_050, Action::Kill { number: D, run: 1 })), "{all:?}");
    plan.handle(Event::Ended { number: D, run: 1 }, 2_100);
    let kill = Action::Kill { number: D, run: 2 };
    assert_eq!(plan.handle(Event::Babbled { number: D, run: 2 }, 2_150), [kill]);
}

#[test]
fn the_third_failure_gives_the_display_up_for_growing_pauses() {
    let mut plan = started(true);
    let mut run = 1;
    for at_ms in [100, 200] {
        let next = plan.handle(Event::Ended { number: D, run }, at_ms);
        run += 1;
        assert_eq!(next, [Action::Start { number: D, run }], "at once");
    }
    assert_eq!(plan.handle(Event::Ended { number: D, run }, 300), [disconnect(Why::Failing)]);
    let (mut now_ms, mut pauses) = (300, Vec::new());
    for _ in 0..7 {
        let all = ticks(&mut plan, now_ms, now_ms + 31_000);
        let start = all.iter().find(|(_, a)| matches!(a, Action::Start { .. })).unwrap().0;
        let refused = all.iter().filter(|(ms, a)| *ms < start && matches!(a, Action::Disconnect { .. }));
        assert!(refused.count() as u64 >= (start - now_ms).saturating_sub(HELD_START_MS) / 550, "{all:?}");
        pauses.push((start - now_ms) / 1_000);
        run += 1;
        // The pause counts from the end of the guard.
        now_ms += 31_000;
        plan.handle(Event::Ended { number: D, run }, now_ms);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn a_healthy_minute_clears_the_count() {
    let mut plan = started(true);
    plan.handle(Event::Ended { number: D, run: 1 }, 0);
    plan.handle(Event::Ended { number: D, run: 2 }, 0);
    for ms in (0..=HEALTHY_MS + 100).step_by(100) {
        plan.handle(said(3, covered(9 - ms / 100 % 2)), ms);
    }
    let next = plan.handle(Event::Ended { number: D, run: 3 }, HEALTHY_MS + 100);
    assert_eq!(next, [Action::Start { number: D, run: 4 }]);
}

#[test]
fn a_display_that_ends_is_forgotten() {
    let mut plan = speaking(true);
    assert_eq!(plan.handle(Event::Gone { number: D }, 10), [Action::Forget { number: D }]);
    assert_eq!(plan.handle(Event::Ended { number: D, run: 1 }, 20), []);
    // The same number again is another session, without the debts of the first.
    let next = plan.handle(Event::Appeared { number: D, held: false }, 30);
    assert_eq!(next, [Action::Start { number: D, run: 2 }]);
}

#[test]
fn a_pause_of_the_supervisor_is_not_held_against_the_guard() {
    let mut plan = speaking(true);
    plan.handle(Event::Tick, 900);
    plan.handle(said(1, covered(0)), 1_000);
    assert_eq!(plan.handle(Event::Tick, 1_900), [], "its words may still be in the pipe");
    assert_eq!(plan.handle(Event::Tick, 1_950), [disconnect(Why::Silent)]);
}
