//! Which way up a face is, by looking at it turned.
//!
//! The detector's landmarks cannot tell: it puts upright eyes and mouths onto faces that stand on their head. But it is
//! surer of a face that it sees upright, so the face is cut out, turned, and looked at again.

use sudare_client_core::attention::{Pass, WHOLE};
use sudare_client_core::face::Face;
use sudare_client_core::frame::Frame;

use crate::align::sample;
use crate::engine::EngineError;
use crate::faces::Detector;

/// Turns that are tried, in degrees clockwise.
const TURNS_DEG: [f32; 5] = [40.0, -40.0, 90.0, -90.0, 180.0];
/// Side of the square that is looked at, and how many times as wide as the face it is.
const SIDE_PX: u32 = 192;
const FACE_SHARE: f32 = 2.4;
/// A turn must make the detector surer by this much.
const SURER: f32 = 0.03;

/// By how many degrees the face must be turned clockwise to be upright; 0 if it is.
///
/// # Errors
/// The network failed.
pub(crate) fn turn_deg(detector: &mut Detector, frame: &Frame, face: &Face) -> Result<f32, EngineError> {
    let upright = score(detector, &cut(frame, face, 0.0))?;
    let mut best = (0.0, upright + SURER);
    for turn in TURNS_DEG {
        let turned = score(detector, &cut(frame, face, turn))?;
        if turned > best.1 {
            best = (turn, turned);
        }
    }
    Ok(best.0)
}

/// Of the surest face in the middle.
fn score(detector: &mut Detector, square: &Frame) -> Result<f32, EngineError> {
    let pass = Pass { kind: WHOLE, part: None, long_side: SIDE_PX };
    let middle = precise(SIDE_PX) / 2.0;
    let holds_middle = |face: &&Face| {
        let [x, y, w, h] = face.bbox;
        (x..=x + w).contains(&middle) && (y..=y + h).contains(&middle)
    };
    let faces = detector.watch(square, &pass)?;
    Ok(faces.iter().filter(holds_middle).map(|face| face.score).fold(0.0, f32::max))
}

/// The face in a square of its own, turned clockwise about its middle.
fn cut(frame: &Frame, face: &Face, turn_deg: f32) -> Frame {
    let [x, y, w, h] = face.bbox;
    let (middle_x, middle_y) = (x + w / 2.0, y + h / 2.0);
    let step = w.max(h) * FACE_SHARE / precise(SIDE_PX);
    let (sin, cos) = turn_deg.to_radians().sin_cos();
    let mut rgb = Vec::with_capacity((SIDE_PX * SIDE_PX * 3) as usize);
    for row in 0..SIDE_PX {
        for column in 0..SIDE_PX {
            let (dx, dy) = ((precise(column) - 95.5) * step, (precise(row) - 95.5) * step);
            // Where this pixel comes from: turned back.
            let from = [middle_x + dx * cos + dy * sin, middle_y - dx * sin + dy * cos];
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 255; saturates"
            )]
            rgb.extend(sample(frame, from).map(|value| value.round() as u8));
        }
    }
    Frame { width: SIDE_PX, height: SIDE_PX, rgb, t_ms: frame.t_ms, seq: frame.seq }
}

#[allow(clippy::cast_precision_loss, reason = "at most the side")]
fn precise(number: u32) -> f32 {
    number as f32
}
