//! Each person enrols as an operator, from a few pictures of the first half of their clip.

use std::path::PathBuf;

use anyhow::Context as _;
use sudare_client_core::face::marked::Marked;
use sudare_client_core::face::rotate::{Known, Rotated, Rotation};
use sudare_vision::align;
use sudare_vision::camera::picture;
use sudare_vision::engine::Engine;
use sudare_vision::enroll::{EnrollError, enroll};

use super::people::{Person, Picture};

/// Pictures of a template, at most and at least.
const PICTURES: usize = 5;
const PICTURES_MIN: usize = 2;
/// Pictures that somebody tries.
const TRIED_MAX: usize = 12;
/// A picture for a template shows a face at least so plainly, where there are enough.
const SCORE_MIN: f32 = 0.8;

/// What is known of one operator.
pub(super) struct Enrolled {
    vectors: Vec<Vec<f32>>,
    /// By `sudare enroll`, and not past its checks.
    pub(super) is_checked: bool,
    /// How many pictures it refused, and why the first one.
    pub(super) refused: (usize, Option<String>),
}

/// The one device of this run: its secret does not matter, only that it is the same for all.
#[must_use]
pub(super) fn rotation() -> Rotation {
    Rotation::from_seed(&[12; 32])
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolled({} vectors)", self.vectors.len())
    }
}

impl Enrolled {
    /// By the real enrolment. Whoever is told that a picture is bad gives another one; only if too few are left is the
    /// template made without the checks.
    pub(super) fn of(engine: &mut Engine, person: &Person) -> anyhow::Result<Self> {
        let (mut accepted, mut refusals): (Vec<PathBuf>, Vec<EnrollError>) = (Vec::new(), Vec::new());
        for picture in choose(person.earlier()) {
            let mut all = accepted.clone();
            all.push(picture.path.clone());
            match enroll(engine, &all, &rotation(), [1; 16]) {
                Ok(_) => accepted = all,
                Err(refusal) => refusals.push(refusal),
            }
            if accepted.len() >= PICTURES {
                break;
            }
        }
        let refused = (refusals.len(), refusals.first().map(|refusal| without_folders(&refusal.to_string())));
        if accepted.len() >= PICTURES_MIN {
            let template = enroll(engine, &accepted, &rotation(), [1; 16])?;
            return Ok(Enrolled { vectors: template.vectors.clone(), is_checked: true, refused });
        }
        let chosen = choose(person.earlier()).into_iter().take(PICTURES);
        let vectors = chosen.map(|picture| unchecked(engine, picture)).collect::<anyhow::Result<_>>()?;
        Ok(Enrolled { vectors, is_checked: false, refused })
    }

    #[must_use]
    pub(super) fn rotated(&self) -> Vec<Rotated> {
        self.vectors.iter().filter_map(|vector| Rotated::from_template(vector)).collect()
    }

    /// For the eyes of this operator's client.
    #[must_use]
    pub(super) fn known(&self) -> Known {
        let marked = Marked::default();
        Known { rotation: rotation(), vectors: self.rotated(), marked, self_cosine: None }
    }
}

/// The most frontal one, those turned farthest to either side, and others spread over time, in the order of trying.
fn choose(earlier: &[Picture]) -> Vec<&Picture> {
    let plain: Vec<&Picture> = earlier.iter().filter(|picture| picture.face.score >= SCORE_MIN).collect();
    let from = if plain.len() >= PICTURES { plain } else { earlier.iter().collect() };
    let by_yaw = |key: fn(f32) -> f32| {
        (0..from.len()).min_by(|a, b| key(yaw(from.get(*a))).total_cmp(&key(yaw(from.get(*b)))))
    };
    let mut numbers: Vec<usize> =
        [by_yaw(f32::abs), by_yaw(|yaw| yaw), by_yaw(|yaw| -yaw)].into_iter().flatten().collect();
    // First a few over all of the time, then those in between.
    for n in [PICTURES, TRIED_MAX] {
        numbers.extend((0..n).map(|i| i * from.len().saturating_sub(1) / (n - 1)));
    }
    let mut chosen: Vec<usize> = Vec::new();
    for number in numbers {
        if chosen.len() < TRIED_MAX && !chosen.contains(&number) {
            chosen.push(number);
        }
    }
    chosen.into_iter().filter_map(|number| from.get(number).copied()).collect()
}

/// A message without this machine's folders.
fn without_folders(said: &str) -> String {
    let short = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    said.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

fn yaw(picture: Option<&&Picture>) -> f32 {
    picture.map_or(0.0, |picture| picture.yaw_deg())
}

fn unchecked(engine: &mut Engine, shown: &Picture) -> anyhow::Result<Vec<f32>> {
    let frame = picture::load(&shown.path)?;
    let targets = engine.embedder.facts().landmarks_px;
    let aligned =
        align::align(&frame, &shown.face.landmarks, &targets).context("a face without landmarks")?;
    Ok(rotation().apply(&engine.embedder.embed(&aligned)?).to_template())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_client_core::face::Face;

    /// A face whose nose is so far to the right.
    fn shown(number: usize, nose: f32, score: f32) -> Picture {
        let landmarks = [[30.0, 40.0], [70.0, 40.0], [50.0 + nose, 62.0], [34.0, 82.0], [66.0, 82.0]];
        let face = Face { bbox: [0.0, 0.0, 100.0, 130.0], landmarks, score };
        Picture { path: number.to_string().into(), face, head: face.bbox }
    }

    #[test]
    fn a_template_is_made_of_varied_pictures() {
        let noses = [0.0, 3.0, -9.0, 2.0, 1.0, 12.0, 4.0, 5.0, 3.0];
        let mut pictures: Vec<Picture> =
            noses.iter().enumerate().map(|(i, nose)| shown(i, *nose, 0.9)).collect();
        pictures.push(shown(9, 30.0, 0.6));
        let chosen = choose(&pictures);
        let names: Vec<_> = chosen.iter().map(|picture| picture.path.display().to_string()).collect();
        let first = ["0", "2", "5", "4", "6", "8"];
        assert_eq!(names[..6], first, "frontal, both sides, and over time");
        assert!(!names.contains(&"9".to_owned()), "never the doubtful one");
        assert_eq!((names.len(), choose(&pictures[..2]).len()), (9, 2));
        assert!(choose(&[]).is_empty());
    }

    #[test]
    fn a_refusal_names_no_folder() {
        assert_eq!(without_folders("the face in /a/b c/1.jpg is blurred"), "the face in b 1.jpg is blurred");
    }
}
