//! How bright a face, what is beside it, and what is far from it are in one picture.
//!
//! Means of light as the camera gathered it, not of the numbers in the picture: those follow the curve of sRGB, under
//! which the same light adds more to a dark place than to a bright one.

#![allow(clippy::cast_precision_loss, reason = "sides and counts of pixels are far below the limits of f32")]

use std::sync::LazyLock;

use sudare_protocol::light::{BESIDE, FAR, PLACES};

use crate::evidence::Area;
use crate::face::Face;
use crate::frame::Frame;

/// Pixels looked at along each side of a place: enough for a mean whose noise is a fraction of a per cent.
const GRID: u32 = 14;
/// The same for all that is far.
const FAR_GRID: u32 = 36;
/// A number from which on a camera cannot tell brighter from bright.
const CLIPPED: u8 = 250;
/// Less of a place than this inside the picture is too little.
const INSIDE_MIN: f32 = 0.25;
/// Fewer pixels far from everybody say nothing.
const FAR_PIXELS_MIN: u32 = 60;

/// The places of `sudare_protocol::light`, red, green and blue from 0 to 1; `None` where a place is not in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patches {
    pub places: [Option<[f32; 3]>; PLACES],
    /// Share of the face's pixels that are as bright as can be.
    pub clipped: f32,
}

/// Light for each number of sRGB.
static LINEAR: LazyLock<[f32; 256]> = LazyLock::new(|| {
    let mut table = [0.0; 256];
    for (number, light) in (0_u16..).zip(&mut table) {
        let curve = f32::from(number) / 255.0;
        *light = if curve <= 0.040_45 { curve / 12.92 } else { ((curve + 0.055) / 1.055).powf(2.4) };
    }
    table
});

/// Measures the face, and what is beside it and far from all of `people`.
#[must_use]
pub fn measure(frame: &Frame, face: &Face, people: &[Area]) -> Patches {
    let mut patches = Patches { places: [None; PLACES], clipped: 0.0 };
    if !frame.is_consistent() || !face.is_finite() {
        return patches;
    }
    let mut all = Sum::default();
    for (place, area) in patches.places.iter_mut().zip(face_areas(face)) {
        let sum = sum_of(frame, &area);
        *place = sum.mean_if_inside();
        all.add(&sum);
    }
    let others = |area: &Area| people.iter().any(|other| *other != face.bbox && overlaps(area, other));
    for (index, area) in BESIDE.into_iter().zip(beside_areas(&face.bbox)) {
        if let Some(place) = patches.places.get_mut(index).filter(|_| !others(&area)) {
            *place = sum_of(frame, &area).mean_if_inside();
        }
    }
    if let Some(place) = patches.places.get_mut(FAR) {
        *place = far(frame, face, people);
    }
    patches.clipped = all.clipped as f32 / (all.pixels.max(1)) as f32;
    patches
}

/// Forehead, nose, right cheek, left cheek, chin: squares, from where eyes, nose and mouth are.
fn face_areas(face: &Face) -> [Area; 5] {
    let [right_eye, left_eye, nose, right_mouth, left_mouth] = face.landmarks;
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let (eyes, mouth) = (middle(right_eye, left_eye), middle(right_mouth, left_mouth));
    let along = |from: [f32; 2], to: [f32; 2], by: f32| {
        [from[0] + (to[0] - from[0]) * by, from[1] + (to[1] - from[1]) * by]
    };
    let side = face.bbox[2] * 0.16;
    let square = |[x, y]: [f32; 2]| [x - side / 2.0, y - side / 2.0, side, side];
    [
        along(eyes, mouth, -0.62),
        nose,
        along(middle(right_eye, right_mouth), middle(left_eye, left_mouth), -0.08),
        along(middle(left_eye, left_mouth), middle(right_eye, right_mouth), -0.08),
        along(eyes, mouth, 1.45),
    ]
    .map(square)
}

/// At the height of the face, beside the hair: what hangs or stands behind, or the rest of a sheet.
fn beside_areas([x, y, w, h]: &Area) -> [Area; 2] {
    let (top, height, width) = (y + h * 0.1, h * 0.6, w * 0.4);
    [[x - w * 0.75, top, width, height], [x + w * 1.35, top, width, height]]
}

fn overlaps(a: &Area, b: &Area) -> bool {
    a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3]
}

/// What is farther from every head than a body or a sheet that is held up reaches.
fn far(frame: &Frame, face: &Face, people: &[Area]) -> Option<[f32; 3]> {
    let (width, height) = (frame.width as f32, frame.height as f32);
    // From above the head down to the picture's edge.
    let near = |[x, y, w, h]: &Area| [x - w * 1.1, y - h * 0.9, w * 3.2, (height - y + h * 0.9).max(0.0)];
    let taken = || people.iter().chain([&face.bbox]).map(near);
    let mut sum = Sum::default();
    for (column, row) in (0..FAR_GRID).flat_map(|column| (0..FAR_GRID).map(move |row| (column, row))) {
        let at = |step: u32, side: f32| (step as f32 + 0.5) / FAR_GRID as f32 * side;
        let point = [at(column, width), at(row, height), 0.0, 0.0];
        if !taken().any(|area| overlaps(&point, &area)) {
            sum.pixel(frame, point[0], point[1]);
        }
    }
    (sum.pixels >= FAR_PIXELS_MIN).then(|| sum.mean())
}

fn sum_of(frame: &Frame, [x, y, w, h]: &Area) -> Sum {
    let mut sum = Sum { wanted: GRID * GRID, ..Sum::default() };
    for (column, row) in (0..GRID).flat_map(|column| (0..GRID).map(move |row| (column, row))) {
        let at = |step: u32, from: f32, side: f32| from + (step as f32 + 0.5) / GRID as f32 * side;
        sum.pixel(frame, at(column, *x, *w), at(row, *y, *h));
    }
    sum
}

#[derive(Default)]
struct Sum {
    light: [f32; 3],
    pixels: u32,
    clipped: u32,
    wanted: u32,
}

impl Sum {
    /// The pixel at a point, if it is in the picture.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "inside the picture, see above it"
    )]
    fn pixel(&mut self, frame: &Frame, x: f32, y: f32) {
        let inside = x >= 0.0 && y >= 0.0 && x < frame.width as f32 && y < frame.height as f32;
        if !inside {
            return;
        }
        let at = (y as usize * frame.width as usize + x as usize) * 3;
        let Some([r, g, b]) = frame.rgb.get(at..at + 3) else { return };
        for (light, number) in self.light.iter_mut().zip([r, g, b]) {
            *light += LINEAR.get(usize::from(*number)).copied().unwrap_or(0.0);
        }
        self.clipped += u32::from([r, g, b].into_iter().any(|number| *number >= CLIPPED));
        self.pixels += 1;
    }

    fn add(&mut self, other: &Sum) {
        self.pixels += other.pixels;
        self.clipped += other.clipped;
    }

    fn mean(&self) -> [f32; 3] {
        self.light.map(|light| light / self.pixels.max(1) as f32)
    }

    fn mean_if_inside(&self) -> Option<[f32; 3]> {
        (self.pixels as f32 >= self.wanted as f32 * INSIDE_MIN).then(|| self.mean())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: Face = Face {
        bbox: [260.0, 140.0, 120.0, 150.0],
        landmarks: [[295.0, 195.0], [345.0, 195.0], [320.0, 222.0], [300.0, 250.0], [340.0, 250.0]],
        score: 0.9,
    };

    /// Each pixel by its place.
    fn picture(color: impl Fn(u32, u32) -> [u8; 3]) -> Frame {
        let pixels = (0..480).flat_map(|y| (0..640).map(move |x| (x, y)));
        let rgb = pixels.flat_map(|(x, y)| color(x, y)).collect();
        Frame { width: 640, height: 480, rgb, t_ms: 0, seq: 0 }
    }

    fn near(seen: Option<[f32; 3]>, number: u8) -> bool {
        seen.is_some_and(|seen| seen.iter().all(|light| (light - LINEAR[usize::from(number)]).abs() < 1e-3))
    }

    #[test]
    fn every_place_is_where_it_should_be() {
        let in_face = |x: u32, y: u32| (260..380).contains(&x) && (140..290).contains(&y);
        let beside = |x: u32| (150..250).contains(&x) || (390..490).contains(&x);
        let frame = picture(|x, y| {
            [if in_face(x, y) {
                200
            } else if beside(x) {
                90
            } else {
                40
            }; 3]
        });
        let seen = measure(&frame, &FACE, &[FACE.bbox]);
        assert!(seen.places[..5].iter().all(|place| near(*place, 200)), "{seen:?}");
        assert!(BESIDE.iter().all(|place| near(seen.places[*place], 90)), "{seen:?}");
        assert!(near(seen.places[FAR], 40), "{seen:?}");
        assert!(seen.clipped < 0.01);
    }

    #[test]
    fn the_places_of_a_face_are_apart() {
        let areas = face_areas(&FACE);
        for (i, a) in areas.iter().enumerate() {
            assert!(
                a[0] >= 260.0 && a[0] + a[2] <= 380.0 && a[1] >= 140.0 && a[1] + a[3] <= 290.0,
                "{i}: {a:?}"
            );
            assert!(areas[i + 1..].iter().all(|b| !overlaps(a, b)), "{i}");
        }
        let cheek = |index: usize| areas[index][0] + areas[index][2] / 2.0;
        assert!(cheek(2) < 320.0 && cheek(3) > 320.0, "the subject's right is the picture's left");
    }

    #[test]
    fn what_is_not_in_the_picture_is_absent() {
        let frame = picture(|_, _| [255; 3]);
        let huge = Face { bbox: [-10.0, -20.0, 640.0, 520.0], ..FACE.scaled(4.0, 4.0).moved(-960.0, -600.0) };
        let seen = measure(&frame, &huge, &[huge.bbox]);
        assert_eq!((seen.places[BESIDE[0]], seen.places[FAR]), (None, None));
        let other = [400.0, 150.0, 80.0, 100.0];
        let two = measure(&frame, &FACE, &[FACE.bbox, other]);
        assert!(two.places[BESIDE[1]].is_none() && two.places[BESIDE[0]].is_some());
        assert!(two.clipped > 0.99);
        let nan = Face { landmarks: [[f32::NAN; 2]; 5], ..FACE };
        let torn = Frame { width: 9_999, ..frame.clone() };
        for nothing in [measure(&frame, &nan, &[]), measure(&torn, &FACE, &[])] {
            assert!(nothing.places.iter().all(Option::is_none));
        }
    }
}
