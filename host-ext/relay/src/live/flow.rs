//! Where one side is within a message, on a channel whose messages go nowhere while covered.
//!
//! A message that began before the cover is finished, because its reader waits for the rest; but with zeros, so
//! that it tells nothing. One that begins under the cover is dropped whole.

/// What happens to one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It passes.
    Pass,
    /// It passes with zeros in place of its content.
    Zero,
    /// It goes nowhere.
    Drop,
}

/// One direction of one channel.
#[derive(Debug, Default, Clone)]
pub(super) struct Flow {
    inside: bool,
    dropping: bool,
}

impl Flow {
    /// The next piece: whether a message begins and ends with it.
    pub(super) fn step(&mut self, first: bool, last: bool, covered: bool) -> Step {
        if first || !self.inside {
            self.dropping = covered;
        }
        self.inside = !last;
        match (self.dropping, covered) {
            (true, _) => Step::Drop,
            (false, true) => Step::Zero,
            (false, false) => Step::Pass,
        }
    }
}

/// The same for a dynamic channel, whose pieces do not say which is the last.
#[derive(Debug, Default, Clone)]
pub(super) struct Counted {
    flow: Flow,
    left: u32,
}

impl Counted {
    /// The next piece: the length of the whole message, if it is the first of several.
    pub(super) fn step(&mut self, total: Option<u32>, length: usize, covered: bool) -> Step {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let first = total.is_some() || self.left == 0;
        self.left = total.unwrap_or(self.left).saturating_sub(length);
        self.flow.step(first, self.left == 0, covered)
    }

    /// Whether a further piece is expected.
    pub(super) fn is_inside(&self) -> bool {
        self.left > 0
    }
}
