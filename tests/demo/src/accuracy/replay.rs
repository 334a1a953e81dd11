//! Would this person open that operator's desktop? The real tracker, identity and presence, on recorded looks.

use serde_json::{Map, Value, json};
use sudare_client_core::attention::WHOLE;
use sudare_client_core::face::identity::Thresholds;
use sudare_client_core::face::track::Tracker;
use sudare_client_core::face::{Sighting, pose};
use sudare_client_core::presence::{CameraView, FaceSeen, Observation, Presence, Who};
use sudare_protocol::timings::Timings;

use super::figures::{Kind, Tally, count, percentile};
use super::people::Person;
use super::record::{CONDITIONS, Look, Recording};

/// How long somebody tries.
const SECONDS: u64 = 20;
const STEP_MS: u64 = 100;
/// Of the pairs of different people, those whose cosines are the highest count as look-alikes.
const LOOKALIKES: f64 = 0.05;

/// One person at one operator's desk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Try {
    pub(super) operator: usize,
    pub(super) person: usize,
    pub(super) condition: usize,
    pub(super) opened_ms: Option<u64>,
    /// Was called a stranger at some time.
    pub(super) stranger: bool,
}

/// All that was tried.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) tries: Vec<Try>,
    /// Operator and person.
    pub(super) lookalikes: Vec<(usize, usize)>,
}

/// Everybody at everybody's desk, in all conditions that were recorded.
#[must_use]
pub(super) fn sweep(recordings: &[Recording], people: usize, thresholds: &Thresholds) -> Sweep {
    let tries = recordings.iter().flat_map(|recording| {
        (0..people).map(move |operator| {
            let (opened_ms, stranger) = attempt(&recording.looks, operator, thresholds);
            Try { operator, person: recording.person, condition: recording.condition, opened_ms, stranger }
        })
    });
    Sweep { tries: tries.collect(), lookalikes: lookalikes(recordings, people) }
}

/// When the desktop opened, and whether the person was called a stranger.
fn attempt(looks: &[Option<Look>], operator: usize, thresholds: &Thresholds) -> (Option<u64>, bool) {
    let (mut tracker, mut presence) = (Tracker::default(), Presence::new(&Timings::default()));
    let mut called_stranger = false;
    for n in 0..SECONDS * 1_000 / STEP_MS {
        let t_ms = n * STEP_MS;
        let look = forth_and_back(looks, n).and_then(Option::as_ref);
        let found: Vec<Sighting> = look.iter().map(|look| Sighting::by(WHOLE, look.face)).collect();
        tracker.update(t_ms, &found, [640.0, 480.0]);
        for (track, _) in tracker.due(t_ms) {
            let result = look.and_then(|look| Some((*look.cosines.get(operator)?, look.quality)));
            tracker.looked(track, t_ms, result, thresholds);
        }
        let observation = observed(&mut tracker, t_ms);
        called_stranger |= observation.faces.iter().any(|face| face.who == Who::Stranger);
        if !presence.observe(&observation).cover {
            return (Some(t_ms), called_stranger);
        }
    }
    (None, called_stranger)
}

/// As the pipeline tells it to presence.
fn observed(tracker: &mut Tracker, t_ms: u64) -> Observation {
    let (mut faces, mut hidden) = (Vec::new(), Vec::new());
    for tracked in tracker.known(t_ms) {
        if tracked.seen {
            let yaw_deg = pose::yaw_deg(&tracked.face.landmarks);
            let width_share = tracked.face.bbox[2] / 640.0;
            let near = FaceSeen::near(tracked.id, tracked.who);
            faces.push(FaceSeen { width_share, yaw_deg, sure: tracked.sure, still: tracked.still, ..near });
        }
        hidden.extend(tracked.hidden.then_some(tracked.id));
    }
    Observation { hidden, ..Observation::new(t_ms, CameraView::Clear, faces) }
}

fn forth_and_back<T>(items: &[T], n: u64) -> Option<&T> {
    let turns = (items.len().saturating_sub(1) * 2).max(1);
    let at = usize::try_from(n).ok()? % turns;
    items.get(at.min(turns - at))
}

/// Pairs with the highest mean cosine in the best condition.
fn lookalikes(recordings: &[Recording], people: usize) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(f64, (usize, usize))> = Vec::new();
    for recording in recordings.iter().filter(|recording| recording.condition == 0) {
        for operator in (0..people).filter(|operator| *operator != recording.person) {
            let looks = recording.looks.iter().flatten();
            let cosines: Vec<f64> =
                looks.filter_map(|look| look.cosines.get(operator)).map(|c| f64::from(*c)).collect();
            let mean = cosines.iter().sum::<f64>() / count(cosines.len().max(1));
            pairs.push((mean, (operator, recording.person)));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some pairs")]
    pairs.truncate((count(pairs.len()) * LOOKALIKES).ceil() as usize);
    pairs.into_iter().map(|(_, pair)| pair).collect()
}

impl Sweep {
    /// The figures of the issue about who opens.
    #[must_use]
    pub(super) fn figures(&self, people: &[Person]) -> Map<String, Value> {
        let mut figures = Map::new();
        let strange = self.tally(people, |t| t.operator != t.person, |t| t.opened_ms.is_some());
        let alike = |t: &Try| self.lookalikes.contains(&(t.operator, t.person));
        let alike_opens = self.tally(people, alike, |t| t.opened_ms.is_some());
        let own = self.tally(people, |t| t.operator == t.person, |t| t.opened_ms.is_none());
        let pairs = people.len() * people.len().saturating_sub(1);
        figures.insert("stranger_opens".into(), with(strange.figure(), "pairs", json!(pairs)));
        figures.insert(
            "lookalike_opens".into(),
            with(alike_opens.figure(), "pairs", json!(self.lookalikes.len())),
        );
        let opened: Vec<f64> = self.own().filter_map(|t| t.opened_ms).map(ms).collect();
        let mut figure = with(own.figure(), "people", json!(people.len()));
        figure = with(figure, "opening_ms_p50", json!(percentile(&opened, 0.5)));
        figures
            .insert("fnmr_at_open".into(), with(figure, "opening_ms_p95", json!(percentile(&opened, 0.95))));
        figures
    }

    /// Of operators alone at their own desk: who was called a stranger.
    #[must_use]
    pub(super) fn called_stranger(&self, people: &[Person]) -> Tally {
        self.tally(people, |t| t.operator == t.person, |t| t.stranger)
    }

    /// The same figures for each condition.
    #[must_use]
    pub(super) fn by_condition(&self, people: &[Person]) -> Map<String, Value> {
        let names =
            CONDITIONS.iter().enumerate().filter(|(i, _)| self.tries.iter().any(|t| t.condition == *i));
        names
            .map(|(i, condition)| {
                let strange = self.tally(
                    people,
                    |t| t.condition == i && t.operator != t.person,
                    |t| t.opened_ms.is_some(),
                );
                let own = self.tally(
                    people,
                    |t| t.condition == i && t.operator == t.person,
                    |t| t.opened_ms.is_none(),
                );
                let called =
                    self.tally(people, |t| t.condition == i && t.operator == t.person, |t| t.stranger);
                let opened: Vec<f64> =
                    self.own().filter(|t| t.condition == i).filter_map(|t| t.opened_ms).map(ms).collect();
                let told = json!({
                    "stranger_opens": strange.figure(),
                    "fnmr_at_open": own.figure(),
                    "operator_called_stranger": called.figure(),
                    "opening_ms_p50": percentile(&opened, 0.5),
                    "opening_ms_p95": percentile(&opened, 0.95),
                });
                (condition.name.to_owned(), told)
            })
            .collect()
    }

    fn own(&self) -> impl Iterator<Item = &Try> {
        self.tries.iter().filter(|t| t.operator == t.person)
    }

    fn tally(&self, people: &[Person], of: impl Fn(&Try) -> bool, hit: impl Fn(&Try) -> bool) -> Tally {
        let mut tally = Tally::default();
        for t in self.tries.iter().filter(|t| of(t)) {
            let kinds =
                [t.operator, t.person].map(|i| people.get(i).map_or(Kind::Synthetic, |person| person.kind));
            tally.add(f64::from(u8::from(hit(t))), kinds.into_iter().min().unwrap_or(Kind::Synthetic));
        }
        tally
    }
}

fn ms(ms: u64) -> f64 {
    u32::try_from(ms).map_or(f64::INFINITY, f64::from)
}

/// A figure with one more word.
#[must_use]
pub(super) fn with(mut figure: Value, key: &str, value: Value) -> Value {
    if let Some(object) = figure.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
    figure
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use sudare_client_core::face::Face;
    use sudare_client_core::face::quality::Quality;

    pub(in crate::accuracy) const LIMITS: Thresholds =
        Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };

    pub(in crate::accuracy) fn look(cosines: [f32; 2]) -> Option<Look> {
        let landmarks = [[30.0, 40.0], [70.0, 40.0], [50.0, 62.0], [34.0, 82.0], [66.0, 82.0]];
        let face = Face { bbox: [260.0, 170.0, 120.0, 150.0], landmarks, score: 0.93 };
        let quality = Quality { size_px: 120.0, score: 0.93, yaw_deg: 0.0, sharp: 0.09, light: 120.0 };
        Some(Look { face, quality, cosines: cosines.to_vec() })
    }

    pub(in crate::accuracy) fn recording(person: usize, looks: Vec<Option<Look>>) -> Recording {
        Recording { person, condition: 0, looks }
    }

    #[test]
    fn the_operator_opens_and_somebody_else_does_not() {
        let recordings = [
            recording(0, vec![look([0.8, 0.2]), look([0.8, 0.2]), look([0.7, 0.1])]),
            recording(1, vec![look([0.1, 0.8]), look([0.5, 0.8]), look([0.1, 0.7])]),
        ];
        let sweep = sweep(&recordings, 2, &LIMITS);
        let of = |operator, person| {
            *sweep.tries.iter().find(|t| (t.operator, t.person) == (operator, person)).unwrap()
        };
        let own = of(0, 0);
        assert!((2_000..3_000).contains(&own.opened_ms.unwrap()) && !own.stranger, "{own:?}");
        assert_eq!((of(0, 1).opened_ms, of(1, 0).opened_ms, of(1, 0).stranger), (None, None, true));
        assert_eq!(sweep.lookalikes, [(0, 1)], "the nearer of two pairs");
    }

    #[test]
    fn nobody_in_the_picture_opens_nothing() {
        assert_eq!(attempt(&[None, None], 0, &LIMITS), (None, false));
        assert_eq!(attempt(&[], 0, &LIMITS), (None, false));
    }
}
