//! Screenshots asked for and taken: kept in memory until an incident needs them.

use std::collections::VecDeque;

use sudare_protocol::evidence::Label;
use sudare_protocol::message::Id;
use sudare_protocol::reason::Reason;

use crate::channel::Picture;
use crate::guard::Shot;

/// Screenshots asked for and not yet answered; more are not needed.
const ASKED_MAX: usize = 4;

/// An incident that waits for its screenshots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) incident_id: Id,
    pub(super) reason: Reason,
    pub(super) boot_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Shots {
    next_ticket: u64,
    asked: VecDeque<(u64, Shot)>,
    suspect: Option<Picture>,
    cover: Option<Picture>,
    due: Option<Due>,
}

impl Shots {
    /// A ticket for the transport's answer.
    pub(super) fn ask(&mut self, shot: Shot) -> u64 {
        self.next_ticket += 1;
        if shot == Shot::Cover {
            self.cover = None;
        }
        self.asked.push_back((self.next_ticket, shot));
        while self.asked.len() > ASKED_MAX {
            self.asked.pop_front();
        }
        self.next_ticket
    }

    pub(super) fn taken(&mut self, ticket: u64, picture: Picture) {
        let Some(at) = self.asked.iter().position(|(t, _)| *t == ticket) else { return };
        match self.asked.remove(at) {
            Some((_, Shot::Suspect)) => self.suspect = Some(picture),
            Some((_, Shot::Cover)) => self.cover = Some(picture),
            None => {}
        }
    }

    pub(super) fn drop_suspect(&mut self) {
        self.suspect = None;
        self.asked.retain(|(_, shot)| *shot != Shot::Suspect);
    }

    pub(super) fn need(&mut self, due: Due) {
        self.due = Some(due);
    }

    /// The incident and its screenshots, once nothing that was asked for is missing.
    pub(super) fn ready(&mut self) -> Option<(Due, Vec<(Label, Picture)>)> {
        if !self.asked.is_empty() {
            return None;
        }
        self.give()
    }

    /// As `ready`, with what there is.
    pub(super) fn give(&mut self) -> Option<(Due, Vec<(Label, Picture)>)> {
        let due = self.due.take()?;
        let suspect = self.suspect.take().map(|p| (Label::ScreenshotSuspect, p));
        let cover = self.cover.take().map(|p| (Label::ScreenshotAtCover, p));
        Some((due, suspect.into_iter().chain(cover).collect()))
    }
}
