//! Does a face look alive in its surroundings? MiniFASNetV2, which sees margins of paper, bezels and the texture of
//! prints and screens.
//!
//! Source: minivision, "Silent-Face-Anti-Spoofing" (2020). It was trained on faces with what is around them, so a face
//! whose surroundings are cut off at one side, or that is pasted on another ground, says nothing: of 20 living people
//! composed so, several come below any threshold. A face so near that its surroundings are as high as the picture is
//! as good as a whole one. What
//! comes out may only deny (`sudare_client_core::live::passive`).

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to picture coordinates, which are at most 65,535"
)]

use ort::session::Session;
use ort::value::TensorRef;
use sudare_client_core::evidence::Area;
use sudare_client_core::face::quality::GOOD_LIGHT;
use sudare_client_core::frame::Frame;
use sudare_models::{AntiSpoofFacts, Digest, Role};

use crate::engine::EngineError;
use crate::optional::fits;

/// The network.
#[derive(Debug)]
pub struct AntiSpoof {
    session: Session,
    facts: AntiSpoofFacts,
    /// Of its file, for the record.
    pub sha256: Digest,
    input: Vec<f32>,
}

impl AntiSpoof {
    /// # Errors
    /// The network does not take or give what the manifest says.
    pub(super) fn new(session: Session, facts: AntiSpoofFacts, sha256: Digest) -> Result<Self, EngineError> {
        fits(Role::AntiSpoof, &session, &facts.input, (&facts.output, &[0, facts.classes]))?;
        Ok(Self { session, facts, sha256, input: Vec::new() })
    }

    /// What it was found to be worth.
    #[must_use]
    pub fn facts(&self) -> &AntiSpoofFacts {
        &self.facts
    }

    /// Whether this face is large enough and lit well enough, and its surroundings are in the picture.
    #[must_use]
    pub fn suits(&self, frame: &Frame, bbox: &Area) -> bool {
        let enough = Surroundings::of(frame, bbox, self.facts.context).is_some_and(|around| around.enough);
        let [dark, bright] = LIGHT;
        self.is_large(bbox) && enough && (dark..=bright).contains(&brightness(frame, bbox))
    }

    /// Whether this face is large enough to say anything.
    #[must_use]
    pub fn is_large(&self, bbox: &Area) -> bool {
        bbox[2] >= self.facts.face_min_px
    }

    /// How alive it looks, from 0 to 1; `None` where there is nothing to look at.
    ///
    /// # Errors
    /// The network failed, or its output is not what it should be.
    pub fn live(&mut self, frame: &Frame, bbox: &Area) -> Result<Option<f32>, EngineError> {
        let Some(around) = Surroundings::of(frame, bbox, self.facts.context) else { return Ok(None) };
        let [.., rows, columns] = self.facts.input.shape;
        let gain = gain(brightness(frame, bbox));
        around.fill(frame, [columns, rows], &mut self.input);
        if gain <= 1.0 {
            return self.run().map(Some);
        }
        brighten(&mut self.input, gain);
        let sampled = self.run()?;
        around.fill_averaged(frame, [columns, rows], &mut self.input);
        brighten(&mut self.input, gain);
        Ok(Some((sampled * self.run()?).sqrt()))
    }

    /// What the network says of the planes in `input`.
    fn run(&mut self) -> Result<f32, EngineError> {
        let [.., rows, columns] = self.facts.input.shape;
        let shape = [1, 3, rows, columns];
        let tensor = TensorRef::from_array_view((shape, self.input.as_slice())).map_err(failed)?;
        let name = self.facts.input.name.as_str();
        let outputs = self.session.run(ort::inputs![name => tensor]).map_err(failed)?;
        let output = outputs.get(&self.facts.output).ok_or_else(|| failed("the output is missing"))?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        share_of(values, self.facts.classes, self.facts.live_class).map_err(failed)
    }
}

/// A face whose mean green is outside of this says nothing.
const LIGHT: [f32; 2] = [20.0, GOOD_LIGHT[1]];
/// The network learnt from well-lit faces, and takes noise and darkness for a print's texture: of 20 living people in
/// their own pictures it denied none, and 12 with 0.3 of the light. So a face darker than the first of these is made
/// as bright as the second, and looked at with its noise and with the noise averaged out; the geometric mean counts.
/// Then it denies 3 of the 20, and of prints and replays in that light about as many as before.
const DIM: f32 = 60.0;
const LIT: f32 = 110.0;

/// By how much a face of this brightness is made brighter.
fn gain(brightness: f32) -> f32 {
    if brightness < DIM { LIT / brightness.max(1.0) } else { 1.0 }
}

fn brighten(planes: &mut [f32], gain: f32) {
    planes.iter_mut().for_each(|value| *value = (*value * gain).min(255.0));
}

/// Mean green of a grid of points in the box, 0 to 255: what most of the brightness is made of.
fn brightness(frame: &Frame, [x, y, w, h]: &Area) -> f32 {
    let at = |from: f32, len: f32, i: usize, side: u32| {
        (from + len * (i as f32 + 0.5) / GRID as f32).clamp(0.0, side.saturating_sub(1) as f32) as usize
    };
    let spots = (0..GRID).flat_map(|row| (0..GRID).map(move |column| (row, column)));
    let green =
        |(row, column)| pixel(frame, at(*x, *w, column, frame.width), at(*y, *h, row, frame.height))[1];
    spots.map(green).sum::<f32>() / (GRID * GRID) as f32
}

/// The softmax of one class.
fn share_of(values: &[f32], classes: usize, class: usize) -> Result<f32, String> {
    if values.len() != classes {
        return Err(format!("{} numbers instead of {classes}", values.len()));
    }
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = values.iter().map(|value| (value - most).exp()).sum();
    let share = values.get(class).map_or(f32::NAN, |value| (value - most).exp() / sum);
    if share.is_finite() { Ok(share) } else { Err("its output holds values that are no numbers".to_owned()) }
}

/// Points across and down at which a face's brightness is taken.
const GRID: usize = 12;

/// A face with what is around it, in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Surroundings {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Nothing had to be moved or left out to stay inside the picture; or only a little, because the face is so near
    /// that they reach from one edge to the other.
    enough: bool,
}

/// How many times a near face's surroundings are as large as the face, at least.
const NEAR_CONTEXT: f32 = 1.7;
/// They are nearly all of the picture, so they may be moved inside it by this share of the face.
const NEAR_MOVED: f32 = 0.35;

impl Surroundings {
    /// The box, `times` as wide and high about its middle; less if the picture is smaller, and moved inside it.
    /// `None` if there is no such thing.
    fn of(frame: &Frame, bbox: &Area, times: f32) -> Option<Self> {
        let [x, y, w, h] = bbox.map(f32::trunc);
        let finite = [x, y, w, h].iter().all(|value| value.is_finite());
        if !frame.is_consistent() || !finite || w < 1.0 || h < 1.0 {
            return None;
        }
        let last = [frame.width, frame.height].map(|side| (side - 1) as f32);
        let fitting = times.min(last[0] / w).min(last[1] / h);
        let mut enough = fitting >= times.min(NEAR_CONTEXT);
        let mut span = |from: f32, len: f32, last: f32| {
            let wanted = from + len / 2.0 - len * fitting / 2.0;
            let start = wanted.min(last - len * fitting).max(0.0);
            let end = (start + len * fitting).min(last);
            let moved = (start - wanted).abs();
            let is_near = fitting < times && (end - start >= last - 1.0 || moved <= len * NEAR_MOVED);
            enough &= moved < 1.0 || is_near;
            // The nearest whole pixel, where rounding left a little less.
            (start as usize, (end + 1e-3) as usize + 1 - start as usize)
        };
        let (left, width) = span(x, w, last[0]);
        let (top, height) = span(y, h, last[1]);
        Some(Self { left, top, width, height, enough })
    }

    /// Fills planes blue, green, red of this size, sampled bilinearly as OpenCV's `resize` does.
    fn fill(&self, frame: &Frame, [columns, rows]: [usize; 2], planes: &mut Vec<f32>) {
        let plane = columns * rows;
        planes.clear();
        planes.resize(plane * 3, 0.0);
        let (blue, rest) = planes.split_at_mut(plane);
        let (green, red) = rest.split_at_mut(plane);
        let pixels = blue.iter_mut().zip(green).zip(red);
        for (i, ((blue, green), red)) in pixels.enumerate() {
            let (x, right) = between(i % columns, columns, self.width);
            let (y, down) = between(i / columns, rows, self.height);
            let at = |dx: usize, dy: usize| {
                let column = self.left + (x + dx).min(self.width - 1);
                let row = self.top + (y + dy).min(self.height - 1);
                pixel(frame, column, row)
            };
            let corners = [at(0, 0), at(1, 0), at(0, 1), at(1, 1)];
            let mix = |colour: usize| {
                let [a, b, c, d] = corners.map(|corner| corner[colour]);
                (a * (1.0 - right) + b * right) * (1.0 - down) + (c * (1.0 - right) + d * right) * down
            };
            (*red, *green, *blue) = (mix(0), mix(1), mix(2));
        }
    }

    /// The same planes, each value the mean of all pixels that lie behind it: a fourth of the noise or less.
    fn fill_averaged(&self, frame: &Frame, [columns, rows]: [usize; 2], planes: &mut Vec<f32>) {
        let plane = columns * rows;
        planes.clear();
        planes.resize(plane * 3, 0.0);
        let (blue, rest) = planes.split_at_mut(plane);
        let (green, red) = rest.split_at_mut(plane);
        // From this pixel to before the next one's, and at least one.
        let behind = |index: usize, len: usize, source_len: usize| {
            let from = index * source_len / len;
            from..((index + 1) * source_len / len).max(from + 1)
        };
        for (i, ((blue, green), red)) in blue.iter_mut().zip(green).zip(red).enumerate() {
            let (across, down) =
                (behind(i % columns, columns, self.width), behind(i / columns, rows, self.height));
            let count = (across.len() * down.len()) as f32;
            for y in down {
                for x in across.clone() {
                    let [r, g, b] = pixel(frame, self.left + x, self.top + y);
                    (*red, *green, *blue) = (*red + r / count, *green + g / count, *blue + b / count);
                }
            }
        }
    }
}

/// Which source pixel an output pixel lies behind, and by how much.
fn between(index: usize, len: usize, source_len: usize) -> (usize, f32) {
    let at = (index as f32 + 0.5) * source_len as f32 / len as f32 - 0.5;
    let at = at.clamp(0.0, source_len.saturating_sub(1) as f32);
    (at as usize, at.fract())
}

fn pixel(frame: &Frame, x: usize, y: usize) -> [f32; 3] {
    let at = (y * frame.width as usize + x) * 3;
    let bytes = frame.rgb.get(at..at + 3).unwrap_or_default();
    let mut pixel = [0.0; 3];
    pixel.iter_mut().zip(bytes).for_each(|(value, byte)| *value = f32::from(*byte));
    pixel
}

#[allow(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Model { role: Role::AntiSpoof, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: u32, height: u32) -> Frame {
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 9])).collect();
        Frame { width, height, rgb, t_ms: 0, seq: 0 }
    }

    #[test]
    fn surroundings_are_cut_and_moved_as_in_training() {
        let of = |bbox: Area| Surroundings::of(&frame(640, 480), &bbox, 2.7).unwrap();
        let inside = Surroundings { left: 120, top: 127, width: 271, height: 271, enough: true };
        assert_eq!(of([205.0, 212.0, 100.0, 100.0]), inside);
        // Moved inside at an edge.
        let moved = of([10.0, 212.0, 100.0, 100.0]);
        assert_eq!((moved.left, moved.width, moved.enough), (0, 271, false));
        let moved = of([530.0, 370.0, 100.0, 100.0]);
        assert_eq!((moved.left + moved.width, moved.top + moved.height, moved.enough), (640, 480, false));
        // A near face has what there is, from the upper edge to the lower one.
        let near = of([188.0, 110.0, 196.0, 240.0]);
        assert_eq!((near.top, near.height, near.left, near.enough), (0, 480, 90, true));
        let upright = Surroundings::of(&frame(480, 640), &[188.0, 110.0, 196.0, 240.0], 2.7).unwrap();
        assert_eq!((upright.left, upright.top, upright.enough), (0, 0, true), "64 pixels too high");
        let near_and_aside = of([10.0, 110.0, 196.0, 240.0]);
        assert_eq!((near_and_aside.left, near_and_aside.enough), (0, false));
        // A face that fills the picture keeps its shape, and has too little around it.
        let large = of([200.0, 40.0, 240.0, 320.0]);
        assert_eq!((large.top, large.height, large.width, large.enough), (0, 480, 360, false));
    }

    #[test]
    fn boxes_that_are_none_have_no_surroundings_and_odd_ones_stay_inside() {
        let small = frame(64, 48);
        for bbox in [[f32::NAN; 4], [0.0, 0.0, 0.5, 9.0], [1.0, 1.0, f32::INFINITY, 9.0]] {
            assert_eq!(Surroundings::of(&small, &bbox, 2.7), None);
        }
        let torn = Frame { width: 9, ..small.clone() };
        assert_eq!(Surroundings::of(&torn, &[1.0, 1.0, 9.0, 9.0], 2.7), None);
        for bbox in [[-500.0, -500.0, 9.0, 9.0], [900.0, 900.0, 9.0, 9.0], [-9.0, -9.0, 5e4, 5e4]] {
            for frame in [&small, &frame(1, 1), &frame(1, 480)] {
                let Surroundings { left, top, width, height, .. } =
                    Surroundings::of(frame, &bbox, 2.7).unwrap();
                assert!(left + width <= frame.width as usize && top + height <= frame.height as usize);
                assert!(width > 0 && height > 0, "{bbox:?}");
            }
        }
    }

    #[test]
    fn the_brightness_is_that_of_the_face_and_not_of_the_room() {
        let mut rgb = vec![200; 64 * 48 * 3];
        for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            if (20..40).contains(&(i % 64)) && (10..30).contains(&(i / 64)) {
                pixel.fill(30);
            }
        }
        let frame = Frame { width: 64, height: 48, rgb, t_ms: 0, seq: 0 };
        assert!((brightness(&frame, &[20.0, 10.0, 20.0, 20.0]) - 30.0).abs() < 0.1);
        assert!((brightness(&frame, &[44.0, 34.0, 90.0, 90.0]) - 200.0).abs() < 0.1, "partly outside");
        assert!(brightness(&frame, &[f32::NAN; 4]).is_finite());
    }

    #[test]
    fn planes_are_blue_green_red_and_keep_a_ramp() {
        let around = Surroundings { left: 20, top: 10, width: 160, height: 160, enough: true };
        let mut planes = Vec::new();
        around.fill(&frame(256, 256), [80, 80], &mut planes);
        let (green, red) = (&planes[80 * 80..80 * 80 * 2], &planes[80 * 80 * 2..]);
        assert_eq!((planes.len(), planes[7]), (80 * 80 * 3, 9.0));
        assert!((red[30] - (20.0 + 60.5)).abs() < 0.01, "{}", red[30]);
        assert!((green[30 * 80] - (10.0 + 60.5)).abs() < 0.01, "{}", green[30 * 80]);
    }

    #[test]
    fn averaged_planes_keep_a_ramp_and_lose_noise_and_small_faces_have_pixels_too() {
        let around = Surroundings { left: 20, top: 10, width: 160, height: 160, enough: true };
        let mut planes = Vec::new();
        around.fill_averaged(&frame(256, 256), [80, 80], &mut planes);
        let (green, red) = (&planes[80 * 80..80 * 80 * 2], &planes[80 * 80 * 2..]);
        assert_eq!((planes.len(), planes[7]), (80 * 80 * 3, 9.0));
        assert!((red[30] - (20.0 + 60.5)).abs() < 0.01, "{}", red[30]);
        assert!((green[30 * 80] - (10.0 + 60.5)).abs() < 0.01, "{}", green[30 * 80]);
        // A chequered picture becomes even, where two points in four would have kept its pattern.
        let rgb = (0..160_u32).flat_map(|y| (0..160).flat_map(move |x| [((x + y) % 2 * 80) as u8; 3]));
        let chequered = Frame { width: 160, height: 160, rgb: rgb.collect(), t_ms: 0, seq: 0 };
        let whole = Surroundings { left: 0, top: 0, width: 160, height: 160, enough: true };
        whole.fill_averaged(&chequered, [80, 80], &mut planes);
        assert!(planes.iter().all(|value| (value - 40.0).abs() < 0.01));
        // Fewer pixels than values.
        let small = Surroundings { left: 5, top: 5, width: 30, height: 20, enough: true };
        small.fill_averaged(&frame(64, 48), [80, 80], &mut planes);
        assert!(planes[..80 * 80].iter().all(|value| (value - 9.0).abs() < 0.01), "no value was left out");
    }

    #[test]
    fn only_dim_faces_are_made_brighter_and_none_beyond_white() {
        assert_eq!([60.0, 120.0, 255.0].map(gain), [1.0; 3]);
        assert!((gain(40.0) - 2.75).abs() < 1e-6 && gain(0.0).is_finite());
        let mut planes = [10.0, 40.0, 200.0];
        brighten(&mut planes, 2.75);
        assert_eq!(planes, [27.5, 110.0, 255.0]);
    }

    #[test]
    fn of_three_numbers_one_is_the_share_of_living_faces_and_anything_else_is_said() {
        let share = share_of(&[1.0, 3.0, 1.0], 3, 1).unwrap();
        assert!((share - 0.787).abs() < 0.001, "{share}");
        assert!(share_of(&[1e30, 3.0, 1.0], 3, 1).unwrap() == 0.0, "large numbers are no trouble");
        for broken in [f32::NAN, f32::INFINITY] {
            assert!(share_of(&[1.0, broken, 1.0], 3, 1).unwrap_err().contains("no numbers"));
            assert!(share_of(&[broken, 1.0, 1.0], 3, 1).unwrap_err().contains("no numbers"));
        }
        assert!(share_of(&[1.0; 4], 3, 1).unwrap_err().contains("4 numbers instead of 3"));
        assert!(share_of(&[], 3, 1).is_err());
    }
}
