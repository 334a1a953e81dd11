//! Connections that PAM let in and that have not attached to a display yet. Until they have, the desktop stays covered.
//!
//! ```text
//!  xrdp ─── asks ──► sesman ─── PAM: cover ──► answers ─► xrdp attaches to the display, and then
//!   └─ its socket to sesman is open all this time ─────────────────────────── closes that socket
//! ```
//! The peer controls how long xrdp takes after the answer: xrdp waits inside a half-sent TLS record (0.9.21,
//! `ssl_tls_read`) with the answer unread. So time alone never ends the hold. A connection that has had the answer for
//! [`ANSWERED_MAX_MS`] without attaching is disconnected, and only then do guards go on. A connection without an answer
//! by then is not the one that PAM let in; PAM will ask about it again. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;
use std::sync::Arc;

/// How long an xrdp may take to attach after sesman's answer; usually about 50 ms.
const ANSWERED_MAX_MS: u64 = 10_000;
/// Pause after the last of them has attached or gone. Longer than the 500 ms after which the clients of a suspended
/// guard are disconnected: when that guard wakes up, every new client has been noticed.
const SETTLE_MS: u64 = 1_000;
/// A connection that should have ended is reported again this often.
const AGAIN_MS: u64 = 1_000;

/// How far a sign-in of an xrdp process has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No answer from sesman yet.
    Waits,
    /// Answered, so it may attach at any moment. Also the state of a process that cannot be read.
    Answered,
    /// Attached to a display, with its socket to sesman still open.
    Attached,
    /// Its socket is closed, or the process has ended.
    Done,
}

/// An xrdp process that is signing in.
pub(crate) trait Asks: PartialEq {
    fn progress(&self) -> Progress;
}

/// The connections that are awaited, by display.
#[derive(Debug)]
pub(crate) struct Arrivals<A> {
    arriving: BTreeMap<u32, Arriving<A>>,
}

#[derive(Debug)]
struct Arriving<A> {
    /// That of the newest sign-in.
    ticket: u64,
    /// The processes, each with the time from which it is late.
    askers: Vec<(Arc<A>, u64)>,
    asked_ms: u64,
    settle_ms: u64,
}

/// What must be done now.
#[derive(Debug)]
pub(crate) struct Due<A> {
    /// Connections to end, with their display; reported again until they are gone.
    pub(crate) late: Vec<(u32, Arc<A>)>,
    /// Displays whose guard may go on, with the ticket of its last order.
    pub(crate) over: Vec<(u32, u64)>,
}

impl<A> Default for Arrivals<A> {
    fn default() -> Self {
        Arrivals { arriving: BTreeMap::new() }
    }
}

impl<A: Asks> Arrivals<A> {
    /// One of `askers` may be let in to this display. If there are none, a fixed time has to do.
    pub(crate) fn begin(&mut self, display: u32, ticket: u64, askers: &[Arc<A>], now_ms: u64) {
        let arriving = self.arriving.entry(display).or_insert_with(|| Arriving {
            ticket,
            askers: Vec::new(),
            asked_ms: now_ms,
            settle_ms: SETTLE_MS,
        });
        (arriving.ticket, arriving.asked_ms) = (ticket, now_ms);
        if askers.is_empty() {
            arriving.settle_ms = ANSWERED_MAX_MS;
        }
        for asker in askers {
            if !arriving.askers.iter().any(|(known, _)| *known == *asker) {
                arriving.askers.push((Arc::clone(asker), now_ms.saturating_add(ANSWERED_MAX_MS)));
            }
        }
    }

    /// The ticket of the order to cover that a guard starting now has missed.
    pub(crate) fn ticket(&self, display: u32) -> Option<u64> {
        Some(self.arriving.get(&display)?.ticket)
    }

    pub(crate) fn forget(&mut self, display: u32) {
        self.arriving.remove(&display);
    }

    pub(crate) fn tick(&mut self, now_ms: u64) -> Due<A> {
        let mut due = Due { late: Vec::new(), over: Vec::new() };
        self.arriving.retain(|&display, arriving| {
            arriving.askers.retain_mut(|(asker, late_ms)| {
                let is_late = now_ms >= *late_ms;
                let progress = asker.progress();
                if is_late && progress == Progress::Answered {
                    *late_ms = now_ms.saturating_add(AGAIN_MS);
                    due.late.push((display, Arc::clone(asker)));
                }
                progress != Progress::Done && !(is_late && progress == Progress::Waits)
            });
            if !arriving.askers.is_empty() {
                arriving.asked_ms = now_ms;
            }
            let is_over =
                arriving.askers.is_empty() && now_ms.saturating_sub(arriving.asked_ms) >= arriving.settle_ms;
            if is_over {
                due.over.push((display, arriving.ticket));
            }
            !is_over
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug)]
    struct Xrdp(u32, Mutex<Progress>);

    impl PartialEq for Xrdp {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Asks for Xrdp {
        fn progress(&self) -> Progress {
            *self.1.lock().unwrap()
        }
    }

    impl Xrdp {
        fn new(number: u32) -> Arc<Self> {
            Arc::new(Xrdp(number, Mutex::new(Progress::Waits)))
        }

        fn is(&self, progress: Progress) {
            *self.1.lock().unwrap() = progress;
        }
    }

    fn late(due: &Due<Xrdp>) -> Vec<(u32, u32)> {
        due.late.iter().map(|(display, xrdp)| (*display, xrdp.0)).collect()
    }

    #[test]
    fn the_guard_goes_on_a_second_after_the_client_attached() {
        let (mut arrivals, xrdp) = (Arrivals::default(), Xrdp::new(1));
        arrivals.begin(10, 7, &[Arc::clone(&xrdp)], 1_000);
        assert_eq!((arrivals.ticket(10), arrivals.ticket(11)), (Some(7), None));
        xrdp.is(Progress::Answered);
        assert!(arrivals.tick(1_020).over.is_empty());
        xrdp.is(Progress::Attached);
        assert!(arrivals.tick(1_040).over.is_empty());
        xrdp.is(Progress::Done);
        assert!(arrivals.tick(1_090).over.is_empty());
        assert!(arrivals.tick(1_040 + SETTLE_MS - 1).over.is_empty());
        let due = arrivals.tick(1_040 + SETTLE_MS);
        assert_eq!((late(&due), due.over), (vec![], vec![(10, 7)]));
        assert_eq!(arrivals.ticket(10), None);
    }

    #[test]
    fn a_late_connection_is_disconnected_before_the_guard_goes_on() {
        let (mut arrivals, slow) = (Arrivals::default(), Xrdp::new(1));
        arrivals.begin(10, 7, &[Arc::clone(&slow)], 1_000);
        slow.is(Progress::Answered);
        assert!(arrivals.tick(1_000 + ANSWERED_MAX_MS - 1).late.is_empty());
        // It does not end; however long it takes, the desktop stays covered.
        let mut named = 0;
        for now_ms in (1_000 + ANSWERED_MAX_MS..100_000).step_by(50) {
            let due = arrivals.tick(now_ms);
            named += late(&due).len();
            assert_eq!(due.over, [], "{now_ms}");
        }
        assert_eq!(named, 89, "once a second");
        slow.is(Progress::Done);
        assert_eq!(arrivals.tick(101_000).over, [(10, 7)]);
    }

    #[test]
    fn a_connection_without_an_answer_or_attached_is_left_alone() {
        let (mut arrivals, queued, attached) = (Arrivals::default(), Xrdp::new(1), Xrdp::new(2));
        attached.is(Progress::Attached);
        arrivals.begin(10, 7, &[Arc::clone(&queued), Arc::clone(&attached)], 0);
        for now_ms in (0..30_000).step_by(50) {
            let due = arrivals.tick(now_ms);
            assert!(due.late.is_empty() && due.over.is_empty(), "{now_ms}");
        }
        attached.is(Progress::Done);
        // The other one still has no answer. When PAM lets it in, that is another sign-in.
        assert_eq!(arrivals.tick(31_000).over, [(10, 7)]);
    }

    #[test]
    fn another_sign_in_neither_shortens_nor_renews_the_time_of_the_first() {
        let (mut arrivals, first, second) = (Arrivals::default(), Xrdp::new(1), Xrdp::new(2));
        arrivals.begin(10, 7, &[Arc::clone(&first)], 0);
        first.is(Progress::Answered);
        arrivals.begin(10, 8, &[Arc::clone(&first), Arc::clone(&second)], 6_000);
        second.is(Progress::Done);
        assert!(arrivals.tick(9_000).over.is_empty());
        assert_eq!(late(&arrivals.tick(ANSWERED_MAX_MS)), [(10, 1)]);
        first.is(Progress::Done);
        assert_eq!(arrivals.tick(20_000).over, [(10, 8)]);
    }

    #[test]
    fn without_a_known_connection_a_fixed_time_has_to_do() {
        let mut arrivals = Arrivals::<Xrdp>::default();
        arrivals.begin(10, 7, &[], 1_000);
        assert!(arrivals.tick(1_000 + ANSWERED_MAX_MS - 1).over.is_empty());
        assert_eq!(arrivals.tick(1_000 + ANSWERED_MAX_MS).over, [(10, 7)]);
        arrivals.begin(10, 8, &[], 1_000);
        arrivals.forget(10);
        assert!(arrivals.tick(60_000).over.is_empty());
    }
}
