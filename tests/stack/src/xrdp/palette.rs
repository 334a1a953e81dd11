//! Colours that tell, in a picture of the client's screen, whose pixels these are.
//!
//! Each is far from the others, from black, and from the greys and blues of xrdp's own windows, so
//! that a lossy codec cannot turn one into another.

pub type Rgb = [u8; 3];

/// What is behind xfreerdp's window: the client shows nothing here.
pub const BACKDROP: Rgb = [255, 0, 170];
/// The user's desktop, in stripes.
pub const DESKTOP: [Rgb; 3] = [[200, 40, 40], [40, 160, 60], [230, 190, 30]];
/// What moves on the desktop.
pub const MOVING: Rgb = [120, 50, 200];
/// What programs of the user draw that want to be seen before, or above, the cover.
pub const HOSTILE: [Rgb; 2] = [[255, 120, 0], [0, 255, 200]];
/// How far each part of a colour may be off.
const TOLERANCE: u8 = 14;

/// Whose a pixel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Backdrop,
    Black,
    Desktop,
    Moving,
    Hostile,
    /// The words of a cover, a log-on window, a mouse pointer.
    Other,
}

pub fn owner(pixel: Rgb) -> Owner {
    if pixel.iter().all(|part| *part <= TOLERANCE) {
        return Owner::Black;
    }
    let is_one_of = |colours: &[Rgb]| colours.iter().any(|colour| is_near(pixel, *colour));
    if is_one_of(&DESKTOP) {
        Owner::Desktop
    } else if is_one_of(&HOSTILE) {
        Owner::Hostile
    } else if is_near(pixel, MOVING) {
        Owner::Moving
    } else if is_near(pixel, BACKDROP) {
        Owner::Backdrop
    } else {
        Owner::Other
    }
}

/// As X wants it for a window of 24 bits.
pub const fn pixel_value([red, green, blue]: Rgb) -> u32 {
    u32::from_be_bytes([0, red, green, blue])
}

fn is_near(a: Rgb, b: Rgb) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_colour_is_taken_for_another_owner() {
        for (colours, expected) in [
            (&DESKTOP[..], Owner::Desktop),
            (&[MOVING][..], Owner::Moving),
            (&HOSTILE[..], Owner::Hostile),
            (&[BACKDROP][..], Owner::Backdrop),
            (&[[0, 0, 0]][..], Owner::Black),
            // xrdp's log-on window and the words of our cover.
            (&[[0xde, 0xde, 0xde], [0, 0x9c, 0xb5], [255, 255, 255], [128, 128, 128]][..], Owner::Other),
        ] {
            for colour in colours {
                for (channel, by) in [(0, 10), (1, 10), (2, 10), (0, 0)] {
                    let mut off: Rgb = *colour;
                    off[channel] = off[channel].saturating_add(by);
                    assert_eq!(owner(off), expected, "{off:?}");
                }
            }
        }
    }
}
