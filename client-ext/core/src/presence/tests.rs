//! The decision on sequences of looks.

use super::*;

/// The operator's face has the number 0, anybody else's 1.
fn face(who: Who) -> FaceSeen {
    FaceSeen::near(u64::from(who != Who::Operator), who)
}

/// Shows `faces` from `from_ms` to `to_ms` at 10 fps; gives the last decision and when cover first differed.
fn show(p: &mut Presence, from_ms: u64, to_ms: u64, faces: &[FaceSeen]) -> (Decision, Option<u64>) {
    let before = p.cover;
    let (mut last, mut changed) = (p.tick(from_ms), None);
    for t_ms in (from_ms..=to_ms).step_by(100) {
        last = p.observe(&Observation::new(t_ms, CameraView::Clear, faces.to_vec()));
        if last.cover != before && changed.is_none() {
            changed = Some(t_ms);
        }
    }
    (last, changed)
}

fn at_work() -> Presence {
    let mut p = Presence::new(&Timings::default());
    let (last, uncovered) = show(&mut p, 0, 5_000, &[face(Who::Operator)]);
    assert_eq!((last.state, last.cover, uncovered), (State::Clear, false, Some(2_000)));
    p
}

#[test]
fn starts_covered_and_shows_only_after_the_operator_is_recognised() {
    let mut p = Presence::new(&Timings::default());
    let (last, _) = show(&mut p, 0, 20_000, &[]);
    assert_eq!((last.cover, last.reason, last.operator_confirmed_age_ms), (true, Reason::Starting, u64::MAX));
    at_work();
}

#[test]
fn an_onlooker_covers_after_the_hold_and_leaving_releases_after_the_release() {
    let mut p = at_work();
    let (last, covered) = show(&mut p, 5_100, 7_000, &[face(Who::Operator), face(Who::Stranger)]);
    assert_eq!((last.state, covered), (State::Onlooker, Some(6_100)));
    assert!(last.suspect);
    let (_, uncovered) = show(&mut p, 7_100, 12_000, &[face(Who::Operator)]);
    assert_eq!(uncovered, Some(9_100));
}

#[test]
fn the_time_before_a_face_is_compared_counts() {
    let mut p = at_work();
    show(&mut p, 5_100, 5_500, &[face(Who::Undecided)]);
    let (last, covered) = show(&mut p, 5_600, 7_000, &[face(Who::Stranger)]);
    assert_eq!((last.state, covered), (State::Stranger, Some(6_100)));
}

#[test]
fn whoever_reads_nothing_neither_covers_nor_keeps_a_cover() {
    let far = FaceSeen { width_share: 0.02, ..face(Who::Stranger) };
    let averted = FaceSeen { yaw_deg: 70.0, ..FaceSeen::near(2, Who::Undecided) };
    let mut p = at_work();
    let (last, covered) = show(&mut p, 5_100, 60_000, &[face(Who::Operator), far, averted]);
    assert_eq!((last.state, covered), (State::Clear, None));
    // People walk past behind the operator from the first picture on.
    let mut p = Presence::new(&Timings::default());
    let (_, uncovered) = show(&mut p, 0, 5_000, &[face(Who::Operator), far, averted]);
    assert_eq!(uncovered, Some(2_000));
    // And once somebody near has read along and turned away, the desktop returns in time.
    show(&mut p, 5_100, 7_000, &[face(Who::Operator), FaceSeen::near(2, Who::Stranger)]);
    let (_, uncovered) = show(&mut p, 7_100, 12_000, &[face(Who::Operator), averted]);
    assert_eq!(uncovered, Some(9_100));
    // Alone in view, such a face is nobody: the operator is away.
    let mut p = at_work();
    let (last, covered) = show(&mut p, 5_100, 16_000, &[far]);
    assert_eq!((last.state, covered), (State::Absent, Some(15_000)));
}

#[test]
fn whoever_is_beside_the_operator_covers_before_any_comparison_and_a_doubtful_box_does_not() {
    let somebody = face(Who::Undecided);
    let mut p = at_work();
    let (last, covered) = show(&mut p, 5_100, 7_000, &[face(Who::Operator), somebody]);
    assert_eq!((last.state, covered), (State::Onlooker, Some(6_100)));
    let mut p = at_work();
    let foliage = FaceSeen { sure: false, ..somebody };
    let (last, covered) = show(&mut p, 5_100, 60_000, &[face(Who::Operator), foliage]);
    assert_eq!((last.state, covered, last.suspect), (State::Clear, None, false));
}

#[test]
fn who_hides_after_reading_keeps_the_cover_for_a_while() {
    let mut p = at_work();
    show(&mut p, 5_100, 7_000, &[face(Who::Operator), face(Who::Stranger)]);
    let mut uncovered = None;
    for t_ms in (7_100..20_000).step_by(100) {
        let faces = vec![face(Who::Operator)];
        let seen = Observation { hidden: vec![1], ..Observation::new(t_ms, CameraView::Clear, faces) };
        if !p.observe(&seen).cover && uncovered.is_none() {
            uncovered = Some(t_ms);
        }
    }
    assert_eq!(uncovered, Some(7_100 + ledger::HIDDEN_MS + 2_000));
}

#[test]
fn absence_and_undecided_have_their_own_times() {
    let mut p = at_work();
    let (last, covered) = show(&mut p, 5_100, 16_000, &[]);
    assert_eq!((last.state, covered), (State::Absent, Some(15_000)));
    let mut p = at_work();
    let (last, covered) = show(&mut p, 5_100, 16_000, &[face(Who::Undecided)]);
    assert_eq!((last.state, covered), (State::Undecided, Some(10_100)));
}

#[test]
fn a_bad_picture_changes_nothing_and_a_hand_over_the_lens_covers() {
    for bad_ms in [100, 400] {
        let mut p = at_work();
        let mut covered = false;
        for t_ms in (5_100..5_100 + bad_ms).step_by(100) {
            covered |= p.observe(&Observation::new(t_ms, CameraView::Blocked, vec![])).cover;
        }
        let (last, _) = show(&mut p, 5_100 + bad_ms, 6_000, &[face(Who::Operator)]);
        assert_eq!((covered, last.cover, last.clear_ms), (false, false, 6_000));
    }
    let mut p = at_work();
    let blocked = |t_ms| Observation::new(t_ms, CameraView::Blocked, vec![]);
    let times = (5_100..8_000).step_by(100);
    let covered: Vec<u64> = times.filter(|t_ms| p.observe(&blocked(*t_ms)).cover).collect();
    assert_eq!((covered[0], p.observe(&blocked(8_000)).reason), (5_500, Reason::CameraBlocked));
}

#[test]
fn a_lost_or_busy_camera_covers_at_once() {
    for (camera, reason) in [(CameraView::Lost, Reason::CameraLost), (CameraView::Busy, Reason::CameraBusy)] {
        let mut p = at_work();
        let d = p.observe(&Observation::new(5_100, camera, vec![]));
        assert_eq!((d.cover, d.reason), (true, reason));
    }
}

#[test]
fn no_new_picture_is_a_lost_camera() {
    let mut p = at_work();
    assert!(!p.tick(5_000 + FRAME_STALE_MS).cover);
    let d = p.tick(5_001 + FRAME_STALE_MS);
    assert_eq!((d.state, d.cover), (State::CameraLost, true));
}

#[test]
fn a_camera_that_is_still_opening_is_not_lost_and_shows_nothing() {
    let mut p = Presence::new(&Timings::default());
    p.tick(0);
    let d = p.tick(60_000);
    assert_eq!((d.state, d.cover, d.reason), (State::Absent, true, Reason::Starting));
    assert_eq!(d.operator_confirmed_age_ms, u64::MAX);
}

#[test]
fn a_blink_of_the_detector_changes_nothing() {
    let mut p = at_work();
    show(&mut p, 5_100, 5_400, &[]);
    let (last, _) = show(&mut p, 5_500, 5_500, &[face(Who::Operator)]);
    assert_eq!((last.state, last.clear_ms), (State::Clear, 5_500));
}

#[test]
fn undecided_time_comes_back_only_after_unbroken_clear_view() {
    let mut p = at_work();
    let mut t = 5_100;
    let mut covered = false;
    // 1 s unclear, 1 s clear, again and again: the budget of 5 s runs out.
    for _ in 0..8 {
        covered |= show(&mut p, t, t + 900, &[face(Who::Undecided)]).0.cover;
        show(&mut p, t + 1_000, t + 1_900, &[face(Who::Operator)]);
        t += 2_000;
    }
    assert!(covered);
}

/// Shows the operator's face, or nobody's, from `from_ms` to `to_ms` with this phone; gives the last decision.
fn with_phone(p: &mut Presence, from_ms: u64, to_ms: u64, faces: &[FaceSeen], phone: PhoneView) -> Decision {
    let mut last = p.tick(from_ms);
    for t_ms in (from_ms..=to_ms).step_by(100) {
        last = p.observe(&Observation { phone, ..Observation::new(t_ms, CameraView::Clear, faces.to_vec()) });
    }
    last
}

#[test]
fn a_phone_covers_at_once_and_a_doubtful_one_is_a_suspicion() {
    let mut p = at_work();
    let maybe = with_phone(&mut p, 5_100, 5_200, &[face(Who::Operator)], PhoneView::Maybe);
    assert_eq!(
        (maybe.state, maybe.cover, maybe.suspect, maybe.phone),
        (State::Clear, false, true, Some(false))
    );
    let seen = with_phone(&mut p, 5_300, 5_300, &[face(Who::Operator)], PhoneView::InView);
    assert_eq!((seen.state, seen.cover, seen.reason), (State::Phone, true, Reason::Phone));
    assert_eq!((seen.suspect, seen.phone), (true, Some(true)));
    let gone = with_phone(&mut p, 5_400, 7_300, &[face(Who::Operator)], PhoneView::Clear);
    assert_eq!((gone.state, gone.cover, gone.phone), (State::Clear, true, Some(false)));
    assert!(!with_phone(&mut p, 7_400, 7_400, &[face(Who::Operator)], PhoneView::Clear).cover);
    assert_eq!(at_work().tick(5_100).phone, None, "nobody looks");
}

#[test]
fn a_face_that_vanishes_behind_a_phone_does_not_open_the_desktop() {
    // Somebody beside the operator raises a phone before their own face; only the operator's is left.
    let mut p = at_work();
    show(&mut p, 5_100, 7_000, &[face(Who::Operator), face(Who::Stranger)]);
    let hidden = with_phone(&mut p, 7_100, 60_000, &[face(Who::Operator)], PhoneView::InView);
    assert_eq!((hidden.state, hidden.cover, hidden.clear_ms), (State::Phone, true, 0));
    // The operator does: nobody is in view.
    let mut p = at_work();
    let hidden = with_phone(&mut p, 5_100, 60_000, &[], PhoneView::InView);
    assert_eq!((hidden.state, hidden.cover, hidden.reason), (State::Phone, true, Reason::Phone));
}

#[test]
fn a_picture_of_the_operator_covers_at_once_and_confirms_nobody() {
    let denied = |t_ms: u64, faces: &[FaceSeen]| Observation {
        liveness: Liveness::Denied,
        ..Observation::new(t_ms, CameraView::Clear, faces.to_vec())
    };
    let mut p = at_work();
    let confirmed_ms = 5_000;
    for t_ms in (5_100..8_000).step_by(100) {
        let d = p.observe(&denied(t_ms, &[face(Who::Operator)]));
        assert_eq!((d.state, d.cover, d.reason), (State::Spoof, true, Reason::Spoof));
        assert_eq!((d.operator_confirmed_age_ms, d.clear_ms), (t_ms - confirmed_ms, 0));
    }
    let (last, uncovered) = show(&mut p, 8_000, 12_000, &[face(Who::Operator)]);
    assert_eq!((last.state, uncovered), (State::Clear, Some(10_000)));
    // It says nothing about anybody else.
    let d = at_work().observe(&denied(5_100, &[face(Who::Stranger)]));
    assert_eq!(d.state, State::Stranger);
}

#[test]
fn who_asks_is_covered_at_once_and_sees_the_desktop_again_after_the_end_and_the_release() {
    let mut p = at_work();
    let asked = p.ask_cover(true, 5_100);
    assert_eq!((asked.cover, asked.reason, asked.state), (true, Reason::OperatorAsked, State::Clear));
    assert!(!asked.reason.is_incident());
    let (_, uncovered) = show(&mut p, 5_200, 20_000, &[face(Who::Operator)]);
    assert_eq!(uncovered, Some(17_100), "10 s, and the release counts from their end");
    p.ask_cover(true, 20_100);
    p.ask_cover(false, 21_000);
    let (_, uncovered) = show(&mut p, 21_000, 30_000, &[face(Who::Operator)]);
    assert_eq!(uncovered, Some(23_000), "ended by the operator");
}

#[test]
fn a_cover_that_was_asked_for_hides_no_other_reason_and_is_not_lifted_by_the_seat_alone() {
    let mut p = at_work();
    p.ask_cover(true, 5_100);
    let (last, _) = show(&mut p, 5_200, 7_000, &[face(Who::Operator), face(Who::Stranger)]);
    assert_eq!((last.cover, last.reason), (true, Reason::Onlooker));
    // The other one leaves; what was asked for still holds.
    let (last, uncovered) = show(&mut p, 7_100, 14_000, &[face(Who::Operator)]);
    assert_eq!((last.reason, uncovered), (Reason::OperatorAsked, None));
    p.ask_cover(false, 14_100);
    let (last, _) = show(&mut p, 14_100, 18_000, &[]);
    assert!(last.cover, "nobody is there");
}
