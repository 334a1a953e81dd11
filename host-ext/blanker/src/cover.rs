//! What to do when: the cover as a state machine. Requests and looks in, steps and replies out.

use sudare_blanker::wire::{Rect, Reply, Request};

/// A guard asks again while it waits, but not for ever.
const WAITING_MAX: usize = 64;

/// What must be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Cover; with a ticket, keep the screen as it was just before and send it afterwards.
    Cover { picture: Option<u64> },
    /// Show the desktop, then tell.
    Uncover { ticket: u64 },
    /// Read the screen and tell, now.
    Look,
    /// Send the screen as it is.
    Picture { ticket: u64 },
    /// Put words on the cover.
    Paint { layout: u32, place: Rect, bgra: Vec<u8> },
    /// Light the cover, or put it back to black.
    Light { rgb: [u8; 3] },
    /// Tell.
    Say(Reply),
}

/// Starts covered: a display is covered before anybody has asked for it.
#[derive(Debug)]
pub(crate) struct Cover {
    covered: bool,
    /// The colour that it is lit with.
    light: [u8; 3],
    /// Asked for, but not yet seen on the screen.
    waiting: Vec<u64>,
}

impl Cover {
    pub(crate) fn at_start() -> Self {
        Self { covered: true, light: [0; 3], waiting: Vec::new() }
    }

    pub(crate) fn is_covered(&self) -> bool {
        self.covered
    }

    /// Whether the guard waits for a confirmation.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn on_request(&mut self, request: Request) -> Option<Step> {
        match request {
            // Only the first message logs on.
            Request::Display { .. } => None,
            Request::Cover { ticket, picture } => {
                if self.waiting.len() < WAITING_MAX {
                    self.waiting.push(ticket);
                }
                if self.covered {
                    return Some(Step::Look);
                }
                self.covered = true;
                Some(Step::Cover { picture: picture.then_some(ticket) })
            }
            Request::Uncover { ticket } => {
                self.waiting.clear();
                self.light = [0; 3];
                if self.covered {
                    self.covered = false;
                    return Some(Step::Uncover { ticket });
                }
                Some(Step::Say(Reply::Uncovered { ticket }))
            }
            // Of a covered screen there is nothing to see.
            Request::Picture { .. } if self.covered => None,
            Request::Picture { ticket } => Some(Step::Picture { ticket }),
            Request::Paint { layout, place, bgra } => Some(Step::Paint { layout, place, bgra }),
            // A light that came late must not wait for the next cover.
            Request::Light { rgb } if self.covered && rgb != self.light => {
                self.light = rgb;
                Some(Step::Light { rgb })
            }
            Request::Light { .. } => None,
        }
    }

    /// Nobody is left who could decide to show the desktop.
    pub(crate) fn on_guard_gone(&mut self) -> Option<Step> {
        self.waiting.clear();
        if self.covered {
            // Nobody is left to put it out.
            let is_lit = std::mem::take(&mut self.light) != [0; 3];
            return is_lit.then_some(Step::Light { rgb: [0; 3] });
        }
        self.covered = true;
        Some(Step::Cover { picture: None })
    }

    /// The screen was read back. Only now, and only if all is well, `Covered` is true.
    pub(crate) fn on_look(&mut self, pixels: bool, input: bool) -> Vec<Reply> {
        let mut replies = vec![Reply::Health { pixels, input }];
        if pixels && input {
            replies.extend(self.waiting.drain(..).map(|ticket| Reply::Covered { ticket }));
        }
        replies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covered_is_told_only_after_the_screen_was_read_back() {
        let mut cover = Cover::at_start();
        assert_eq!(cover.on_request(Request::Uncover { ticket: 1 }), Some(Step::Uncover { ticket: 1 }));
        let step = cover.on_request(Request::Cover { ticket: 2, picture: true });
        assert_eq!(step, Some(Step::Cover { picture: Some(2) }));
        assert_eq!(cover.on_look(false, true), [Reply::Health { pixels: false, input: true }]);
        assert_eq!(cover.on_look(true, false), [Reply::Health { pixels: true, input: false }]);
        let told = cover.on_look(true, true);
        assert_eq!(told, [Reply::Health { pixels: true, input: true }, Reply::Covered { ticket: 2 }]);
        assert!(!cover.is_awaited());
    }

    #[test]
    fn asked_again_while_covered_is_answered_again() {
        let mut cover = Cover::at_start();
        for ticket in [7, 8] {
            let step = cover.on_request(Request::Cover { ticket, picture: true });
            assert_eq!(step, Some(Step::Look), "and no picture of the cover is taken");
        }
        assert_eq!(cover.on_look(true, true).len(), 3);
    }

    #[test]
    fn an_uncovering_forgets_who_waited_for_the_cover() {
        let mut cover = Cover::at_start();
        cover.on_request(Request::Cover { ticket: 1, picture: false });
        cover.on_request(Request::Uncover { ticket: 2 });
        cover.on_request(Request::Cover { ticket: 3, picture: false });
        let told = cover.on_look(true, true);
        assert_eq!(told.last(), Some(&Reply::Covered { ticket: 3 }));
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn the_end_of_the_guard_covers() {
        let mut cover = Cover::at_start();
        assert_eq!(cover.on_guard_gone(), None, "it is covered already");
        cover.on_request(Request::Uncover { ticket: 1 });
        assert_eq!(cover.on_guard_gone(), Some(Step::Cover { picture: None }));
        assert!(cover.is_covered());
    }

    #[test]
    fn light_is_shown_only_on_a_cover_and_ends_with_it() {
        let mut cover = Cover::at_start();
        let rgb = [255, 186, 107];
        assert_eq!(cover.on_request(Request::Light { rgb }), Some(Step::Light { rgb }));
        assert_eq!(cover.on_request(Request::Light { rgb }), None, "it is shown already");
        assert_eq!(cover.on_guard_gone(), Some(Step::Light { rgb: [0; 3] }));
        assert_eq!(cover.on_guard_gone(), None);
        cover.on_request(Request::Light { rgb });
        cover.on_request(Request::Uncover { ticket: 1 });
        assert_eq!(cover.on_request(Request::Light { rgb }), None, "the desktop is shown");
        cover.on_request(Request::Cover { ticket: 2, picture: false });
        assert_eq!(cover.on_request(Request::Light { rgb }), Some(Step::Light { rgb }), "it began black");
    }

    #[test]
    fn a_covered_screen_has_no_picture() {
        let mut cover = Cover::at_start();
        assert_eq!(cover.on_request(Request::Picture { ticket: 1 }), None);
        cover.on_request(Request::Uncover { ticket: 2 });
        assert_eq!(cover.on_request(Request::Picture { ticket: 3 }), Some(Step::Picture { ticket: 3 }));
    }
}
