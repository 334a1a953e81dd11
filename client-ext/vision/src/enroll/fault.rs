//! What is wrong with a picture, in words that say what to do.

use std::collections::BTreeMap;
use std::fmt;

use super::{MAX_YAW_DEG, MIN_FACE_WIDTH_PX};

/// Why a picture cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It shows nobody.
    NoFace,
    /// It shows more than one person.
    SeveralFaces { count: usize },
    /// The face is too far away.
    TooSmall { width_px: u32 },
    /// The face looks away.
    Turned { yaw_deg: i32 },
    /// The head is tilted, or the picture lies on its side or its head.
    Tilted { roll_deg: i32 },
    /// There is too little detail.
    Blurred,
    /// The light is too weak.
    Dark,
    /// The light is too strong.
    Bright,
    /// Nose and cheeks do not have the colour of the skin above them.
    Covered,
}

impl Fault {
    /// The whole sentence about this picture.
    #[must_use]
    pub fn of(&self, picture: &str) -> String {
        match self {
            Fault::NoFace => {
                format!("{picture} shows no face. Take a picture with the face in the middle, in good light")
            }
            Fault::SeveralFaces { count } => format!(
                "{picture} shows {count} faces. Take another picture with nobody but the operator, or crop this one"
            ),
            Fault::TooSmall { width_px } => format!(
                "the face in {picture} is {width_px} pixels wide, but at least {MIN_FACE_WIDTH_PX} are needed. Sit nearer to the camera, or use a larger picture"
            ),
            Fault::Turned { yaw_deg } => format!(
                "the face in {picture} is turned by {yaw_deg} degrees, but at most {MAX_YAW_DEG} are allowed. Look into the camera"
            ),
            Fault::Tilted { roll_deg } => format!(
                "the face in {picture} is tilted by {roll_deg} degrees. Keep the head upright, or turn the picture if it lies on its side"
            ),
            Fault::Blurred => format!(
                "the face in {picture} is blurred. Keep still, clean the lens, and sit where the camera is in focus"
            ),
            Fault::Dark => format!("the face in {picture} is too dark. Turn on a light in front of you"),
            Fault::Bright => {
                format!("the face in {picture} is too bright. Turn away from the lamp or the window")
            }
            Fault::Covered => format!(
                "the face in {picture} is covered. Take off mask and scarf, take the hand away, and let the light fall on the face from the front"
            ),
        }
    }

    /// The same in a few words in both languages, for somebody who sits before the camera now.
    #[must_use]
    pub const fn in_short(&self) -> [&'static str; 2] {
        match self {
            Fault::NoFace => ["顔が見えません", "no face"],
            Fault::SeveralFaces { .. } => ["ほかの顔が見えます", "several faces"],
            Fault::TooSmall { .. } => ["遠すぎます", "too far away"],
            Fault::Turned { .. } => ["横を向きすぎています", "turned too far"],
            Fault::Tilted { .. } => ["顔が傾いています", "tilted"],
            Fault::Blurred => ["ぼやけています", "blurred"],
            Fault::Dark => ["暗すぎます", "too dark"],
            Fault::Bright => ["明るすぎます", "too bright"],
            Fault::Covered => ["顔が隠れています", "covered"],
        }
    }
}

/// How often a clip had which fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    pub(super) fn add(&mut self, fault: &Fault) {
        let [_, english] = fault.in_short();
        *self.0.entry(english).or_default() += 1;
    }
}

/// The commonest first.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<(&str, u32)> = self.0.iter().map(|(name, count)| (*name, *count)).collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        if counts.is_empty() {
            return f.write_str("none refused");
        }
        let words: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_names_the_commonest_first() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "none refused");
        for fault in [Fault::Dark, Fault::Turned { yaw_deg: 50 }, Fault::Turned { yaw_deg: -60 }] {
            tally.add(&fault);
        }
        assert_eq!(tally.to_string(), "2 turned too far, 1 too dark");
    }
}
