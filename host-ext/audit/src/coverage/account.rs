//! Sums up the sessions of a log, entry by entry.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use sudare_protocol::cose;
use sudare_protocol::evidence::event::{IncidentComplete, SessionStart};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::message::{self, Open, kind};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::Policy;

use super::session::Session;
use super::{Class, CoverageError, Exceptions};
use crate::erase::survey;

/// A calendar month in a time zone, as Unix times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    name: String,
    zone: String,
    from_ms: u64,
    to_ms: u64,
}

impl Month {
    /// `2026-11`, `Asia/Tokyo`.
    pub fn parse(month: &str, zone: &str) -> Result<Self, CoverageError> {
        let wrong = || CoverageError::Month(month.to_owned());
        let tz = if zone == "UTC" { Ok(TimeZone::UTC) } else { TimeZone::get(zone) };
        let tz = tz.map_err(|_| CoverageError::Zone(zone.to_owned()))?;
        let (year, number) = month.split_once('-').ok_or_else(wrong)?;
        if (year.len(), number.len()) != (4, 2) {
            return Err(wrong());
        }
        let (year, number) = (year.parse().map_err(|_| wrong())?, number.parse().map_err(|_| wrong())?);
        let first = Date::new(year, number, 1).map_err(|_| wrong())?;
        let next = first.last_of_month().tomorrow().map_err(|_| wrong())?;
        let unix_ms = |date: Date| {
            let start = date.to_zoned(tz.clone()).map_err(|_| wrong())?;
            u64::try_from(start.timestamp().as_millisecond()).map_err(|_| wrong())
        };
        let (from_ms, to_ms) = (unix_ms(first)?, unix_ms(next)?);
        Ok(Self { name: month.to_owned(), zone: zone.to_owned(), from_ms, to_ms })
    }

    /// As it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As it was given.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// First millisecond.
    pub fn from_ms(&self) -> u64 {
        self.from_ms
    }

    /// First millisecond after it.
    pub fn to_ms(&self) -> u64 {
        self.to_ms
    }

    fn has(&self, wall_ms: u64) -> bool {
        (self.from_ms..self.to_ms).contains(&wall_ms)
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) devices: BTreeSet<Id>,
    pub(super) visible_ms: u64,
    pub(super) attested_ms: u64,
    /// Time and number of covers.
    pub(super) covered: BTreeMap<Class, (u64, u64)>,
    pub(super) cover_ms: Vec<u64>,
    pub(super) incidents: u64,
    pub(super) gap_ms: u64,
    pub(super) exceptions: Exceptions,
}

/// Takes entries in log order, of one log after the other.
#[derive(Debug)]
pub struct Account {
    month: Month,
    open: BTreeMap<Id, Session>,
    /// Boot and last moment of the log under way.
    last: Option<(Id, u64)>,
    totals: Totals,
}

impl Account {
    /// Nothing counted yet.
    pub fn new(month: Month) -> Self {
        Self { month, open: BTreeMap::new(), last: None, totals: Totals::default() }
    }

    /// Takes in the next entry.
    pub fn add(&mut self, entry: &Entry) {
        if self.last.is_some_and(|(boot_id, _)| boot_id != entry.boot_id) {
            self.stop(true);
        }
        self.last = Some((entry.boot_id, entry.boot_ms));
        let Ok(event) = entry.event() else { return };
        if self.month.has(entry.wall_ms) {
            self.count(entry, &event);
        }
        self.follow(entry, &event);
    }

    /// The log ends here; sessions under way are counted up to its last entry.
    pub fn end_log(&mut self) {
        self.stop(false);
        self.last = None;
    }

    pub(super) fn finish(mut self) -> Totals {
        self.end_log();
        self.totals
    }

    /// Counts what happens at one moment.
    fn count(&mut self, entry: &Entry, event: &Event) {
        let totals = &mut self.totals;
        let exceptions = &mut totals.exceptions;
        match event {
            Event::Cover(cover) => {
                totals.cover_ms.push(cover.effective_boot_ms.saturating_sub(cover.asked_boot_ms));
                exceptions.unconfirmed_covers += u64::from(!cover.confirmed);
                totals.covered.entry(class(entry)).or_default().1 += 1;
            }
            Event::IncidentOpen(_) => totals.incidents += 1,
            Event::IncidentComplete(IncidentComplete { missing }) => {
                exceptions.incomplete_incidents += u64::from(*missing > 0);
            }
            Event::Gap(gap) => {
                exceptions.gaps += 1;
                totals.gap_ms += gap.to_boot_ms.saturating_sub(gap.from_boot_ms);
            }
            Event::Note(note) => match NoteCode::from_number(note.code) {
                Some(NoteCode::EvidenceRefused) => exceptions.refused_evidence += 1,
                Some(NoteCode::WrongBlock) => exceptions.wrong_covers += 1,
                _ => {}
            },
            Event::RecorderStart(start) if start.torn_bytes > 0 || start.wal_behind > 0 => {
                exceptions.damaged_ends += 1;
            }
            _ => {}
        }
    }

    /// Follows sessions over time.
    fn follow(&mut self, entry: &Entry, event: &Event) {
        let Some(session_id) = entry.session_id else { return };
        if let Event::SessionStart(start) = event {
            let (device_id, lease_ms) = handshake(start);
            let session = Session::start(device_id, entry.wall_ms, entry.boot_ms, lease_ms);
            if let Some(before) = self.open.insert(session_id, session) {
                self.settle(before, entry.boot_ms);
            }
            return;
        }
        if let Event::SessionEnd(end) = event {
            if let Some(session) = self.open.remove(&session_id) {
                self.settle(session, end.boot_ms);
            }
            return;
        }
        let Some(session) = self.open.get_mut(&session_id) else { return };
        match event {
            Event::Cover(cover) => session.cover(cover.effective_boot_ms, class(entry)),
            Event::Uncover(uncover) => session.uncover(uncover.boot_ms),
            Event::PresenceInterval(interval) => session.attested(interval.from_boot_ms, interval.to_boot_ms),
            _ => {}
        }
    }

    /// Ends what is under way at the last moment that is known of.
    fn stop(&mut self, host_stopped: bool) {
        let Some((_, boot_ms)) = self.last else { return };
        for session in std::mem::take(&mut self.open).into_values() {
            if host_stopped && self.month.has(session.wall_ms(boot_ms)) {
                self.totals.exceptions.unended_sessions += 1;
            }
            self.settle(session, boot_ms);
        }
    }

    fn settle(&mut self, session: Session, at_ms: u64) {
        let device_id = session.device_id;
        let times = session.end(at_ms, &self.month);
        if times.touches_month {
            self.totals.devices.insert(device_id);
        }
        self.totals.visible_ms += times.visible_ms;
        self.totals.attested_ms += times.attested_ms;
        for (class, ms) in times.covered {
            self.totals.covered.entry(class).or_default().0 += ms;
        }
    }
}

fn class(entry: &Entry) -> Class {
    Class::of(entry.reason.and_then(Reason::from_number))
}

/// The device, and how long an attestation holds under the session's policy.
fn handshake(start: &SessionStart) -> (Id, u64) {
    let open = cose::unverified_payload(&start.open).ok().and_then(|payload| {
        let (number, _, body) = message::split(payload).ok()?;
        if number == kind::OPEN { message::body::<Open>(body).ok() } else { None }
    });
    let policy = survey::hello(start).and_then(|hello| {
        let payload = cose::unverified_payload(&hello.policy).ok()?;
        minicbor::decode::<Policy>(payload).ok()
    });
    let timings = policy.and_then(|policy| policy.effective().ok()).unwrap_or_default();
    (open.map(|open| open.device_id).unwrap_or_default(), timings.lease_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_the_days_of_its_zone() {
        let utc = Month::parse("2026-11", "UTC").unwrap();
        assert_eq!((utc.from_ms(), utc.to_ms()), (1_793_491_200_000, 1_796_083_200_000));
        let tokyo = Month::parse("2026-11", "Asia/Tokyo").unwrap();
        assert_eq!(utc.from_ms() - tokyo.from_ms(), 9 * 3_600_000);
        for wrong in ["2026-13", "2026-1", "26-11", "2026-11-01", "", "2026/11"] {
            assert!(matches!(Month::parse(wrong, "UTC"), Err(CoverageError::Month(_))), "{wrong}");
        }
        assert!(matches!(Month::parse("2026-11", "Mars/Base"), Err(CoverageError::Zone(_))));
    }
}
