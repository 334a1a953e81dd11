//! Sign-ins that wait until the guards of their user have covered. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeSet;

/// Sign-ins that gave up waiting count too.
const WAITING_MAX: usize = 16;

/// A guard's run at a display.
pub(crate) type Run = (u32, u64);

/// Sign-ins that wait for guards.
#[derive(Debug)]
pub(crate) struct SignIns<A> {
    tickets: u64,
    waiting: Vec<Waiting<A>>,
}

#[derive(Debug)]
struct Waiting<A> {
    ticket: u64,
    guards: BTreeSet<Run>,
    answer: A,
}

impl<A> Default for SignIns<A> {
    fn default() -> Self {
        SignIns { tickets: 0, waiting: Vec::new() }
    }
}

impl<A> SignIns<A> {
    /// A new ticket.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Registers a sign-in that waits for these guards and returns the ticket of their order. Without guards nothing is
    /// visible yet, and `answer` comes back at once.
    pub(crate) fn begin(&mut self, guards: BTreeSet<Run>, answer: A) -> Result<u64, (u64, A)> {
        if guards.is_empty() {
            return Err((self.ticket(), answer));
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.remove(0);
        }
        let ticket = self.ticket();
        self.waiting.push(Waiting { ticket, guards, answer });
        Ok(ticket)
    }

    /// A guard has covered; returns the answer that can be given now.
    pub(crate) fn covered(&mut self, run: Run, ticket: u64) -> Option<A> {
        let at = self.waiting.iter().position(|waiting| waiting.ticket == ticket)?;
        let waiting = self.waiting.get_mut(at)?;
        waiting.guards.remove(&run);
        waiting.guards.is_empty().then(|| self.waiting.remove(at).answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_answered_once_all_guards_of_the_user_have_covered() {
        let mut sign_ins = SignIns::default();
        let first = sign_ins.begin(BTreeSet::from([(10, 1), (11, 2)]), "first").unwrap();
        let second = sign_ins.begin(BTreeSet::from([(10, 1)]), "second").unwrap();
        assert_eq!(sign_ins.covered((10, 1), first), None);
        // Another run of the same display has covered nothing yet.
        assert_eq!(sign_ins.covered((11, 3), first), None);
        assert_eq!(sign_ins.covered((10, 1), second), Some("second"));
        assert_eq!(sign_ins.covered((11, 2), first), Some("first"));
        assert_eq!(sign_ins.covered((11, 2), first), None);
        assert_eq!(sign_ins.begin(BTreeSet::new(), "nobody's"), Err((3, "nobody's")));
    }

    #[test]
    fn unanswered_sign_ins_do_not_pile_up() {
        let mut sign_ins = SignIns::default();
        for n in 0..1_000 {
            sign_ins.begin(BTreeSet::from([(10, 1)]), n).unwrap();
        }
        assert_eq!(sign_ins.waiting.len(), WAITING_MAX);
    }
}
