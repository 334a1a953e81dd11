//! What a display wants done, by the parts at its edge: [`super::Parts`].

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_blanker::wire::{Rect, Request};

use crate::screen::CoverText;

/// Done in the order in which they were wanted.
#[derive(Debug)]
pub(super) enum Effect {
    Blanker(Request),
    /// Start a blanker. With `end_old`, the old one hangs and is ended first, so that it does not keep
    /// the server. Otherwise it is left alone: one that lost its connection to the X server holds the
    /// overlay black until the new one has covered, and then ends by itself.
    StartBlanker {
        end_old: bool,
    },
    /// The same with the old one, and start none for now.
    RestBlanker {
        end_old: bool,
    },
    Open,
    Write(Vec<u8>),
    CloseChannel,
    /// Draw these words for this layout, and paint them.
    Words {
        layout: u32,
        monitors: Vec<Rect>,
        text: CoverText,
    },
    /// Tell the supervisor that the cover for this sign-in is on the screen.
    SignInCovered(u64),
    /// Have the supervisor end the client's connection.
    Disconnect(String),
}
