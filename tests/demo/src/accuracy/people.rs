//! The people: pictures of each, where the face is in them, and who is real.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use image::RgbImage;
use sudare_client_core::attention::{FINE, FINE_PX, Pass};
use sudare_client_core::face::{Face, pose};
use sudare_client_core::frame::Frame;
use sudare_vision::camera::picture;
use sudare_vision::faces::Detector;

use super::figures::{Kind, percentile};
use super::unpack::FPS;

/// The whole picture, as large as it is.
pub(super) const WHOLE_PICTURE: Pass = Pass { kind: FINE, part: None, long_side: FINE_PX };
/// Fewer pictures with a face in them give no template and no probe.
const PICTURES_MIN: usize = 8;
/// Pictures, before and after, over which the place of the head is averaged: boxes tremble more than heads.
const CALM: usize = 2;

/// One person.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) pictures: Vec<Picture>,
    /// Medians over all pictures, in pixels of them: width of the face, and its middle.
    pub(super) face_px: f32,
    pub(super) middle: [f32; 2],
}

/// One picture of a clip that shows a face.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) path: PathBuf,
    pub(super) face: Face,
    /// The box of the head, averaged over its neighbours.
    pub(super) head: [f32; 4],
}

impl Picture {
    #[must_use]
    pub(super) fn yaw_deg(&self) -> f32 {
        pose::yaw_deg(&self.face.landmarks)
    }

    pub(super) fn load(&self) -> anyhow::Result<RgbImage> {
        let frame = picture::load(&self.path)?;
        RgbImage::from_raw(frame.width, frame.height, frame.rgb).context("a picture has no pixels")
    }
}

/// By the name: `synthetic_…` was generated. Everybody else is taken for real, as are people in a folder of your own.
#[must_use]
pub(super) fn kind_of(name: &str) -> Kind {
    if name.starts_with("synthetic_") { Kind::Synthetic } else { Kind::Real }
}

impl Person {
    /// Looks for the face in each picture of a folder.
    pub(super) fn load(name: &str, folder: &Path, detector: &mut Detector) -> anyhow::Result<Self> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut pictures = Vec::new();
        for path in paths {
            let frame: Frame = picture::load(&path)?;
            let found = detector.watch(&frame, &WHOLE_PICTURE)?;
            let widest =
                found.iter().filter(|face| face.score >= 0.7).max_by(|a, b| a.bbox[2].total_cmp(&b.bbox[2]));
            pictures.extend(widest.map(|face| Picture { path, face: *face, head: face.bbox }));
        }
        ensure!(
            pictures.len() >= PICTURES_MIN,
            "{name} shows a face in {} pictures, and {PICTURES_MIN} are needed. Give a longer clip",
            pictures.len()
        );
        calm(&mut pictures);
        let median = |value: &dyn Fn(&Picture) -> f32| -> f32 {
            let values: Vec<f64> = pictures.iter().map(|picture| f64::from(value(picture))).collect();
            #[allow(clippy::cast_possible_truncation, reason = "it was f32")]
            percentile(&values, 0.5).map_or(1.0, |value| value as f32)
        };
        let face_px = median(&|picture| picture.face.bbox[2]).max(1.0);
        let middle = [0, 1].map(|axis| median(&|p| p.head[axis] + p.head[axis + 2] / 2.0));
        Ok(Person { name: name.to_owned(), kind: kind_of(name), face_px, middle, pictures })
    }

    /// The number of the picture at this time of the clip's second half, played forth and back.
    #[must_use]
    pub(super) fn later(&self, seconds: f64) -> usize {
        let half = self.pictures.len() / 2;
        half + forth_and_back(seconds, self.pictures.len() - half)
    }

    /// Pictures from which somebody enrols: the first half.
    #[must_use]
    pub(super) fn earlier(&self) -> &[Picture] {
        self.pictures.get(..self.pictures.len() / 2).unwrap_or_default()
    }
}

/// 0, 1, 2, 1, 0, 1 … of three pictures.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times of a scene, never negative"
)]
fn forth_and_back(seconds: f64, pictures: usize) -> usize {
    let turns = pictures.saturating_sub(1) * 2;
    let at = ((seconds.max(0.0) * FPS) as usize).checked_rem(turns).unwrap_or(0);
    at.min(turns - at)
}

fn calm(pictures: &mut [Picture]) {
    let boxes: Vec<[f32; 4]> = pictures.iter().map(|picture| picture.face.bbox).collect();
    for (i, picture) in pictures.iter_mut().enumerate() {
        let near = boxes.get(i.saturating_sub(CALM)..(i + CALM + 1).min(boxes.len())).unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "a few")]
        let n = near.len().max(1) as f32;
        picture.head = [0, 1, 2, 3].map(|k| near.iter().map(|b| b[k]).sum::<f32>() / n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_played_forth_and_back_without_a_jump() {
        let played: Vec<usize> = (0..7).map(|i| forth_and_back(f64::from(i) / FPS + 1e-6, 3)).collect();
        assert_eq!(played, [0, 1, 2, 1, 0, 1, 2]);
        assert_eq!((forth_and_back(9.0, 1), forth_and_back(9.0, 0), forth_and_back(-1.0, 3)), (0, 0, 0));
    }

    #[test]
    fn who_is_real_is_told_by_the_name() {
        assert_eq!(
            [kind_of("synthetic_01"), kind_of("real_01"), kind_of("anna")],
            [Kind::Synthetic, Kind::Real, Kind::Real]
        );
    }
}
