//! What is counted, from the entries that went into the log and from the recorder's own turns. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

use sudare_evidence::report::NewEntries;
use sudare_evidence::report::wire::NewEntry;
use sudare_protocol::evidence::event::LivenessResult;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::reason::Reason;

use super::sessions::{Sessions, Shown};

/// Upper ends of the classes of times, in milliseconds. The host's clock counts whole ones.
pub(super) const CLASSES_MS: [u64; 10] = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/// What asks for the recorder's state only: its own watchdog, and doctor.
const NOBODY: Id = [0; 16];
/// As a label, a number that a later version writes.
const UNKNOWN: &str = "unknown";

/// The reasons by which somebody is not at the seat, or hid it: figures do not tell them apart, so that they are no
/// record of anybody's breaks.
const AWAY: [Reason; 3] = [Reason::Absent, Reason::Break, Reason::OperatorAsked];

/// A reason as the value of a label.
pub(super) fn label(reason: Reason) -> &'static str {
    if AWAY.contains(&reason) { "away" } else { reason.as_str() }
}

pub(super) type Counts = BTreeMap<&'static str, u64>;

/// How often something took how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// Of each class, and of what took longer than any of them.
    pub(super) counts: [u64; CLASSES_MS.len() + 1],
    pub(super) sum_ms: u64,
}

impl Times {
    fn take(&mut self, ms: u64) {
        let class = CLASSES_MS.iter().position(|most| ms <= *most).unwrap_or(CLASSES_MS.len());
        if let Some(count) = self.counts.get_mut(class) {
            *count += 1;
        }
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }
}

/// The log as it stood at a turn of the recorder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogSize {
    pub(crate) entries: u64,
    /// Entries under the newest checkpoint.
    pub(crate) signed: u64,
    /// Entries that the copy has, and the age of the oldest that it lacks; where there is a copy.
    pub(crate) shipped: Option<(u64, u64)>,
}

/// Everything that was counted since the recorder's start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(super) started: u64,
    pub(super) ended: u64,
    pub(super) covers: Counts,
    pub(super) unconfirmed: u64,
    pub(super) black: Times,
    pub(super) lease_losses: u64,
    pub(super) wrong: Counts,
    pub(super) incidents: Counts,
    pub(super) gaps: Counts,
    pub(super) notes: Counts,
    pub(super) liveness: Counts,
    pub(super) recording: Times,
    pub(super) log: LogSize,
    /// Since when reports wait that could not be stored, on the monotonic clock.
    pub(super) waiting_since_ms: Option<u64>,
    pub(super) store_fails: bool,
    /// The recorder's last turn, on the monotonic clock.
    pub(super) turned_ms: Option<u64>,
    pub(super) sessions: Sessions,
    connected: BTreeMap<Id, u32>,
}

impl Tally {
    /// Counts entries that are in the log now.
    pub(crate) fn take(&mut self, new: &NewEntries) {
        new.entries.iter().for_each(|entry| self.entry(new.source, entry));
    }

    fn entry(&mut self, source: Id, entry: &NewEntry) {
        let Ok(event) = Event::decode(entry.kind, &entry.body) else { return };
        let reason = entry.reason.and_then(Reason::from_number);
        let before = entry.session_id.and_then(|id| self.sessions.note(source, id, reason, &event));
        let name = reason.map_or(UNKNOWN, label);
        match event {
            Event::SessionStart(_) => self.started += 1,
            Event::SessionEnd(_) => self.ended += 1,
            Event::Cover(cover) => {
                if reason == Some(Reason::LinkLost) && before != Some(Shown::Covered(Reason::LinkLost)) {
                    self.lease_losses += 1;
                }
                // What is covered for another reason now was black all the time.
                if matches!(before, Some(Shown::Covered(_))) {
                    return;
                }
                add(&mut self.covers, name);
                match cover.confirmed {
                    true => self.black.take(cover.effective_boot_ms.saturating_sub(cover.asked_boot_ms)),
                    false => self.unconfirmed += 1,
                }
            }
            Event::IncidentOpen(_) => add(&mut self.incidents, name),
            Event::Gap(_) => add(&mut self.gaps, name),
            Event::Liveness(check) => {
                add(
                    &mut self.liveness,
                    LivenessResult::from_number(check.result).map_or(UNKNOWN, LivenessResult::as_str),
                );
            }
            Event::Note(note) => {
                let code = NoteCode::from_number(note.code);
                add(&mut self.notes, code.map_or(UNKNOWN, NoteCode::as_str));
                if code == Some(NoteCode::WrongBlock) {
                    let about = u8::try_from(note.value).ok().and_then(Reason::from_number);
                    add(&mut self.wrong, about.map_or(UNKNOWN, label));
                }
            }
            _ => {}
        }
    }

    /// The sessions that the end of the log tells of, once the log was opened.
    pub(crate) fn opened(&mut self, sessions: Sessions) {
        self.sessions = sessions;
    }

    /// Reports are durable that came `ms` ago.
    pub(crate) fn recorded(&mut self, ms: u64) {
        self.recording.take(ms);
        self.waiting_since_ms = None;
    }

    /// Reports could not be stored; their guards keep them and come again.
    pub(crate) fn not_recorded(&mut self, now_ms: u64) {
        self.waiting_since_ms.get_or_insert(now_ms);
    }

    /// A turn of the thread that owns the log is over. `log` is `None` while it cannot be used.
    pub(crate) fn turned(&mut self, log: Option<LogSize>, now_ms: u64) {
        self.turned_ms = Some(now_ms);
        self.store_fails = log.is_none();
        self.log = log.unwrap_or(self.log);
    }

    pub(crate) fn connected(&mut self, source: Id) {
        if source != NOBODY {
            *self.connected.entry(source).or_default() += 1;
        }
    }

    pub(crate) fn left(&mut self, source: Id) {
        if let Some(count) = self.connected.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.connected.remove(&source);
            }
        }
    }

    pub(super) fn guards(&self) -> usize {
        self.connected.len()
    }

    pub(super) fn shown(&self) -> impl Iterator<Item = Shown> {
        self.sessions.now(|source| self.connected.contains_key(source))
    }
}

fn add(counts: &mut Counts, name: &'static str) {
    *counts.entry(name).or_default() += 1;
}

#[cfg(test)]
pub(super) mod tests {
    use sudare_protocol::evidence::event::{Cover, Gap, IncidentOpen, Liveness, SessionEnd, Uncover};

    use super::*;
    use crate::accounting;

    pub(crate) const SESSION: Id = [2; 16];
    const GUARD: Id = [1; 16];

    pub(crate) fn entry(reason: Option<Reason>, event: &Event) -> NewEntry {
        let (kind, body) = event.encode();
        NewEntry {
            session_id: Some(SESSION),
            incident_id: None,
            reason: reason.map(Reason::number),
            blobs: vec![],
            kind,
            body,
        }
    }

    fn cover(reason: Reason, ms: u64, confirmed: bool) -> NewEntry {
        let cover = Cover { asked_boot_ms: 1_000, effective_boot_ms: 1_000 + ms, confirmed, cause_seq: None };
        entry(Some(reason), &Event::Cover(cover))
    }

    fn uncover() -> NewEntry {
        entry(None, &Event::Uncover(Uncover { boot_ms: 9 }))
    }

    fn end() -> NewEntry {
        entry(None, &Event::SessionEnd(SessionEnd { boot_ms: 9 }))
    }

    pub(crate) fn report(entries: Vec<NewEntry>) -> NewEntries {
        NewEntries { source: GUARD, serial: 1, entries, receipt: false, once: None }
    }

    #[test]
    fn a_cover_counts_once_and_its_time_with_it_and_another_reason_is_no_second_cover() {
        let mut tally = Tally::default();
        tally.take(&report(vec![
            accounting::tests::start(SESSION),
            uncover(),
            cover(Reason::Undecided, 7, true),
            cover(Reason::Stranger, 900, true),
            uncover(),
            cover(Reason::Stranger, 12, true),
            uncover(),
            cover(Reason::CoverFault, 2_000, false),
            end(),
        ]));
        let covers = [("cover-fault", 1), ("stranger", 1), ("undecided", 1)];
        assert_eq!(tally.covers.into_iter().collect::<Vec<_>>(), covers);
        assert_eq!((tally.started, tally.ended, tally.unconfirmed), (1, 1, 1));
        assert_eq!((tally.black.sum_ms, tally.black.counts[1], tally.black.counts[2]), (19, 1, 1));
        assert_eq!(tally.black.counts.iter().sum::<u64>(), 2, "one was never seen black");
    }

    #[test]
    fn breaks_and_absences_are_not_told_apart() {
        let mut tally = Tally::default();
        for reason in AWAY {
            tally.take(&report(vec![uncover(), cover(reason, 1, true)]));
        }
        assert_eq!(tally.covers.into_iter().collect::<Vec<_>>(), [("away", 3)]);
    }

    #[test]
    fn each_lost_lease_counts_once_also_while_something_else_covers() {
        let mut tally = Tally::default();
        let lost = || cover(Reason::LinkLost, 1, true);
        let entries =
            vec![uncover(), lost(), lost(), cover(Reason::Absent, 1, true), lost(), uncover(), lost()];
        tally.take(&report(entries));
        assert_eq!((tally.lease_losses, tally.covers["link-lost"]), (3, 2));
    }

    #[test]
    fn what_the_operator_calls_wrong_is_counted_by_the_reason_of_the_cover() {
        let mut tally = Tally::default();
        let note = |code: u16, value| {
            entry(None, &Event::Note(sudare_protocol::evidence::event::Note { code, value }))
        };
        let wrong = NoteCode::WrongBlock.number();
        let liveness = Liveness { boot_ms: 1, result: LivenessResult::Flat.number(), opened: false };
        tally.take(&report(vec![
            note(wrong, Reason::Onlooker.number().into()),
            note(wrong, u64::MAX),
            note(60_000, 1),
            entry(Some(Reason::Phone), &Event::IncidentOpen(IncidentOpen { boot_ms: 1 })),
            entry(Some(Reason::LinkLost), &Event::Gap(Gap { from_boot_ms: 1, to_boot_ms: 2 })),
            entry(None, &Event::Liveness(liveness)),
        ]));
        assert_eq!((tally.wrong["onlooker"], tally.wrong[UNKNOWN]), (1, 1));
        assert_eq!((tally.notes["wrong-block"], tally.notes[UNKNOWN]), (2, 1));
        assert_eq!((tally.incidents["phone"], tally.gaps["link-lost"], tally.liveness["flat"]), (1, 1, 1));
    }

    #[test]
    fn only_sessions_whose_guard_is_connected_are_there_now() {
        let mut tally = Tally::default();
        tally.take(&report(vec![accounting::tests::start(SESSION), uncover()]));
        assert_eq!(tally.shown().count(), 0);
        tally.connected(GUARD);
        tally.connected(GUARD);
        tally.connected(NOBODY);
        assert_eq!((tally.guards(), tally.shown().collect::<Vec<_>>()), (1, vec![Shown::Visible]));
        tally.left(GUARD);
        assert_eq!(tally.shown().count(), 1, "the old connection of a guard that has come again");
        tally.left(GUARD);
        tally.left(NOBODY);
        assert_eq!((tally.guards(), tally.shown().count()), (0, 0));
    }

    #[test]
    fn what_waits_is_as_old_as_the_first_report_that_was_not_stored() {
        let mut tally = Tally::default();
        tally.not_recorded(5);
        tally.not_recorded(9);
        assert_eq!(tally.waiting_since_ms, Some(5));
        tally.turned(None, 10);
        assert!(tally.store_fails);
        tally.recorded(3);
        tally.turned(Some(LogSize { entries: 7, ..LogSize::default() }), 11);
        assert_eq!((tally.waiting_since_ms, tally.store_fails, tally.log.entries), (None, false, 7));
        tally.turned(None, 12);
        assert_eq!(tally.log.entries, 7, "what is known of it stays");
    }
}
