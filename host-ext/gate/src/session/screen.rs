//! What the cover shows: carries out the guard's wishes, and paints them.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_guard::screen::CoverText;
use sudare_relay::error::Broken;
use sudare_relay::{Live, Shown, Size, Tile};

use super::painter::{Drawn, Painter, Words};
use super::tiles;
use super::wishes::Step;

/// The cover of one session.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) painter: Painter,
    size: Option<Size>,
    text: CoverText,
    light: Light,
    /// The panel with the newest words that were drawn.
    panel: Vec<Tile>,
}

/// What surrounds the panel.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Light {
    /// Black since the cover began.
    #[default]
    Never,
    /// Of this colour, which is black again when the light went out.
    Colour([u8; 3]),
}

impl Screen {
    /// Does one thing that the guard wants.
    pub(super) fn apply(&mut self, step: Step, live: &mut Live, now_ms: u64) -> Result<(), Broken> {
        match step {
            Step::Screenshot(ticket) => live.record(ticket, now_ms)?,
            Step::Cover(text) => {
                if live.shown() == Shown::Visible {
                    tracing::debug!(boot_ms = now_ms, "covers");
                    // All that was painted on the last cover is under the desktop now.
                    self.forget();
                }
                live.cover(now_ms)?;
                if self.text != text || self.panel.is_empty() {
                    self.text = text;
                    self.ask();
                }
            }
            Step::Light(rgb) => {
                self.light = match (self.light, rgb) {
                    (Light::Never, None) => Light::Never,
                    (_, rgb) => Light::Colour(rgb.unwrap_or_default()),
                };
                self.paint(live);
            }
            Step::Uncover => {
                // What a cover held is never more than in this moment.
                tracing::debug!(boot_ms = now_ms, held_bytes = live.held_bytes(), "uncovers");
                self.forget();
                self.text = CoverText::default();
                live.uncover(now_ms)?;
            }
        }
        Ok(())
    }

    /// The screen has this size now, and is black.
    pub(super) fn resized(&mut self, size: Size) {
        self.size = Some(size);
        self.forget();
        self.ask();
    }

    /// Takes a drawing, unless the guard wants other words by now.
    pub(super) fn drawn(&mut self, drawn: Drawn, live: &mut Live) {
        let Drawn { words: Words { text, size }, tiles } = drawn;
        if text == self.text && Some(size) == self.size && live.shown() == Shown::Covered {
            self.panel = tiles;
            self.paint(live);
        }
    }

    fn forget(&mut self) {
        self.light = Light::Never;
        self.panel.clear();
    }

    fn ask(&mut self) {
        if let Some(size) = self.size {
            self.painter.ask(Words { text: self.text.clone(), size });
        }
    }

    /// Paints all of it, since what was not taken yet is replaced. Light comes first, to be seen at once.
    fn paint(&self, live: &mut Live) {
        let Some(size) = self.size else { return };
        let light = match self.light {
            Light::Never => Vec::new(),
            Light::Colour(rgb) => tiles::border(size, rgb),
        };
        let tiles: Vec<Tile> = light.into_iter().chain(self.panel.iter().cloned()).collect();
        if !live.paint(&tiles) {
            tracing::debug!("the cover could not be painted on; it stays black");
        }
    }
}
