//! How much a look at a face can tell: a blurred, dark, tiny or averted face looks like nobody. Pure.

/// What was measured of one face, besides whose it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Width of its box in the picture.
    pub size_px: f32,
    /// Of the detector, 0 to 1.
    pub score: f32,
    pub yaw_deg: f32,
    /// Fine detail over contrast, of the aligned face: see `sharpness` in `sudare-vision`.
    pub sharp: f32,
    /// Mean brightness of the aligned face, 0 to 255.
    pub light: f32,
}

/// What a comparison of such a face is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing, whatever comes out.
    Poor,
    /// It may speak for the operator. That it does not speak for anybody means nothing.
    Usable,
    /// It may also say that somebody is not the operator.
    Good,
}

struct Needed {
    size_px: f32,
    score: f32,
    yaw_deg: f32,
    sharp: f32,
    light: [f32; 2],
}

/// A face of 120 pixels with a blur that spreads over 2 has 0.003 to 0.01. On such faces of 20 people the operator's mean
/// was 0.70 and more, and no stranger's above 0.50, which is no more than in focus: blur makes nobody more alike.
const USABLE: Needed =
    Needed { size_px: 24.0, score: 0.6, yaw_deg: 50.0, sharp: 0.002, light: [10.0, 250.0] };
const GOOD: Needed = Needed { size_px: 48.0, score: 0.9, yaw_deg: 25.0, sharp: 0.03, light: GOOD_LIGHT };

/// The mean brightness of a well-lit face, 0 to 255. In less light a camera's noise counts as fine detail: with 0.3 of it
/// faces in focus have 0.22 instead of 0.06, and those out of focus 0.12. So nobody is a stranger by looks of which it
/// cannot be told whether they are sharp.
pub const GOOD_LIGHT: [f32; 2] = [60.0, 230.0];

impl Quality {
    #[must_use]
    pub fn grade(&self) -> Grade {
        if self.meets(&GOOD) {
            Grade::Good
        } else if self.meets(&USABLE) {
            Grade::Usable
        } else {
            Grade::Poor
        }
    }

    /// Written so that a value that is no number never meets anything.
    fn meets(&self, needed: &Needed) -> bool {
        let [dark, bright] = needed.light;
        self.size_px >= needed.size_px
            && self.score >= needed.score
            && self.yaw_deg.abs() <= needed.yaw_deg
            && self.sharp >= needed.sharp
            && (dark..=bright).contains(&self.light)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTRAIT: Quality =
        Quality { size_px: 110.0, score: 0.94, yaw_deg: 3.0, sharp: 0.09, light: 120.0 };

    #[test]
    fn what_spoils_a_look_lowers_its_grade() {
        assert_eq!(PORTRAIT.grade(), Grade::Good);
        for usable in [
            Quality { size_px: 34.0, ..PORTRAIT },
            Quality { score: 0.7, ..PORTRAIT },
            Quality { yaw_deg: -40.0, ..PORTRAIT },
            Quality { sharp: 0.01, ..PORTRAIT },
            Quality { light: 20.0, ..PORTRAIT },
            // However much detail: it may be noise.
            Quality { light: 45.0, sharp: 0.2, ..PORTRAIT },
            // Out of focus.
            Quality { sharp: 0.004, ..PORTRAIT },
        ] {
            assert_eq!(usable.grade(), Grade::Usable, "{usable:?}");
        }
        for poor in [
            Quality { size_px: 12.0, ..PORTRAIT },
            Quality { yaw_deg: 70.0, ..PORTRAIT },
            Quality { sharp: 0.001, ..PORTRAIT },
            Quality { light: 4.0, ..PORTRAIT },
            Quality { light: f32::NAN, ..PORTRAIT },
            Quality { sharp: f32::NAN, ..PORTRAIT },
        ] {
            assert_eq!(poor.grade(), Grade::Poor, "{poor:?}");
        }
    }
}
