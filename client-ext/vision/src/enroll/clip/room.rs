//! Faces of the room, seen during the clip: those that never moved may be marked as "not a person".

use sudare_client_core::attention::WHOLE;
use sudare_client_core::evidence::Area;
use sudare_client_core::face::iou;
use sudare_client_core::face::marked;
use sudare_client_core::face::still::Stillness;
use sudare_protocol::template::Region;

/// Places that are followed; a room has a few pictures on its walls.
const PLACES_MAX: usize = 16;
/// A face that overlaps a place by this much is in it.
const SAME_PLACE_IOU: f32 = 0.5;
/// A face must have been seen in so many pictures.
const SIGHTINGS_MIN: u32 = 20;

/// Where faces were, and whether they moved.
#[derive(Debug, Default)]
pub(super) struct Room(Vec<Place>);

#[derive(Debug)]
struct Place {
    /// In shares of the picture.
    area: Area,
    stillness: Stillness,
    sightings: u32,
}

impl Room {
    /// Takes the places of all faces of a picture of this size.
    pub(super) fn see(&mut self, t_ms: u64, [width, height]: [f32; 2], places: &[Area]) {
        for area in places {
            let known = self.0.iter().position(|place| iou(&place.area, area) >= SAME_PLACE_IOU);
            let at = known.unwrap_or(self.0.len());
            if known.is_none() && self.0.len() < PLACES_MAX {
                let stillness = Stillness::default();
                self.0.push(Place { area: *area, stillness, sightings: 0 });
            }
            let Some(place) = self.0.get_mut(at) else { continue };
            let [x, y, w, h] = area;
            place.stillness.see(t_ms, WHOLE, &[x * width, y * height, w * width, h * height]);
            place.sightings += 1;
        }
    }

    /// Regions around faces that never moved: as many as can be marked beside those that are, and none near the seat.
    pub(super) fn still(&self, marked: &[Region], seats: &[Area]) -> Vec<Region> {
        let mut regions = marked.to_vec();
        for place in self.0.iter().filter(|p| p.stillness.is_still() && p.sightings >= SIGHTINGS_MIN) {
            let Ok(region) = marked::around(&place.area) else { continue };
            regions.push(region);
            if marked::check(&regions, seats).is_err() {
                regions.pop();
            }
        }
        regions.split_off(marked.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f32; 2] = [640.0, 480.0];
    const POSTER: Area = [0.75, 0.1, 0.08, 0.12];
    const SEAT: Area = [0.4, 0.4, 0.2, 0.3];

    /// Twelve seconds of a room in which the person sways, and these faces hang or walk.
    fn room(others: impl Fn(u16) -> Vec<Area>) -> Room {
        let mut room = Room::default();
        for i in 0..60_u16 {
            let sway = f32::from(i % 7) / 640.0;
            let mut places = vec![[SEAT[0] + sway, SEAT[1], SEAT[2], SEAT[3]]];
            places.extend(others(i));
            room.see(u64::from(i) * 200, SIZE, &places);
        }
        room
    }

    #[test]
    fn only_what_never_moved_is_proposed_and_nothing_near_the_seat() {
        let poster = room(|_| vec![POSTER]);
        let still = poster.still(&[], &[SEAT]);
        assert_eq!(still, [marked::around(&POSTER).unwrap()]);
        assert!(poster.still(&still, &[SEAT]).len() <= 1);
        let walker = room(|i| vec![[f32::from(i) / 100.0, 0.1, 0.08, 0.12]]);
        assert_eq!(walker.still(&[], &[SEAT]), []);
        let beside = room(|_| vec![[0.62, 0.5, 0.08, 0.12]]);
        assert_eq!(beside.still(&[], &[SEAT]), []);
        let glimpse = room(|i| if i < 10 { vec![POSTER] } else { Vec::new() });
        assert_eq!(glimpse.still(&[], &[SEAT]), []);
    }

    #[test]
    fn a_gallery_is_bounded() {
        let gallery = room(|_| (0..40_u16).map(|i| [f32::from(i) / 40.0, 0.02, 0.02, 0.03]).collect());
        assert!(gallery.0.len() <= PLACES_MAX);
        assert!(gallery.still(&[], &[SEAT]).len() <= 4);
    }
}
