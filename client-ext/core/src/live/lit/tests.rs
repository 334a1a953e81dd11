use sudare_protocol::light::turn::TURNS_MS;
use sudare_protocol::light::{FACE_PLACES, MEASURE_MS};
use sudare_protocol::message::Bounded as _;

use super::*;
use crate::presence::CameraView;

const BEGUN_MS: u64 = 70_000;

fn light() -> Light {
    Light { id: 7, check: Check::Light.number(), duration_ms: MEASURE_MS }
}

fn look(t_ms: u64, brightness: f32) -> Observation {
    let mut places = [Some([brightness; 3]); PLACES];
    places[FAR] = Some([0.1; 3]);
    let face = FaceSeen { yaw_deg: 12.0, ..FaceSeen::near(1, Who::Operator) };
    let light = Some(Patches { places, clipped: 0.02 });
    Observation { light, ..Observation::new(t_ms, CameraView::Clear, vec![face]) }
}

/// Looks every `interval_ms`, twice as bright after a second.
fn measured(light: &Light, interval_ms: u64) -> Lit {
    let mut measuring = Measuring::new(light).unwrap();
    assert_eq!(measuring.tick(BEGUN_MS), None);
    for t_ms in (0..u64::from(light.duration_ms) + 500).step_by(usize::try_from(interval_ms).unwrap()) {
        let brightness = if t_ms < 1_000 { 0.1 } else { 0.2 };
        measuring.observe(&look(BEGUN_MS + t_ms, brightness), BEGUN_MS + t_ms + 40);
    }
    measuring.tick(BEGUN_MS + u64::from(light.duration_ms)).unwrap()
}

#[test]
fn a_series_is_relative_to_before_the_first_step_and_in_bounds_at_any_rate() {
    for interval_ms in [5, 33, 100, 200, 700] {
        let lit = measured(&light(), interval_ms);
        assert!(lit.in_bounds(), "{interval_ms}");
        assert!(lit.samples.len() >= 5 && lit.samples.len() <= LIGHT_SAMPLES_MAX, "{interval_ms}");
        assert_eq!((lit.id, lit.clipped_permille, lit.far_permille), (7, 20, 100));
        let (first, last) = (lit.samples.first().unwrap(), lit.samples.last().unwrap());
        assert!(first.values.iter().all(|value| *value == 0));
        let doubled = &last.values[..FACE_PLACES * 3];
        assert!(
            doubled.iter().all(|value| (680..=694).contains(value)),
            "ln 2, but for the darkest: {doubled:?}"
        );
        assert!(last.values[FAR * 3..].iter().all(|value| *value == 0));
        assert!(lit.samples.iter().all(|sample| sample.t_ms < MEASURE_MS));
    }
}

#[test]
fn what_was_seen_before_or_after_does_not_count() {
    let mut measuring = Measuring::new(&light()).unwrap();
    measuring.tick(BEGUN_MS);
    measuring.observe(&look(BEGUN_MS - 30, 0.9), BEGUN_MS + 10);
    measuring.observe(&look(BEGUN_MS + u64::from(MEASURE_MS), 0.9), BEGUN_MS + 4_000);
    let lit = measuring.tick(BEGUN_MS + 4_000).unwrap();
    assert!(lit.samples.is_empty() && lit.in_bounds());
}

#[test]
fn what_cannot_be_seen_is_absent() {
    let mut measuring = Measuring::new(&light()).unwrap();
    measuring.tick(BEGUN_MS);
    for (n, t_ms) in (0..).zip((0..3_000).step_by(100)) {
        let mut seen = look(BEGUN_MS + t_ms, 0.3);
        match n % 3 {
            0 => seen.light = None,
            1 => seen.light.as_mut().unwrap().places[0] = None,
            _ => seen.light.as_mut().unwrap().places[1] = Some([f32::NAN; 3]),
        }
        measuring.observe(&seen, BEGUN_MS + t_ms);
    }
    let lit = measuring.tick(BEGUN_MS + 5_000).unwrap();
    assert!(lit.in_bounds() && lit.samples.len() == 20, "{}", lit.samples.len());
    for sample in &lit.samples {
        assert_ne!(sample.values[0] == ABSENT, sample.values[3] == ABSENT);
    }
}

#[test]
fn a_turn_is_reported_in_tenths_of_a_degree() {
    let turn = Light { id: 8, check: Check::Turn.number(), duration_ms: TURNS_MS };
    let lit = measured(&turn, 100);
    assert!(lit.in_bounds() && lit.samples.iter().all(|sample| sample.values == [120]));
    assert_eq!(lit.samples.len(), LIGHT_SAMPLES_MAX);
}

#[test]
fn checks_of_later_versions_and_of_no_length_are_not_taken_part_in() {
    for refused in [
        Light { check: 9, ..light() },
        Light { duration_ms: 0, ..light() },
        Light { duration_ms: MEASURE_MAX_MS + 1, ..light() },
    ] {
        assert!(Measuring::new(&refused).is_none());
    }
}
