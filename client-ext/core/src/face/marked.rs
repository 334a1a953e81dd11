//! Regions of the camera's picture that the operator marked at enrolment as "not a person": posters, televisions. Pure.
//!
//! A face that lies wholly inside of one is part of the room: it neither covers nor keeps a cover, and it is never the
//! operator. Whoever leans out of it, or stands before it and is larger, is seen as ever. Regions are bounded: a quarter
//! of the picture in all, and none near the seat.

use sudare_protocol::limits::REGIONS_MAX;
use sudare_protocol::template::Region;
use thiserror::Error;

use crate::evidence::Area;

/// Around the face that is enrolled, this many times its box stays free of marks.
const SEAT_TIMES: f32 = 2.0;
/// Boxes of the same face vary by a part of their width; a region reaches this much farther on each side.
const MARGIN: f32 = 0.25;

/// Why a region cannot be marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MarkError {
    #[error("a region is four numbers from 0 to 1, left, top, width and height, such as 0.7,0.05,0.2,0.25")]
    Malformed,
    #[error(
        "at most {REGIONS_MAX} regions and a quarter of the picture can be marked in all, and nothing outside of it. Mark less, or turn the camera so that the poster or the television is not in view"
    )]
    TooMuch,
    #[error(
        "a marked region reaches the seat: it must stay clear of twice the box of the face that is enrolled. Mark less, or turn the camera; if these pictures are of another camera, enrol with --clip from the one at the seat"
    )]
    Seat,
}

/// What the operators of this seat marked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked(Vec<Region>);

impl Marked {
    /// Several operators together get no more than one alone: as many of their regions as fit the bounds.
    #[must_use]
    pub fn of(regions: impl IntoIterator<Item = Region>) -> Self {
        let mut kept: Vec<Region> = Vec::new();
        for region in regions {
            kept.push(region);
            if !Region::are_acceptable(&kept) {
                kept.pop();
            }
        }
        Marked(kept)
    }

    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.0
    }

    /// Whether a face at this place, in a picture of this size, lies wholly inside of one region.
    #[must_use]
    pub fn hides(&self, [x, y, w, h]: &Area, [width, height]: [f32; 2]) -> bool {
        // Written so that a value that is no number is never hidden.
        let holds = |region: &Region| {
            let [left, top, right, bottom] = edges(region);
            *x >= left * width
                && *y >= top * height
                && x + w <= right * width
                && y + h <= bottom * height
                && *w > 0.0
                && *h > 0.0
        };
        self.0.iter().any(holds)
    }
}

/// A region from shares of the picture.
///
/// # Errors
/// It is none, or reaches outside.
pub fn region([x, y, w, h]: Area) -> Result<Region, MarkError> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 1000")]
    let thousandths = |share: f32| (share * 1000.0).round() as u16;
    let number =
        |share: f32| (0.0..=1.0).contains(&share).then(|| thousandths(share)).ok_or(MarkError::Malformed);
    let region = Region { left: number(x)?, top: number(y)?, width: number(w)?, height: number(h)? };
    if region.width == 0 || region.height == 0 {
        return Err(MarkError::Malformed);
    }
    if Region::are_acceptable(&[region]) { Ok(region) } else { Err(MarkError::TooMuch) }
}

/// The region around a face that never moved, given in shares of the picture; cut off at the picture's edges.
///
/// # Errors
/// It is too large to be marked.
pub fn around([x, y, w, h]: &Area) -> Result<Region, MarkError> {
    let (left, right) = ((x - w * MARGIN).clamp(0.0, 1.0), (x + w * (1.0 + MARGIN)).clamp(0.0, 1.0));
    let (top, bottom) = ((y - h * MARGIN).clamp(0.0, 1.0), (y + h * (1.0 + MARGIN)).clamp(0.0, 1.0));
    // Whole thousandths first, so that left and width together are within the picture.
    let [left, top, right, bottom] = [left, top, right, bottom].map(|share| (share * 1000.0).round());
    region([left, top, right - left, bottom - top].map(|thousandths| thousandths / 1000.0))
}

/// Checks the regions of one operator against the places of the faces that are enrolled, in shares of the picture.
///
/// # Errors
/// Too much is marked, or something near the seat.
pub fn check(regions: &[Region], seats: &[Area]) -> Result<(), MarkError> {
    if !Region::are_acceptable(regions) {
        return Err(MarkError::TooMuch);
    }
    let near = |seat: &Area| regions.iter().any(|region| !is_clear_of(region, seat));
    if seats.iter().any(near) { Err(MarkError::Seat) } else { Ok(()) }
}

/// Written so that a place that is no number is never clear.
fn is_clear_of(region: &Region, [x, y, w, h]: &Area) -> bool {
    let [left, top, right, bottom] = edges(region);
    let (more_x, more_y) = (w * (SEAT_TIMES - 1.0) / 2.0, h * (SEAT_TIMES - 1.0) / 2.0);
    right <= x - more_x || left >= x + w + more_x || bottom <= y - more_y || top >= y + h + more_y
}

/// Left, top, right and bottom in shares.
fn edges(region: &Region) -> [f32; 4] {
    let share = |thousandths: u16| f32::from(thousandths) / 1000.0;
    let Region { left, top, width, height } = *region;
    [share(left), share(top), share(left.saturating_add(width)), share(top.saturating_add(height))]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f32; 2] = [640.0, 480.0];

    fn marked(regions: &[Area]) -> Marked {
        Marked::of(regions.iter().map(|area| region(*area).unwrap()))
    }

    #[test]
    fn only_a_face_wholly_inside_is_hidden() {
        // 448 to 576 across, 24 to 144 down.
        let marked = marked(&[[0.7, 0.05, 0.2, 0.25]]);
        for (face, hidden) in [
            ([460.0, 40.0, 60.0, 80.0], true),
            ([448.0, 24.0, 128.0, 120.0], true),
            ([440.0, 40.0, 60.0, 80.0], false),
            ([460.0, 40.0, 60.0, 105.0], false),
            ([540.0, 40.0, 60.0, 80.0], false),
            ([100.0, 100.0, 60.0, 80.0], false),
            ([300.0, 0.0, 340.0, 400.0], false),
            ([f32::NAN, 40.0, 60.0, 80.0], false),
            ([460.0, 40.0, f32::NAN, 80.0], false),
            ([460.0, 40.0, 0.0, 0.0], false),
        ] {
            assert_eq!(marked.hides(&face, SIZE), hidden, "{face:?}");
        }
        assert!(!marked.hides(&[460.0, 40.0, 60.0, 80.0], [f32::NAN, 480.0]));
        assert!(!Marked::default().hides(&[460.0, 40.0, 60.0, 80.0], SIZE));
    }

    #[test]
    fn what_may_be_marked() {
        let seat = [0.4, 0.3, 0.2, 0.3];
        let cases: [(&[Area], Option<MarkError>); 8] = [
            (&[], None),
            (&[[0.75, 0.0, 0.25, 0.4]], None),
            (&[[0.0, 0.0, 0.25, 0.5], [0.75, 0.0, 0.25, 0.5]], None),
            (&[[0.0, 0.0, 0.25, 0.5], [0.75, 0.0, 0.25, 0.51]], Some(MarkError::TooMuch)),
            (&[[0.0, 0.0, 0.1, 0.1]; REGIONS_MAX + 1], Some(MarkError::TooMuch)),
            // Twice the box is 0.3 to 0.7 across and 0.15 to 0.75 down.
            (&[[0.1, 0.2, 0.2, 0.2]], None),
            (&[[0.1, 0.2, 0.21, 0.2]], Some(MarkError::Seat)),
            (&[[0.45, 0.4, 0.05, 0.05]], Some(MarkError::Seat)),
        ];
        for (areas, error) in cases {
            let regions: Vec<Region> = areas.iter().map(|area| region(*area).unwrap()).collect();
            assert_eq!(check(&regions, &[[0.4, 0.35, 0.2, 0.2], seat]).err(), error, "{areas:?}");
        }
        let one = [region([0.0, 0.0, 0.1, 0.1]).unwrap()];
        assert_eq!(check(&one, &[[f32::NAN; 4]]), Err(MarkError::Seat));
    }

    #[test]
    fn nonsense_is_no_region() {
        for (area, error) in [
            ([-0.1, 0.0, 0.1, 0.1], MarkError::Malformed),
            ([0.0, 0.0, 0.0, 0.1], MarkError::Malformed),
            ([0.0, 0.0, 0.0001, 0.1], MarkError::Malformed),
            ([0.0, f32::NAN, 0.1, 0.1], MarkError::Malformed),
            ([0.0, 0.0, f32::INFINITY, 0.1], MarkError::Malformed),
            ([0.95, 0.0, 0.1, 0.1], MarkError::TooMuch),
            ([0.0, 0.0, 1.0, 1.0], MarkError::TooMuch),
        ] {
            assert_eq!(region(area), Err(error), "{area:?}");
        }
    }

    #[test]
    fn a_region_around_a_face_holds_it_and_ends_with_the_picture() {
        for face in [[0.7, 0.1, 0.1, 0.15], [0.9, 0.0, 0.1, 0.2], [0.995, 0.7, 0.005, 0.3]] {
            let around = around(&face).unwrap();
            let hidden = Marked::of([around]).hides(&face.map(|share| share * 1000.0), [1000.0, 1000.0]);
            assert!(hidden, "{face:?}: {around:?}");
        }
        assert_eq!(around(&[0.1, 0.1, 0.8, 0.8]), Err(MarkError::TooMuch));
        assert!(around(&[f32::NAN; 4]).is_err());
    }

    #[test]
    fn several_operators_get_no_more_than_one() {
        let many = marked(&[[0.0, 0.0, 0.1, 0.1]; 3]);
        assert_eq!(Marked::of([many.0.clone(), many.0.clone()].concat()).regions().len(), REGIONS_MAX);
        let large = region([0.0, 0.0, 0.4, 0.5]).unwrap();
        assert_eq!(Marked::of([large, large, many.0[0]]).regions(), [large, many.0[0]]);
    }
}
