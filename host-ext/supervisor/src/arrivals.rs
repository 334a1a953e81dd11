//! Those whom PAM has let in and who are not there yet. Until they are, the desktop stays covered.
//!
//! ```text
//!  xrdp ─── asks ──► sesman ─── PAM: cover ──► answers ─► xrdp attaches to the display, and then
//!   └─ its socket to sesman is open all this time ─────────────────────────── closes that socket
//! ```
//! How long xrdp takes after the answer is in the hands of whoever signs in: it waits inside a half-sent
//! TLS record (0.9.21, `ssl_tls_read`) with the answer unread. So no time alone ends the hold: whoever has
//! the answer for [`ANSWERED_MAX_MS`] and is not attached is disconnected, and only then guards go on. Who
//! has no answer by then was not the one that PAM let in: it is asked about anew. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;
use std::sync::Arc;

/// What an xrdp may need from sesman's answer until it is attached; mostly some 50 ms.
const ANSWERED_MAX_MS: u64 = 10_000;
/// After the last of them is there or gone. Longer than the 500 ms after which a guard that was asleep
/// meanwhile has its clients disconnected: nobody new is unnoticed when it wakes.
const SETTLE_MS: u64 = 1_000;
/// Who should have ended and has not is named again.
const AGAIN_MS: u64 = 1_000;

/// How far an xrdp process is that had a socket to sesman.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Without an answer.
    Waits,
    /// With one, so that it may attach at any moment. What cannot be known is this.
    Answered,
    /// To a display: it is somebody's client, and still has the socket.
    Attached,
    /// The socket or the process is gone.
    Done,
}

/// An xrdp process that signs in.
pub(crate) trait Asks: PartialEq {
    fn progress(&self) -> Progress;
}

/// By display.
#[derive(Debug)]
pub(crate) struct Arrivals<A> {
    arriving: BTreeMap<u32, Arriving<A>>,
}

#[derive(Debug)]
struct Arriving<A> {
    /// Of the newest sign-in.
    ticket: u64,
    /// And when it is late.
    askers: Vec<(Arc<A>, u64)>,
    asked_ms: u64,
    settle_ms: u64,
}

/// What is due.
#[derive(Debug)]
pub(crate) struct Due<A> {
    /// Connections to end, for this display; named again until they are gone.
    pub(crate) late: Vec<(u32, Arc<A>)>,
    /// Displays whose guard may go on, and the ticket of its last order.
    pub(crate) over: Vec<(u32, u64)>,
}

impl<A> Default for Arrivals<A> {
    fn default() -> Self {
        Arrivals { arriving: BTreeMap::new() }
    }
}

impl<A: Asks> Arrivals<A> {
    /// Somebody may be let in to this display: one of `askers`. Where none is known, time must do.
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
        for who in askers {
            if !arriving.askers.iter().any(|(known, _)| *known == *who) {
                arriving.askers.push((Arc::clone(who), now_ms.saturating_add(ANSWERED_MAX_MS)));
            }
        }
    }

    /// The order that a guard which starts now has missed.
    pub(crate) fn ticket(&self, display: u32) -> Option<u64> {
        Some(self.arriving.get(&display)?.ticket)
    }

    pub(crate) fn forget(&mut self, display: u32) {
        self.arriving.remove(&display);
    }

    pub(crate) fn tick(&mut self, now_ms: u64) -> Due<A> {
        let mut due = Due { late: Vec::new(), over: Vec::new() };
        self.arriving.retain(|&display, arriving| {
            arriving.askers.retain_mut(|(who, late_ms)| {
                let is_late = now_ms >= *late_ms;
                let progress = who.progress();
                if is_late && progress == Progress::Answered {
                    *late_ms = now_ms.saturating_add(AGAIN_MS);
                    due.late.push((display, Arc::clone(who)));
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
    fn the_guard_goes_on_a_second_after_the_client_is_there() {
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
    fn who_takes_too_long_is_disconnected_before_the_guard_goes_on() {
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
    fn who_has_no_answer_or_is_attached_is_left_alone() {
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
    fn another_sign_in_neither_shortens_nor_renews_what_the_first_one_has() {
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
    fn where_nobody_is_known_to_ask_time_must_do() {
        let mut arrivals = Arrivals::<Xrdp>::default();
        arrivals.begin(10, 7, &[], 1_000);
        assert!(arrivals.tick(1_000 + ANSWERED_MAX_MS - 1).over.is_empty());
        assert_eq!(arrivals.tick(1_000 + ANSWERED_MAX_MS).over, [(10, 7)]);
        arrivals.begin(10, 8, &[], 1_000);
        arrivals.forget(10);
        assert!(arrivals.tick(60_000).over.is_empty());
    }
}
