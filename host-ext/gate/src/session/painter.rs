//! Draws the words of the cover, beside the session's loop.
//!
//! Fonts take up to 20 MB. With a process for each connection they cannot stay in memory, so a drawing loads them,
//! uses them and drops them, on a thread that may block. Meanwhile the screen is black, which is never late.

use sudare_guard::cover::{self, fonts::Fonts};
use sudare_guard::screen::CoverText;
use sudare_relay::{Size, Tile};
use tokio::task::JoinHandle;

use super::tiles;

/// Words for a screen of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) text: CoverText,
    pub(super) size: Size,
}

/// What was drawn.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) words: Words,
    pub(super) tiles: Vec<Tile>,
}

/// One drawing at a time; of several wishes only the newest matters.
#[derive(Debug, Default)]
pub(super) struct Painter {
    running: Option<JoinHandle<Drawn>>,
    next: Option<Words>,
}

impl Painter {
    /// Wants these words drawn.
    pub(super) fn ask(&mut self, words: Words) {
        self.next = Some(words);
        self.begin();
    }

    fn begin(&mut self) {
        if self.running.is_none()
            && let Some(words) = self.next.take()
        {
            self.running = Some(tokio::task::spawn_blocking(|| draw(words)));
        }
    }

    /// The next finished drawing. Cancel safe. Waits for ever while nothing is drawn.
    pub(super) async fn drawn(&mut self) -> Option<Drawn> {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let drawn = running.await;
        self.running = None;
        self.begin();
        if drawn.is_err() {
            tracing::error!("the words of the cover could not be drawn; it stays black. Please report this");
        }
        drawn.ok()
    }
}

fn draw(words: Words) -> Drawn {
    let Words { text, size } = &words;
    let tiles = if text.lines.is_empty() {
        // Words that stood there before must go, and for that no font is needed.
        tiles::words(&cover::black_picture(size.width, size.height))
    } else {
        tiles::words(&cover::draw(&Fonts::load(), text, size.width, size.height))
    };
    Drawn { words, tiles }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Words {
        let text = CoverText { lines: vec![line.to_owned()] };
        Words { text, size: Size { width: 320, height: 200 } }
    }

    #[tokio::test]
    async fn of_many_wishes_the_first_and_the_newest_are_drawn() {
        let mut painter = Painter::default();
        for line in ["one", "two", "three"] {
            painter.ask(words(line));
        }
        let first = painter.drawn().await.unwrap();
        assert_eq!(first.words, words("one"));
        assert!(!first.tiles.is_empty());
        assert_eq!(painter.drawn().await.unwrap().words, words("three"));
        assert!(painter.running.is_none());
    }
}
