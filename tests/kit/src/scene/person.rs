//! Somebody cut out of one photograph, in two and a half dimensions: each pixel knows how far it stands out, whether it
//! is a part of the eyes or the jaw, and what it gives back of a screen's light.
//!
//! ```text
//!  photograph ─ cut out ─► texture
//!  its box, eyes, mouth ─► spots (depth, lids, jaw, light) ─ pose ─► where each pixel of a picture is taken from
//! ```
//! Nothing is moved far, so a pixel is taken from where the depth *at its own place* says: no mesh, and no holes.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a webcam's picture"
)]

use std::f32::consts::PI;
use std::path::Path;

use anyhow::Context as _;
use image::RgbImage;
use image::imageops::{self, FilterType};

use super::canvas::Canvas;
use super::pose::Pose;
use crate::lighting::Surface;

/// Width of a face at the seat, in pixels of the frame.
const FACE_WIDTH: u32 = 120;
/// Outlines are soft, over so many halves of a face; where the photograph ends beside somebody, over so many pixels.
const SOFT: f32 = 0.15;
const SOFT_PX: f32 = 24.0;
/// The outline below a head: half the width of the neck and how far down it reaches, where the shoulders begin and how far
/// aside they stay level, and how much they fall beyond that.
const NECK: [f32; 2] = [0.75, 1.6];
const SHOULDERS: [f32; 3] = [1.08, 0.6, 0.26];
/// How far a head and its nose stand out, in half widths of the face.
const HEAD_DEPTH: f32 = 0.85;
const NOSE_DEPTH: f32 = 0.25;
/// Photographs are exposed to the last number. A camera leaves room for what a screen adds.
pub(super) const ROOM_LIGHT: f32 = 0.86;
/// A lid that is never closed.
const NO_LID: f32 = 2.0;

/// A photograph, and where its face is. Places on the face count from its middle, across and down, -1 to 1 at the edges
/// of its box; sizes count in half of its sides.
pub(super) struct Portrait {
    pub(super) file: &'static str,
    /// x, y, width, height.
    pub(super) face: [u32; 4],
    /// With hair and ears: its middle, and how far it reaches aside and up.
    pub(super) head: [[f32; 2]; 2],
    pub(super) nose: [f32; 2],
    pub(super) eyes: [[f32; 2]; 2],
    pub(super) eye_size: [f32; 2],
    pub(super) mouth: [f32; 2],
}

/// What is known about one pixel.
#[derive(Debug, Clone, Copy)]
struct Spot {
    /// Pixels towards the camera.
    depth: f32,
    /// How far lids must be closed to hide it, and how far below the skin is that hides it.
    lid: f32,
    skin: f32,
    /// How much it follows the jaw, and the breath.
    jaw: f32,
    breath: f32,
    received: f32,
    /// How much of the room behind it hides.
    over: f32,
}

pub(super) struct Person {
    texture: RgbImage,
    spots: Vec<Spot>,
    /// x, y, width, height of the face in the texture.
    face: [f32; 4],
}

impl Person {
    pub(super) fn load(folder: &Path, portrait: &Portrait) -> anyhow::Result<Self> {
        let path = folder.join(portrait.file);
        let photograph = image::open(&path)
            .with_context(|| {
                format!("{}: cannot be read. `cargo xtask setup` fetches the photographs", path.display())
            })?
            .to_rgb8();
        Ok(Self::cut_out(&photograph, portrait))
    }

    /// Head and body down to below the edge of a picture, scaled so that the face has `FACE_WIDTH`.
    pub(super) fn cut_out(photograph: &RgbImage, portrait: &Portrait) -> Self {
        let [x, y, w, h] = portrait.face;
        let (left, top) = (x.saturating_sub(w * 7 / 10), y.saturating_sub(h * 5 / 10));
        let width = (w * 24 / 10).min(photograph.width() - left);
        let height = (h * 30 / 10).min(photograph.height() - top);
        let part = imageops::crop_imm(photograph, left, top, width, height).to_image();
        let scaled = |side: u32| side * FACE_WIDTH / w;
        let mut texture = imageops::resize(&part, scaled(width), scaled(height), FilterType::Triangle);
        texture.iter_mut().for_each(|value| *value = (f32::from(*value) * ROOM_LIGHT) as u8);
        let face = [x - left, y - top, w, h].map(|length| (length * FACE_WIDTH) as f32 / w as f32);
        let width = texture.width() as f32;
        let spot = |(px, py, _): (u32, u32, _)| spot(portrait, face, width, [px as f32, py as f32]);
        Person { spots: texture.enumerate_pixels().map(spot).collect(), texture, face }
    }

    pub(super) fn size(&self) -> [f32; 2] {
        [self.texture.width() as f32, self.texture.height() as f32]
    }

    /// x, y, width, height of the face, from the corner of the cut-out.
    pub(super) fn face(&self) -> [f32; 4] {
        self.face
    }

    /// Puts the person with the corner of the cut-out at a place.
    pub(super) fn draw(&self, canvas: &mut Canvas, at: [f32; 2], pose: &Pose) {
        let place = [at[0] + pose.shift[0], at[1] + pose.shift[1]];
        let whole = place.map(f32::floor);
        let part = [place[0] - whole[0], place[1] - whole[1]];
        let (left, top) = (whole[0] as i64, whole[1] as i64);
        let [width, height] = canvas.relit.size().map(i64::from);
        let columns = self.texture.width() as usize;
        for (row, spots) in self.spots.chunks_exact(columns.max(1)).enumerate() {
            let y = top + row as i64;
            if !(0..height).contains(&y) {
                continue;
            }
            for (column, spot) in spots.iter().enumerate() {
                let x = left + column as i64;
                if spot.over > 0.0 && (0..width).contains(&x) {
                    let colour = self.colour(spot, pose, [column as f32 - part[0], row as f32 - part[1]]);
                    canvas.put(x as u32, y as u32, colour, spot.received, spot.over);
                }
            }
        }
    }

    /// The colour at a point of the cut-out, as a picture of it shows it; the nearest one if it is outside.
    pub(super) fn colour_at(&self, pose: &Pose, [x, y]: [f32; 2]) -> [f32; 3] {
        let (width, height) = (self.texture.width() as usize, self.texture.height() as usize);
        let column = (x.max(0.0) as usize).min(width.saturating_sub(1));
        let row = (y.max(0.0) as usize).min(height.saturating_sub(1));
        self.spots.get(row * width + column).map_or([0.0; 3], |spot| self.colour(spot, pose, [x, y]))
    }

    fn colour(&self, spot: &Spot, pose: &Pose, [x, y]: [f32; 2]) -> [f32; 3] {
        let across = x - spot.depth * pose.turn[0];
        let mut down = y - spot.depth * pose.turn[1] - spot.jaw * pose.jaw + spot.breath * pose.breath;
        if spot.lid < pose.lids {
            down += spot.skin;
        }
        self.between(across, down)
    }

    /// The colour between four pixels.
    fn between(&self, x: f32, y: f32) -> [f32; 3] {
        let [width, height] = self.size();
        let (x, y) = (x.clamp(0.0, (width - 1.01).max(0.0)), y.clamp(0.0, (height - 1.01).max(0.0)));
        let (column, row) = (x as usize, y as usize);
        let (dx, dy) = (x - column as f32, y - row as f32);
        let stride = self.texture.width() as usize * 3;
        let (at, pixels) = (row * stride + column * 3, self.texture.as_raw());
        let (Some(upper), Some(lower)) = (pixels.get(at..at + 6), pixels.get(at + stride..at + stride + 6))
        else {
            return [0.0; 3];
        };
        let along = |line: &[u8], c: usize| {
            let (left, right) = (f32::from(line[c]), f32::from(line[c + 3]));
            left + (right - left) * dx
        };
        [0, 1, 2].map(|c| {
            let (above, below) = (along(upper, c), along(lower, c));
            above + (below - above) * dy
        })
    }
}

fn spot(portrait: &Portrait, [x, y, w, h]: [f32; 4], width: f32, [px, py]: [f32; 2]) -> Spot {
    let half = [w / 2.0, h / 2.0];
    let at = [(px - x - half[0]) / half[0], (py - y - half[1]) / half[1]];
    let [u, v] = at;
    let head = 1.0 - (u * 0.80).powi(2) - (v * 0.72).powi(2);
    let nose = [(u - portrait.nose[0]) / 0.22, (v - portrait.nose[1]) / 0.30];
    let nose = (-(nose[0] * nose[0] + nose[1] * nose[1])).exp() * NOSE_DEPTH;
    let depth = if head > 0.0 { (head * HEAD_DEPTH + nose) * half[0] } else { 0.0 };
    let mouth = [(u - portrait.mouth[0]) / 0.45, ((v - portrait.mouth[1]) / 0.45).clamp(0.0, 1.0)];
    let jaw = (-mouth[0] * mouth[0]).exp() * (mouth[1] * PI).sin().powi(2);
    let (lid, skin) =
        portrait.eyes.iter().find_map(|eye| lid(*eye, portrait.eye_size, at)).unwrap_or((NO_LID, 0.0));
    let beside_px = px.min(width - 1.0 - px);
    Spot {
        depth,
        lid,
        skin: skin * half[1],
        jaw,
        breath: ((v - 1.0) / 0.4).clamp(0.0, 1.0),
        received: surface(portrait, at).receives(),
        over: outline(portrait, at) * (beside_px / SOFT_PX).clamp(0.0, 1.0),
    }
}

/// Within an eye: how far down from its upper edge, 0 to 1, and how far below the skin is that a closed lid shows, which
/// is that under the eye, upside down.
fn lid([eye_u, eye_v]: [f32; 2], [wide, high]: [f32; 2], [u, v]: [f32; 2]) -> Option<(f32, f32)> {
    let aside = (u - eye_u) / wide;
    let half = high * (1.0 - aside * aside).max(0.0).sqrt();
    let below = v - (eye_v - half);
    let is_inside = half > 0.0 && (0.0..2.0 * half).contains(&below);
    let lower_edge = eye_v + half;
    is_inside.then(|| (below / (2.0 * half), 2.0 * (lower_edge - v)))
}

/// How much of a person, and not of the room in which the photograph was taken, is at a place. Models that tell pictures
/// from people notice a frame around somebody at once.
fn outline(portrait: &Portrait, [u, v]: [f32; 2]) -> f32 {
    let [middle, reach] = portrait.head;
    let from_middle = [(u - middle[0]) / reach[0], (v - middle[1]) / reach[1]];
    let head = 1.2 * (1.0 - (from_middle[0].powi(2) + from_middle[1].powi(2)).sqrt());
    let neck = if v > 0.5 { (NECK[0] - (u - middle[0] / 2.0).abs()).min(NECK[1] - v) } else { f32::MIN };
    let [top, level, fall] = SHOULDERS;
    let body = v - top - fall * (u.abs() - level).max(0.0);
    (head.max(neck).max(body) / SOFT + 0.5).clamp(0.0, 1.0)
}

/// What of a person is at a place, or the room that was behind them when the photograph was taken.
fn surface(portrait: &Portrait, [u, v]: [f32; 2]) -> Surface {
    let is_head = (u * 0.92).powi(2) + (v * 0.80).powi(2) < 1.35;
    if is_head {
        // A head that is turned in the photograph is nearest to the camera where its nose is.
        return Surface::Head([u - portrait.nose[0], v]);
    }
    let shoulders = 1.15 + 0.25 * (u.abs() - 0.5).max(0.0);
    if v > shoulders { Surface::Clothes } else { Surface::Wall }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{HEIGHT, WIDTH};
    use super::*;
    use crate::lighting::Relit;

    pub(in super::super) const PORTRAIT: Portrait = Portrait {
        file: "nobody.jpg",
        face: [100, 80, 120, 160],
        head: [[0.0, 0.0], [1.2, 1.2]],
        nose: [0.0, 0.1],
        eyes: [[-0.4, -0.25], [0.4, -0.25]],
        eye_size: [0.2, 0.07],
        mouth: [0.0, 0.55],
    };

    /// Skin with dark eyes before something darker, with a grain by which movement shows.
    pub(in super::super) fn nobody() -> Person {
        let photograph = RgbImage::from_fn(320, 520, |x, y| {
            let at = [(x as f32 - 160.0) / 60.0, (y as f32 - 160.0) / 80.0];
            let is_eye = PORTRAIT.eyes.iter().any(|eye| lid(*eye, PORTRAIT.eye_size, at).is_some());
            let grain = (x * 7 + y * 13) % 23;
            let skin = if at[0].powi(2) + at[1].powi(2) < 1.0 { 150 } else { 80 };
            let value = if is_eye { 20 } else { skin + grain as u8 };
            image::Rgb([value, value - 10, value - 20])
        });
        Person::cut_out(&photograph, &PORTRAIT)
    }

    fn drawn(pose: &Pose) -> Canvas {
        let mut canvas = Canvas {
            picture: RgbImage::from_pixel(WIDTH, HEIGHT, image::Rgb([150; 3])),
            relit: Relit::wall(WIDTH, HEIGHT),
        };
        nobody().draw(&mut canvas, [40.0, 20.0], pose);
        canvas
    }

    /// Mean of a square of pixels around a place on the face.
    fn bright(picture: &RgbImage, [u, v]: [f32; 2], side: u32) -> f32 {
        let [x, y, w, h] = nobody().face();
        let middle = [40.0 + x + w / 2.0 + u * w / 2.0, 20.0 + y + h / 2.0 + v * h / 2.0];
        let (left, top) = (middle[0] as u32 - side / 2, middle[1] as u32 - side / 2);
        let part = imageops::crop_imm(picture, left, top, side, side).to_image();
        part.pixels().map(|pixel| f32::from(pixel.0[0])).sum::<f32>() / (side * side) as f32
    }

    #[test]
    fn eyelids_hide_the_eyes_and_nothing_else() {
        let (open, closed) = (drawn(&Pose::STILL), drawn(&Pose { lids: 1.0, ..Pose::STILL }));
        for eye in PORTRAIT.eyes {
            let before = bright(&open.picture, eye, 4);
            let after = bright(&closed.picture, eye, 4);
            assert!(before < 40.0 && after > 100.0, "{before} {after}");
        }
        let forehead = [0.0, -0.6];
        assert!((bright(&open.picture, forehead, 8) - bright(&closed.picture, forehead, 8)).abs() < 1e-3);
    }

    #[test]
    fn a_head_that_turns_shows_relief_and_its_shoulders_stay() {
        let turned = drawn(&Pose { turn: [0.1, 0.0], ..Pose::STILL });
        let still = drawn(&Pose::STILL);
        let differ = |at: [f32; 2]| {
            let [x, y, w, h] = nobody().face();
            let column = (40.0 + x + w / 2.0 * (1.0 + at[0])) as u32;
            let row = (20.0 + y + h / 2.0 * (1.0 + at[1])) as u32;
            (0..9).any(|n| {
                turned.picture.get_pixel(column + n, row) != still.picture.get_pixel(column + n, row)
            })
        };
        assert!(differ([0.0, 0.1]) && differ([0.3, -0.4]));
        assert!(!differ([0.0, 1.9]) && !differ([-1.6, -0.5]));
    }

    #[test]
    fn a_face_gives_back_light_unevenly_and_what_is_beside_it_little() {
        let canvas = drawn(&Pose::STILL);
        let mut lit = canvas.picture.clone();
        canvas.relit.light(&mut lit, [0.36; 3]);
        let gain = |at: [f32; 2]| bright(&lit, at, 12) / bright(&canvas.picture, at, 12) - 1.0;
        let face = [[0.0, -0.75], [0.0, 0.15], [-0.5, 0.2], [0.5, 0.2], [0.0, 0.9]].map(gain);
        let mean = face.iter().sum::<f32>() / 5.0;
        let spread = (face.iter().map(|gain| (gain - mean).powi(2)).sum::<f32>() / 4.0).sqrt();
        assert!(mean > 0.08 && spread > 0.1 * mean, "{face:?}");
        assert!(gain([-2.1, -0.2]) < mean / 5.0 && gain([2.1, -0.2]) < mean / 5.0);
    }
}
