//! Frames ([MS-RDPEGFX] 2.2.2.11, 2.2.2.12), the host's and ours, and whose a client's acknowledgement is.
//!
//! Clients acknowledge frames in the order in which they ended, and count all of them. The host must neither hear of
//! ours nor find them in the count; and it must never hear an acknowledgement that its client has not given.

use std::collections::VecDeque;

use crate::limits::GRAPHICS_FRAMES_MAX;

/// Hosts count from zero.
const OWN_FRAMES_FROM: u32 = 0xFFFF_F000;

/// A frame that the client has been sent the end of.
#[derive(Debug, Clone, Copy)]
struct Ended {
    frame: u32,
    /// Whether the host has not ended it, or not yet.
    own: bool,
    /// The cover that it makes.
    turn: Option<u64>,
}

/// Frames whose acknowledgements are expected.
#[derive(Debug, Default)]
struct Expected {
    ended: VecDeque<Ended>,
    /// How many of ours the client has counted.
    own: u32,
}

/// What an acknowledgement was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Acknowledged {
    /// The host must not hear of it.
    pub(super) own: bool,
    /// The newest cover that the client shows by now.
    pub(super) turn: Option<u64>,
    /// How many frames of ours are in the client's count.
    pub(super) counted: u32,
}

impl Expected {
    fn push(&mut self, ended: Ended) {
        if self.ended.len() >= GRAPHICS_FRAMES_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.count(oldest);
        }
        self.ended.push_back(ended);
    }

    fn count(&mut self, ended: Ended) {
        if ended.own {
            self.own = self.own.wrapping_add(1);
        }
    }

    /// Everything up to this frame has been decoded.
    fn acknowledge(&mut self, frame: u32) -> Acknowledged {
        let mut found = Acknowledged::default();
        if self.ended.iter().any(|ended| ended.frame == frame) {
            while let Some(ended) = self.ended.pop_front() {
                self.count(ended);
                found.turn = ended.turn.or(found.turn);
                if ended.frame == frame {
                    found.own = ended.own;
                    break;
                }
            }
        }
        found.counted = self.own;
        found
    }
}

#[derive(Debug)]
pub(super) struct Frames {
    next: u32,
    /// The host's frame that the client is in: its time and number.
    open: Option<(u32, u32)>,
    /// The same of a frame that we have ended before its time.
    interrupted: Option<(u32, u32)>,
    expected: Expected,
    /// Qualities are told separately, by some clients only.
    qualities: Expected,
}

impl Default for Frames {
    fn default() -> Self {
        let (expected, qualities) = (Expected::default(), Expected::default());
        Self { next: OWN_FRAMES_FROM, open: None, interrupted: None, expected, qualities }
    }
}

impl Frames {
    /// The host begins one.
    pub(super) fn start(&mut self, time: u32, frame: u32) {
        self.open = Some((time, frame));
    }

    /// The host ends one.
    pub(super) fn end(&mut self, frame: u32) {
        self.open = None;
        self.push(Ended { frame, own: false, turn: None });
    }

    /// The host's frame that must be ended before one of ours begins.
    pub(super) fn interrupt(&mut self) -> Option<u32> {
        let open = self.open.take()?;
        self.interrupted = Some(open);
        let (_, frame) = open;
        self.push(Ended { frame, own: true, turn: None });
        Some(frame)
    }

    /// The host's frame that goes on now: its time and number.
    pub(super) fn resume(&mut self) -> Option<(u32, u32)> {
        let interrupted = self.interrupted.take()?;
        self.open = Some(interrupted);
        Some(interrupted)
    }

    /// A frame of ours, begun and ended.
    pub(super) fn own(&mut self, turn: Option<u64>) -> u32 {
        let frame = self.next;
        self.next = frame.checked_add(1).unwrap_or(OWN_FRAMES_FROM);
        self.push(Ended { frame, own: true, turn });
        frame
    }

    fn push(&mut self, ended: Ended) {
        self.expected.push(ended);
        self.qualities.push(ended);
    }

    pub(super) fn acknowledged(&mut self, frame: u32) -> Acknowledged {
        self.expected.acknowledge(frame)
    }

    /// Whether it is one of ours.
    pub(super) fn quality(&mut self, frame: u32) -> bool {
        self.qualities.acknowledge(frame).own
    }
}
