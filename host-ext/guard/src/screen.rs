//! What is on a screen, whoever shows it: the words of a cover, and a picture of the desktop.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::fmt;
use std::sync::Arc;

/// The words on a cover, in Japanese and English.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoverText {
    /// The first line is the headline. Without any line the cover stays black.
    pub lines: Vec<String>,
}

/// The picture of a screen at one moment.
#[derive(Clone)]
pub struct Screenshot {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// `width * height` pixels, top row first: blue, green, red, and a fourth byte without meaning.
    pub bgra: Arc<[u8]>,
}

// It shows confidential data, so it must not reach a log by habit.
impl fmt::Debug for Screenshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Screenshot({}x{})", self.width, self.height)
    }
}
