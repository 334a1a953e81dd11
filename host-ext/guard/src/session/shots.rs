//! Screenshots, requested and taken: kept in memory until an incident needs them.

use std::collections::VecDeque;

use sudare_protocol::evidence::Label;
use sudare_protocol::evidence::note::Missing;
use sudare_protocol::message::Id;
use sudare_protocol::reason::Reason;

use crate::decision::Shot;
use crate::screen::Screenshot;

/// Screenshots requested and not yet taken; more are never needed.
const ASKED_MAX: usize = 4;
/// How long an incident waits for its screenshots. One requested of a screen that was
/// already covered, never arrives.
const WAIT_MS: u64 = 5_000;

/// An incident that waits for its screenshots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) incident_id: Id,
    pub(super) reason: Reason,
    pub(super) boot_ms: u64,
}

/// An incident with the screenshots that there are, and why there are no more.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) due: Due,
    pub(super) shots: Vec<(Label, Screenshot)>,
    pub(super) missing: Vec<Missing>,
}

#[derive(Debug, Default)]
pub(super) struct Shots {
    next_ticket: u64,
    asked: VecDeque<(u64, Shot)>,
    suspect: Option<Screenshot>,
    cover: Option<Screenshot>,
    /// Those that can never arrive, until an incident says so.
    missing: Vec<(Shot, Missing)>,
    due: Option<Due>,
}

impl Shots {
    /// A ticket for the cover's answer.
    pub(super) fn ask(&mut self, shot: Shot) -> u64 {
        self.next_ticket += 1;
        if shot == Shot::Cover {
            self.cover = None;
        }
        self.missing.retain(|(of, _)| *of != shot);
        self.asked.push_back((self.next_ticket, shot));
        while self.asked.len() > ASKED_MAX {
            self.asked.pop_front();
        }
        self.next_ticket
    }

    pub(super) fn taken(&mut self, ticket: u64, picture: Screenshot) {
        let Some(at) = self.asked.iter().position(|(t, _)| *t == ticket) else { return };
        match self.asked.remove(at) {
            Some((_, Shot::Suspect)) => self.suspect = Some(picture),
            Some((_, Shot::Cover)) => self.cover = Some(picture),
            None => {}
        }
    }

    /// There will be none with this ticket.
    pub(super) fn missing(&mut self, ticket: u64, why: Missing) {
        let Some(at) = self.asked.iter().position(|(t, _)| *t == ticket) else { return };
        self.missing.extend(self.asked.remove(at).map(|(_, shot)| (shot, why)));
    }

    pub(super) fn drop_suspect(&mut self) {
        self.suspect = None;
        self.missing.retain(|(shot, _)| *shot != Shot::Suspect);
        self.asked.retain(|(_, shot)| *shot != Shot::Suspect);
    }

    pub(super) fn need(&mut self, due: Due) {
        self.due = Some(due);
    }

    /// The incident and its screenshots, once each has arrived or is known to be missing, or the wait is over.
    pub(super) fn ready(&mut self, now_ms: u64) -> Option<Given> {
        let is_late = now_ms.saturating_sub(self.due?.boot_ms) >= WAIT_MS;
        if is_late {
            self.asked.clear();
        }
        if self.asked.is_empty() { self.give() } else { None }
    }

    /// As `ready`, without waiting.
    pub(super) fn give(&mut self) -> Option<Given> {
        let due = self.due.take()?;
        let suspect = self.suspect.take().map(|p| (Label::ScreenshotSuspect, p));
        let cover = self.cover.take().map(|p| (Label::ScreenshotAtCover, p));
        let missing = std::mem::take(&mut self.missing).into_iter().map(|(_, why)| why).collect();
        Some(Given { due, shots: suspect.into_iter().chain(cover).collect(), missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_waits_for_its_screenshots_and_not_for_ever() {
        let due = Due { incident_id: [1; 16], reason: Reason::Stranger, boot_ms: 100 };
        let picture = || Screenshot { width: 1, height: 1, bgra: [0; 4].to_vec().into() };
        let labels = |given: Option<Given>| -> Option<Vec<Label>> {
            given.map(|given| given.shots.into_iter().map(|(label, _)| label).collect())
        };
        let mut shots = Shots::default();
        let suspect = shots.ask(Shot::Suspect);
        let cover = shots.ask(Shot::Cover);
        assert_eq!(labels(shots.ready(WAIT_MS * 2)), None, "no incident, however long");
        shots.need(due);
        shots.taken(suspect, picture());
        assert_eq!(labels(shots.ready(100 + WAIT_MS - 1)), None);
        assert_eq!(labels(shots.ready(100 + WAIT_MS)), Some(vec![Label::ScreenshotSuspect]));
        // A screenshot that arrives too late is not mistaken for one of a later incident.
        shots.taken(cover, picture());
        shots.need(Due { boot_ms: 9_000, ..due });
        assert_eq!(labels(shots.ready(9_000)), Some(vec![]));
    }

    #[test]
    fn an_incident_waits_no_longer_for_what_can_never_arrive() {
        let due = Due { incident_id: [1; 16], reason: Reason::Stranger, boot_ms: 100 };
        let mut shots = Shots::default();
        let (suspect, cover) = (shots.ask(Shot::Suspect), shots.ask(Shot::Cover));
        shots.missing(suspect, Missing::Codec);
        shots.need(due);
        assert!(shots.ready(100).is_none(), "the other one may arrive");
        shots.missing(cover, Missing::Incomplete);
        let given = shots.ready(100).unwrap();
        assert!(given.shots.is_empty());
        assert_eq!(given.missing, [Missing::Codec, Missing::Incomplete]);
        // Of a suspicion that came to nothing, no incident speaks; and what was never asked is not believed.
        let suspect = shots.ask(Shot::Suspect);
        shots.missing(suspect, Missing::Codec);
        shots.missing(77, Missing::TooMuch);
        shots.drop_suspect();
        shots.need(due);
        assert!(shots.ready(100).unwrap().missing.is_empty());
    }
}
