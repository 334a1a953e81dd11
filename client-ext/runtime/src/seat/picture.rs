//! A camera picture as a window shows it: small, with what the models saw in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jpeg_encoder::{ColorType, Encoder};
use sudare_client_core::evidence::{Area, Picture};
use sudare_client_core::frame::Frame;
use sudare_client_core::presence::Who;

use crate::seat::message::{Person, SeenFace, SeenPicture};

/// Wide enough to see how one sits.
const WIDTH_MAX: u32 = 480;
const QUALITY: u8 = 75;
/// Faces and phones that are told.
const MARKS_MAX: usize = 16;
/// A webcam of 70 degrees shows a face at this share of the picture's width, times metres (`presence/weight.rs`).
const FACE_SHARE_METRES: f32 = 0.108;

/// Shrinks and encodes. Takes a few milliseconds, so call it on a thread that may wait. `None` if it cannot be encoded.
pub fn seen(picture: &Picture) -> Option<SeenPicture> {
    let small = shrink(&picture.frame, WIDTH_MAX)?;
    let side = |side: u32| u16::try_from(side).ok();
    let mut jpeg = Vec::new();
    let encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.encode(&small.rgb, side(small.width)?, side(small.height)?, ColorType::Rgb).ok()?;
    let (faces, phones) = marks(picture);
    Some(SeenPicture { jpeg: STANDARD.encode(jpeg), faces, phones })
}

/// What the models saw in a picture, in shares of it: faces and phones.
pub fn marks(picture: &Picture) -> (Vec<SeenFace>, Vec<Area>) {
    let size = [precise(picture.frame.width), precise(picture.frame.height)];
    let marks = picture.marks.as_deref().unwrap_or_default();
    let faces = marks.iter().filter(|mark| mark.seen).take(MARKS_MAX).map(|mark| {
        let area = share(&mark.area, size);
        SeenFace { area, who: person(mark.who), metres: metres(area[2]) }
    });
    (faces.collect(), picture.phones.iter().take(MARKS_MAX).map(|area| share(area, size)).collect())
}

/// The JPEG of a picture that came over the socket.
pub fn jpeg_of(picture: &SeenPicture) -> Option<Vec<u8>> {
    STANDARD.decode(&picture.jpeg).ok()
}

/// About how far away a face of this share of the width is.
pub fn metres(width_share: f32) -> Option<f32> {
    let metres = FACE_SHARE_METRES / width_share;
    // Written so that what is no number is not told.
    (metres > 0.0 && metres < 10.0).then_some((metres * 10.0).round() / 10.0)
}

fn person(who: Who) -> Person {
    match who {
        Who::Operator => Person::Operator,
        Who::Stranger => Person::Somebody,
        Who::Undecided => Person::Undecided,
    }
}

fn share([x, y, w, h]: &Area, [width, height]: [f32; 2]) -> Area {
    [x / width, y / height, w / width, h / height]
}

/// At most this wide, each pixel the mean of those that it stands for. `None` for a frame that is not what it claims.
pub fn shrink(frame: &Frame, width_max: u32) -> Option<Frame> {
    if !frame.is_consistent() {
        return None;
    }
    let step = usize::try_from(frame.width.div_ceil(width_max.max(1))).ok()?;
    let (width, height) = (usize::try_from(frame.width).ok()?, usize::try_from(frame.height).ok()?);
    let (columns, rows) = (width / step, height / step);
    if columns == 0 || rows == 0 {
        return None;
    }
    let count = u32::try_from(step * step).ok()?;
    let mut rgb = Vec::with_capacity(columns * rows * 3);
    let mut sums = vec![[0u32; 3]; columns];
    for lines in frame.rgb.chunks_exact(width * 3 * step).take(rows) {
        sums.fill([0; 3]);
        for line in lines.chunks_exact(width * 3) {
            for (sum, block) in sums.iter_mut().zip(line.chunks_exact(step * 3)) {
                for pixel in block.chunks_exact(3) {
                    sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(*value));
                }
            }
        }
        rgb.extend(sums.iter().flatten().map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX)));
    }
    let (t_ms, seq) = (frame.t_ms, frame.seq);
    Some(Frame { width: u32::try_from(columns).ok()?, height: u32::try_from(rows).ok()?, rgb, t_ms, seq })
}

/// Picture sides are at most 65,535, which f32 holds exactly.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn precise(side: u32) -> f32 {
    side.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_pictures::picture;
    use sudare_client_core::evidence::Mark;

    #[test]
    fn a_picture_is_shrunk_by_means_and_its_faces_are_shares() {
        let rgb: Vec<u8> = (0..4u8).flat_map(|y| (0..4u8).flat_map(move |x| [x * 10, y * 10, 7])).collect();
        let frame = Frame { width: 4, height: 4, rgb, t_ms: 5, seq: 6 };
        let small = shrink(&frame, 2).unwrap();
        assert_eq!((small.width, small.height, small.rgb.get(..6)), (2, 2, Some(&[5, 5, 7, 25, 5, 7][..])));
        assert_eq!(shrink(&frame, 480).unwrap().rgb, frame.rgb);
        let mut picture = picture(1);
        let face =
            |who, seen| Mark { track: 1, area: [4.0, 8.0, 4.0, 4.0], who, weight: 1.0, cosine: None, seen };
        picture.marks = Some(vec![face(Who::Operator, true), face(Who::Stranger, false)]);
        picture.phones = vec![[0.0, 0.0, 8.0, 16.0]];
        let seen = seen(&picture).unwrap();
        assert_eq!(seen.faces.len(), 1, "a face that is not in this picture is not drawn");
        assert_eq!((seen.faces[0].area, seen.faces[0].who), ([0.25, 0.5, 0.25, 0.25], Person::Operator));
        assert_eq!(seen.phones, [[0.0, 0.0, 0.5, 1.0]]);
        assert_eq!(jpeg_of(&seen).unwrap().get(..2), Some(&[0xff, 0xd8][..]));
    }

    #[test]
    fn what_is_not_what_it_claims_gives_nothing() {
        let frame = Frame { width: 9, height: 9, rgb: Vec::new(), t_ms: 0, seq: 0 };
        assert!(shrink(&frame, 480).is_none());
        let thin = Frame { width: 1_000, height: 1, rgb: vec![0; 3_000], t_ms: 0, seq: 0 };
        assert!(shrink(&thin, 480).is_none());
        assert_eq!(
            (metres(f32::NAN), metres(0.0), metres(-1.0), metres(0.18)),
            (None, None, None, Some(0.6))
        );
    }
}
