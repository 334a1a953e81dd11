//! One session on its host's boot clock: when it was visible, when it was covered and why, and when its device
//! attested that the operator was alone.

use sudare_protocol::evidence::Id;

use super::class::Class;
use super::month::Month;

/// Start and end on CLOCK_BOOTTIME.
type Span = (u64, u64);

/// A session that is still open.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) device_id: Id,
    /// Unix time when CLOCK_BOOTTIME was 0, so that one clock serves for the whole session.
    boot_wall_ms: u64,
    lease_ms: u64,
    since_ms: u64,
    shown: Option<Class>,
    visible: Vec<Span>,
    attested: Vec<Span>,
    covered: Vec<(Span, Class)>,
}

/// The part of a session that lies in the month.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) visible_ms: u64,
    pub(super) attested_ms: u64,
    pub(super) covered: Vec<(Class, u64)>,
    pub(super) touches_month: bool,
}

impl Session {
    /// A session begins covered.
    pub(super) fn start(device_id: Id, wall_ms: u64, boot_ms: u64, lease_ms: u64) -> Self {
        Self {
            device_id,
            boot_wall_ms: wall_ms.saturating_sub(boot_ms),
            lease_ms,
            since_ms: boot_ms,
            shown: Some(Class::OperatorNotConfirmed),
            visible: Vec::new(),
            attested: Vec::new(),
            covered: Vec::new(),
        }
    }

    pub(super) fn cover(&mut self, at_ms: u64, class: Class) {
        self.turn(at_ms, Some(class));
    }

    pub(super) fn uncover(&mut self, at_ms: u64) {
        self.turn(at_ms, None);
    }

    /// Adds an interval in which the device attested; the last attestation is valid for one lease.
    pub(super) fn attested(&mut self, from_ms: u64, to_ms: u64) {
        self.attested.push((from_ms, to_ms.saturating_add(self.lease_ms)));
    }

    /// Unix time of a moment of this session.
    pub(super) fn wall_ms(&self, boot_ms: u64) -> u64 {
        self.boot_wall_ms.saturating_add(boot_ms)
    }

    /// Ends the session and sums up what lies in the month.
    pub(super) fn end(mut self, at_ms: u64, month: &Month) -> Times {
        self.turn(at_ms, None);
        let clip = |(from, to): Span| {
            let (from, to) = (self.wall_ms(from).max(month.from_ms()), self.wall_ms(to).min(month.to_ms()));
            (from < to).then_some((from, to))
        };
        let visible: Vec<Span> = self.visible.iter().copied().filter_map(clip).collect();
        let attested = united(self.attested.iter().copied().filter_map(clip).collect());
        let covered: Vec<(Class, u64)> = self
            .covered
            .iter()
            .filter_map(|(span, class)| clip(*span).map(|(from, to)| (*class, to - from)))
            .collect();
        Times {
            visible_ms: visible.iter().map(|(from, to)| to - from).sum(),
            attested_ms: visible.iter().map(|span| overlap(*span, &attested)).sum(),
            touches_month: !visible.is_empty() || !covered.is_empty(),
            covered,
        }
    }

    fn turn(&mut self, at_ms: u64, shown: Option<Class>) {
        let span = (self.since_ms, at_ms.max(self.since_ms));
        match self.shown {
            None => self.visible.push(span),
            Some(class) => self.covered.push((span, class)),
        }
        (self.since_ms, self.shown) = (span.1, shown);
    }
}

/// Sorted, and joined where they meet.
fn united(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn overlap((from, to): Span, spans: &[Span]) -> u64 {
    let first = spans.partition_point(|span| span.1 <= from);
    let within = spans.iter().skip(first).take_while(|span| span.0 < to);
    within.map(|span| span.1.min(to) - span.0.max(from)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_visible_covered_and_attested_without_counting_twice() {
        let month = Month::parse("2026-11", "UTC").unwrap();
        let mut session = Session::start([0; 16], month.from_ms() + 1_000, 1_000, 3_000);
        session.uncover(11_000);
        session.attested(11_000, 20_000);
        session.attested(20_500, 31_000);
        session.cover(61_000, Class::SomebodyElse);
        session.cover(71_000, Class::Camera);
        let times = session.end(81_000, &month);
        assert_eq!((times.visible_ms, times.attested_ms), (50_000, 23_000));
        let expected =
            [(Class::OperatorNotConfirmed, 10_000), (Class::SomebodyElse, 10_000), (Class::Camera, 10_000)];
        assert_eq!(times.covered, expected);
    }

    #[test]
    fn only_the_part_in_the_month_counts() {
        let month = Month::parse("2026-11", "UTC").unwrap();
        let mut session = Session::start([0; 16], month.to_ms() - 5_000, 100_000, 3_000);
        session.uncover(101_000);
        let times = session.end(900_000, &month);
        assert_eq!((times.visible_ms, times.covered), (4_000, vec![(Class::OperatorNotConfirmed, 1_000)]));
        let later = Session::start([0; 16], month.to_ms() + 5_000, 100_000, 3_000);
        assert!(!later.end(900_000, &month).touches_month);
    }
}
