//! What happens before the camera, as numbers: who sits there, who else is where and when. Pure, and the same each run.

use super::painter::Light;
use super::sprite::Look;

/// Where the seat is in the picture, and how far.
pub(super) const SEAT: [f32; 2] = [320.0, 235.0];
pub(super) const SEAT_METRES: f32 = 0.6;
/// Pixels of a metre at one metre's distance: a face of 15 cm is 69.1 wide there.
const PX_PER_METRE: f32 = 460.0;

/// Kinds of scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Alone,
    Onlooker2m,
    OnlookerMasked2m,
    Onlooker3m,
    Street,
    SeatedBehind,
    Poster,
    Stranger,
}

impl Class {
    pub const ALL: [Class; 8] = [
        Class::Alone,
        Class::Onlooker2m,
        Class::OnlookerMasked2m,
        Class::Onlooker3m,
        Class::Street,
        Class::SeatedBehind,
        Class::Poster,
        Class::Stranger,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Alone => "alone",
            Class::Onlooker2m => "onlooker_2m",
            Class::OnlookerMasked2m => "onlooker_masked_2m",
            Class::Onlooker3m => "onlooker_3m",
            Class::Street => "street",
            Class::SeatedBehind => "seated_behind",
            Class::Poster => "poster",
            Class::Stranger => "stranger",
        }
    }

    /// Somebody comes once the desktop shows, and must cover it.
    #[must_use]
    pub const fn has_onlooker(self) -> bool {
        matches!(self, Class::Onlooker2m | Class::OnlookerMasked2m | Class::Onlooker3m)
    }
}

/// One scene.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    pub(super) class: Class,
    /// Whose template is known.
    pub(super) operator: usize,
    /// Who sits there.
    pub(super) seated: usize,
    pub(super) light: Light,
    /// How long it lasts; of one with an onlooker, from when the onlooker comes.
    pub(super) seconds: f64,
    pub(super) others: Vec<Other>,
    /// Makes noise and delays differ.
    pub(super) seed: u64,
}

/// Somebody else, or a poster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Other {
    pub(super) who: usize,
    pub(super) metres: f32,
    /// Eyes above the camera, in metres.
    pub(super) above: f32,
    /// Seconds and the middle's place across; in between it moves evenly, before and after nobody is there.
    pub(super) walk: Vec<[f64; 2]>,
    /// From these seconds on, the head is turned by so many degrees.
    pub(super) turns: Vec<(f64, i32)>,
    pub(super) mask: Option<u8>,
    pub(super) poster: bool,
}

/// Where somebody is at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stand {
    pub(super) at: [f32; 2],
    pub(super) look: Look,
}

impl Other {
    /// Where they are at this time of the scene, if they are there.
    #[must_use]
    pub(super) fn stand(&self, seconds: f64) -> Option<Stand> {
        let across = self.walk.windows(2).find_map(|pair| match pair {
            [[from, a], [to, b]] if (*from..=*to).contains(&seconds) => {
                Some(a + (b - a) * (seconds - from) / (to - from).max(1e-9))
            }
            _ => None,
        })?;
        let turned = self.turns.iter().take_while(|(from, _)| *from <= seconds).last();
        let yaw_deg = turned.map_or(0, |(_, degrees)| *degrees);
        let look = Look { yaw_deg, mask: self.mask, poster: self.poster, ..Look::at(self.metres) };
        #[allow(clippy::cast_possible_truncation, reason = "pixels")]
        let at = [across as f32, SEAT[1] - PX_PER_METRE * self.above / self.metres];
        Some(Stand { at, look })
    }
}

/// What a person wears.
#[must_use]
pub(super) fn clothes(who: usize) -> [u8; 3] {
    const COLOURS: [[u8; 3]; 6] =
        [[52, 60, 84], [110, 112, 118], [88, 46, 50], [196, 192, 184], [48, 78, 66], [36, 36, 40]];
    COLOURS.get(who % COLOURS.len()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_walk_evenly_and_are_there_only_while_they_walk() {
        let walk = vec![[1.0, -40.0], [1.5, 110.0], [4.0, 110.0]];
        let turns = vec![(0.0, 45), (2.0, 0)];
        let other = Other { who: 1, metres: 2.0, above: 0.35, walk, turns, mask: None, poster: false };
        assert_eq!((other.stand(0.9), other.stand(4.1)), (None, None));
        let at = |seconds: f64| other.stand(seconds).unwrap();
        assert_eq!((at(1.25).at[0], at(3.0).at[0]), (35.0, 110.0));
        assert_eq!(at(3.0).at[1], 235.0 - 80.5);
        assert_eq!((at(1.5).look.yaw_deg, at(2.5).look.yaw_deg), (45, 0));
    }
}
