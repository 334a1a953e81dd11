//! Sums up the sessions of a log, entry by entry.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sudare_protocol::evidence::event::{IncidentComplete, SessionStart};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::Policy;
use sudare_protocol::{cbor, cose};

use super::class::Class;
use super::month::Month;
use super::session::Session;
use crate::handshake;

/// How often enforcement or recording was incomplete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceptions {
    /// Gaps that the host itself recorded.
    pub gaps: u64,
    /// Total length of the gaps.
    pub gap_minutes: u64,
    /// Covers that were not confirmed on the screen.
    pub unconfirmed_covers: u64,
    /// Incidents with pictures that never arrived.
    pub incomplete_incidents: u64,
    /// Sessions without a recorded end, because the host stopped.
    pub unended_sessions: u64,
    /// Times that evidence of a client was refused.
    pub refused_evidence: u64,
    /// Covers that operators reported as wrong.
    pub wrong_covers: u64,
    /// Restarts at which the recorder found the end of its file torn or behind.
    pub damaged_ends: u64,
}

/// The sums over all sessions.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) devices: BTreeSet<Id>,
    pub(super) visible_ms: u64,
    pub(super) attested_ms: u64,
    /// Duration and number of covers.
    pub(super) covered: BTreeMap<Class, (u64, u64)>,
    pub(super) cover_ms: Vec<u64>,
    pub(super) incidents: u64,
    pub(super) gap_ms: u64,
    pub(super) exceptions: Exceptions,
}

/// Takes entries in log order, one log after the other.
#[derive(Debug)]
pub struct Account {
    month: Month,
    open: BTreeMap<Id, Session>,
    /// Boot id and time of the current log's latest entry.
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

    /// Ends the current log; open sessions are counted up to its last entry.
    pub fn end_log(&mut self) {
        self.stop(false);
        self.last = None;
    }

    pub(super) fn finish(mut self) -> Totals {
        self.end_log();
        self.totals
    }

    /// Counts events that have no duration.
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

    /// Ends open sessions at the time of the latest entry.
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

/// The device, and how long an attestation is valid under the session's policy.
fn handshake(start: &SessionStart) -> (Id, u64) {
    let open = handshake::open(start);
    let policy = handshake::hello(start).and_then(|hello| {
        let payload = cose::unverified_payload(&hello.policy).ok()?;
        cbor::read::<Policy>(payload).ok()
    });
    let timings = policy
        .and_then(|policy| policy.in_force(None).ok())
        .map(|in_force| in_force.timings)
        .unwrap_or_default();
    (open.map(|open| open.device_id).unwrap_or_default(), timings.lease_ms)
}
