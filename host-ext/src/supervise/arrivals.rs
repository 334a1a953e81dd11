//! Those whom PAM has let in and who are not there yet. Until they are, the desktop stays covered.
//!
//! ```text
//!  xrdp ─── asks ──► sesman ─── PAM: cover ──► answers ─► xrdp attaches to the display, and then
//!   └─ its socket to sesman is open all this time ─────────────────────────── closes that socket
//! ```
//! How long that takes is in the hands of whoever signs in: xrdp waits inside a half-sent TLS record
//! (0.9.21, `ssl_tls_read`) with sesman's answer unread. So no time alone ends the hold: whoever still
//! asks after [`ASK_MAX_MS`] is disconnected, and only then the guards may go on. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What an xrdp may need from sesman's answer until it is attached; some 50 ms.
const ASK_MAX_MS: u64 = 10_000;
/// After the last of them is attached or gone. Longer than the 500 ms after which a guard that was asleep
/// meanwhile has its clients disconnected: nobody new is unnoticed when it wakes.
const SETTLE_MS: u64 = 1_000;
/// For each display; more are disconnected at once.
const ASKERS_MAX: usize = 32;

/// An xrdp process with a socket to sesman.
pub(super) trait Asks: PartialEq {
    /// Whether it still has that socket. What cannot be known counts as yes.
    fn asks(&self) -> bool;
}

/// By display.
#[derive(Debug)]
pub(super) struct Arrivals<A> {
    arriving: BTreeMap<u32, Arriving<A>>,
}

#[derive(Debug)]
struct Arriving<A> {
    /// Of the newest sign-in.
    ticket: u64,
    askers: Vec<Asker<A>>,
    asked_ms: u64,
    settle_ms: u64,
}

#[derive(Debug)]
struct Asker<A> {
    who: Arc<A>,
    since_ms: u64,
    ended: bool,
}

/// What is due.
#[derive(Debug)]
pub(super) struct Due<A> {
    /// Connections to end: they took too long.
    pub(super) late: Vec<Arc<A>>,
    /// Displays whose guard may go on, and the ticket of its last order.
    pub(super) over: Vec<(u32, u64)>,
}

impl<A> Default for Arrivals<A> {
    fn default() -> Self {
        Arrivals { arriving: BTreeMap::new() }
    }
}

impl<A: Asks> Arrivals<A> {
    /// Somebody was let in to these displays: one of `askers`. Where none is known, time must do.
    pub(super) fn begin(&mut self, display: u32, ticket: u64, askers: &[Arc<A>], now_ms: u64) {
        let arriving = self.arriving.entry(display).or_insert_with(|| Arriving {
            ticket,
            askers: Vec::new(),
            asked_ms: now_ms,
            settle_ms: SETTLE_MS,
        });
        (arriving.ticket, arriving.asked_ms) = (ticket, now_ms);
        if askers.is_empty() {
            arriving.settle_ms = ASK_MAX_MS;
        }
        for who in askers {
            if !arriving.askers.iter().any(|known| known.who == *who) {
                arriving.askers.push(Asker { who: Arc::clone(who), since_ms: now_ms, ended: false });
            }
        }
    }

    /// The order that a guard which starts now has missed.
    pub(super) fn ticket(&self, display: u32) -> Option<u64> {
        Some(self.arriving.get(&display)?.ticket)
    }

    pub(super) fn forget(&mut self, display: u32) {
        self.arriving.remove(&display);
    }

    pub(super) fn tick(&mut self, now_ms: u64) -> Due<A> {
        let mut due = Due { late: Vec::new(), over: Vec::new() };
        self.arriving.retain(|&display, arriving| {
            arriving.askers.retain(|asker| asker.who.asks());
            if !arriving.askers.is_empty() {
                arriving.asked_ms = now_ms;
            }
            let crowd = arriving.askers.len().saturating_sub(ASKERS_MAX);
            for (place, asker) in arriving.askers.iter_mut().enumerate().filter(|(_, asker)| !asker.ended) {
                if place < crowd || now_ms.saturating_sub(asker.since_ms) >= ASK_MAX_MS {
                    asker.ended = true;
                    due.late.push(Arc::clone(&asker.who));
                }
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
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Debug)]
    struct Xrdp(u32, AtomicBool);

    impl PartialEq for Xrdp {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Asks for Xrdp {
        fn asks(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }

    impl Xrdp {
        fn asking(number: u32) -> Arc<Self> {
            Arc::new(Xrdp(number, AtomicBool::new(true)))
        }

        fn done(&self) {
            self.1.store(false, Ordering::Relaxed);
        }
    }

    fn late(due: &Due<Xrdp>) -> Vec<u32> {
        due.late.iter().map(|xrdp| xrdp.0).collect()
    }

    #[test]
    fn the_guard_goes_on_a_second_after_the_client_is_there() {
        let (mut arrivals, xrdp) = (Arrivals::default(), Xrdp::asking(1));
        arrivals.begin(10, 7, &[Arc::clone(&xrdp)], 1_000);
        assert_eq!((arrivals.ticket(10), arrivals.ticket(11)), (Some(7), None));
        assert!(arrivals.tick(1_040).over.is_empty());
        xrdp.done();
        assert!(arrivals.tick(1_090).over.is_empty());
        assert!(arrivals.tick(1_040 + SETTLE_MS - 1).over.is_empty());
        let due = arrivals.tick(1_040 + SETTLE_MS);
        assert_eq!((late(&due), due.over), (vec![], vec![(10, 7)]));
        assert_eq!(arrivals.ticket(10), None);
    }

    #[test]
    fn who_takes_too_long_is_disconnected_before_the_guard_goes_on() {
        let (mut arrivals, slow) = (Arrivals::default(), Xrdp::asking(1));
        arrivals.begin(10, 7, &[Arc::clone(&slow)], 1_000);
        assert!(arrivals.tick(1_000 + ASK_MAX_MS - 1).late.is_empty());
        assert_eq!(late(&arrivals.tick(1_000 + ASK_MAX_MS)), [1]);
        // It does not end; told once, and however long it takes the desktop stays covered.
        for now_ms in (12_000..100_000).step_by(50) {
            let due = arrivals.tick(now_ms);
            assert!(due.late.is_empty() && due.over.is_empty(), "{now_ms}");
        }
        slow.done();
        assert_eq!(arrivals.tick(101_000).over, [(10, 7)]);
    }

    #[test]
    fn another_sign_in_neither_shortens_nor_renews_what_the_first_one_has() {
        let (mut arrivals, first, second) = (Arrivals::default(), Xrdp::asking(1), Xrdp::asking(2));
        arrivals.begin(10, 7, &[Arc::clone(&first)], 0);
        arrivals.begin(10, 8, &[Arc::clone(&first), Arc::clone(&second)], 6_000);
        second.done();
        assert!(arrivals.tick(9_000).over.is_empty());
        assert_eq!(late(&arrivals.tick(ASK_MAX_MS)), [1]);
        first.done();
        assert_eq!(arrivals.tick(20_000).over, [(10, 8)]);
    }

    #[test]
    fn where_nobody_is_known_to_ask_time_must_do() {
        let mut arrivals = Arrivals::<Xrdp>::default();
        arrivals.begin(10, 7, &[], 1_000);
        assert!(arrivals.tick(1_000 + ASK_MAX_MS - 1).over.is_empty());
        assert_eq!(arrivals.tick(1_000 + ASK_MAX_MS).over, [(10, 7)]);
        arrivals.begin(10, 8, &[], 1_000);
        arrivals.forget(10);
        assert!(arrivals.tick(60_000).over.is_empty());
    }

    #[test]
    fn a_crowd_is_disconnected_at_once() {
        let mut arrivals = Arrivals::default();
        let askers: Vec<_> = (0..40).map(Xrdp::asking).collect();
        arrivals.begin(10, 7, &askers, 0);
        assert_eq!(arrivals.tick(1).late.len(), 40 - ASKERS_MAX);
    }
}
