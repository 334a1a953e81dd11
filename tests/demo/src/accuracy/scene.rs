//! What happens before the camera, as numbers: who sits there, who else is where and when. Pure, and the same each run.

use super::costume::Cover;
use super::lens_cover::LensCover;
use super::painter::Light;
use super::raise::Raise;
use super::sprite::{Look, Medium};

/// Where the seat is in the picture, and how far.
pub(super) const SEAT: [f32; 2] = [320.0, 235.0];
pub(super) const SEAT_METRES: f32 = 0.6;
/// Pixels of a metre at one metre's distance: a face of 15 cm is 69.1 wide there.
pub(super) const PX_PER_METRE: f32 = 460.0;

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
    Tv,
    Habits,
    Stranger,
    Lens,
    Print,
    Film,
    Phone,
    PhoneBeforeFace,
}

impl Class {
    pub const ALL: [Class; 15] = [
        Class::Alone,
        Class::Onlooker2m,
        Class::OnlookerMasked2m,
        Class::Onlooker3m,
        Class::Street,
        Class::SeatedBehind,
        Class::Poster,
        Class::Tv,
        Class::Habits,
        Class::Stranger,
        Class::Lens,
        Class::Print,
        Class::Film,
        Class::Phone,
        Class::PhoneBeforeFace,
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
            Class::Tv => "tv",
            Class::Habits => "habits",
            Class::Stranger => "stranger",
            Class::Lens => "lens",
            Class::Print => "print",
            Class::Film => "replay",
            Class::Phone => "phone",
            Class::PhoneBeforeFace => "phone_before_face",
        }
    }

    /// Somebody comes once the desktop shows, and must cover it.
    #[must_use]
    pub const fn has_onlooker(self) -> bool {
        matches!(self, Class::Onlooker2m | Class::OnlookerMasked2m | Class::Onlooker3m)
    }
}

impl Class {
    /// The scene begins once the desktop shows.
    #[must_use]
    pub(super) const fn waits(self) -> bool {
        self.has_onlooker() || self.raises_phone() || matches!(self, Class::Lens)
    }

    /// Somebody raises a phone once the desktop shows: played only where something looks for phones.
    #[must_use]
    pub(super) const fn raises_phone(self) -> bool {
        matches!(self, Class::Phone | Class::PhoneBeforeFace)
    }

    /// The plain rule has something to say about it: it counts faces.
    #[must_use]
    pub(super) const fn has_plain(self) -> bool {
        !(self.raises_phone() || matches!(self, Class::Stranger | Class::Lens | Class::Print | Class::Film))
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
    pub(super) seat: Seat,
    /// What lies over the lens from the beginning of the scene on.
    pub(super) lens: Option<LensCover>,
    /// The phone that somebody raises.
    pub(super) raise: Option<Raise>,
    /// Makes noise and delays differ.
    pub(super) seed: u64,
}

/// What the seated one does, or what is held up there instead.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Seat {
    /// From, until, in seconds.
    pub(super) habits: Vec<(f64, f64, Habit)>,
    pub(super) medium: Medium,
}

/// Something that people do before a screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Habit {
    /// By so many degrees.
    Turns(i32),
    Covers(Cover),
}

impl Seat {
    /// How the one in the seat shows at this time of the scene.
    #[must_use]
    pub(super) fn look(&self, seconds: f64) -> Look {
        let mut look = Look { medium: self.medium, ..Look::at(SEAT_METRES) };
        for (_, _, habit) in self.habits.iter().filter(|(from, to, _)| (*from..*to).contains(&seconds)) {
            match habit {
                Habit::Turns(degrees) => look.yaw_deg = *degrees,
                Habit::Covers(cover) => look.cover = Some(*cover),
            }
        }
        look
    }

    /// Where: hands that hold something up are never still.
    #[must_use]
    pub(super) fn at(&self, seconds: f64) -> [f32; 2] {
        if self.medium == Medium::Person {
            return SEAT;
        }
        #[allow(clippy::cast_possible_truncation, reason = "pixels")]
        let sways = |per_s: f64, px: f64| ((seconds * per_s).sin() * px) as f32;
        [SEAT[0] + sways(1.9, 5.0) + sways(5.3, 1.5), SEAT[1] + sways(1.3, 4.0) + sways(4.7, 1.0)]
    }
}

/// Somebody else, or a poster, or a television.
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
    pub(super) cover: Option<Cover>,
    pub(super) medium: Medium,
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
        let look = Look { yaw_deg, cover: self.cover, medium: self.medium, ..Look::at(self.metres) };
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
    fn the_seated_one_does_one_thing_after_the_other() {
        let habits = vec![(1.0, 2.0, Habit::Turns(45)), (1.5, 3.0, Habit::Covers(Cover::Mug))];
        let seat = Seat { habits, ..Seat::default() };
        let shows = |seconds| (seat.look(seconds).yaw_deg, seat.look(seconds).cover);
        assert_eq!(
            [0.5, 1.2, 1.7, 2.5].map(shows),
            [(0, None), (45, None), (45, Some(Cover::Mug)), (0, Some(Cover::Mug))]
        );
        assert_eq!(seat.at(3.0), SEAT);
        let held = Seat { medium: Medium::Print, ..Seat::default() };
        assert_ne!(held.at(1.0), held.at(1.5));
    }

    #[test]
    fn people_walk_evenly_and_are_there_only_while_they_walk() {
        let walk = vec![[1.0, -40.0], [1.5, 110.0], [4.0, 110.0]];
        let turns = vec![(0.0, 45), (2.0, 0)];
        let other =
            Other { who: 1, metres: 2.0, above: 0.35, walk, turns, cover: None, medium: Medium::Person };
        assert_eq!((other.stand(0.9), other.stand(4.1)), (None, None));
        let at = |seconds: f64| other.stand(seconds).unwrap();
        assert_eq!((at(1.25).at[0], at(3.0).at[0]), (35.0, 110.0));
        assert_eq!(at(3.0).at[1], 235.0 - 80.5);
        assert_eq!((at(1.5).look.yaw_deg, at(2.5).look.yaw_deg), (45, 0));
    }
}
