//! What a session tells the log.

use sudare_protocol::evidence::event::{Cover, Gap, Liveness, LivenessResult, Note, PresenceInterval};
use sudare_protocol::evidence::note::{NoteCode, rules_value};
use sudare_protocol::groups::InForce;
use sudare_protocol::message::{Id, Shown, Status};
use sudare_protocol::reason::Reason;

use super::driver::Session;
use super::evidence::{Job, What};
use super::link::End;
use super::rate_limit::MESSAGE_COSTS;
use super::shots::Given;
use crate::decision::COVER_CONFIRM_MAX_MS;

impl Session {
    /// Nothing is logged of a session that has not begun.
    pub(super) fn keep(&self, incident_id: Option<Id>, what: What) {
        if self.started {
            self.shared.evidence.keep(Job { session_id: self.session_id, incident_id, what });
        }
    }

    pub(super) fn keep_rollup(&self, ended: Option<PresenceInterval>) {
        if let Some(interval) = ended {
            self.keep(None, What::Presence(interval));
        }
    }

    pub(super) fn keep_notice(&self, code: u16) {
        self.keep(self.decider.incident_id(), What::Note(Note { code, value: 0 }));
    }

    pub(super) fn keep_check(&self, result: LivenessResult, opened: bool) {
        let check = Liveness { boot_ms: self.now.boot_ms, result: result.number(), opened };
        self.keep(None, What::Liveness(check));
    }

    /// By which rules of the policy this session is guarded, where it has several.
    pub(super) fn keep_rules(&self, in_force: &InForce) {
        let policy = self.rules.policy.record();
        if !policy.groups().is_empty() {
            let group = policy.group_number(in_force.group.as_deref());
            let value = rules_value(group, in_force, in_force.is_observed(self.now.wall_ms));
            self.keep(None, What::Note(NoteCode::Rules.with(value)));
        }
    }

    /// What would have covered. The client causes it, so that it is bounded as whatever else clients cause.
    pub(super) fn keep_observed(&mut self, reason: Reason) {
        if self.spend(MESSAGE_COSTS).is_ok() {
            let note = NoteCode::Observed.with(reason.number().into());
            self.keep(self.decider.incident_id(), What::Note(note));
        }
    }

    pub(super) fn keep_gap(&self, reason: Reason, from_boot_ms: u64) {
        let gap = Gap { from_boot_ms, to_boot_ms: self.now.boot_ms };
        self.keep(None, What::Gap { reason, gap });
    }

    /// What is shown has changed, and this was confirmed.
    pub(super) fn keep_shown(&mut self, status: Status) {
        match status.shown {
            Shown::Covered => {
                let effective_boot_ms = status.boot_ms;
                let asked_boot_ms = self.covering_since_ms.take().unwrap_or(effective_boot_ms);
                let cover = Cover { asked_boot_ms, effective_boot_ms, confirmed: true, cause_seq: None };
                self.keep(status.incident_id, What::Cover { reason: status.reason, cover });
            }
            Shown::Visible => self.keep(None, What::Uncover { boot_ms: status.boot_ms }),
        }
    }

    /// Nobody knows whether the desktop could be seen until now; the log has to say so.
    pub(super) fn keep_unconfirmed(&self) {
        let now_ms = self.now.boot_ms;
        let asked_boot_ms =
            self.covering_since_ms.unwrap_or_else(|| now_ms.saturating_sub(COVER_CONFIRM_MAX_MS));
        let cover = Cover { asked_boot_ms, effective_boot_ms: now_ms, confirmed: false, cause_seq: None };
        self.keep(self.decider.incident_id(), What::Cover { reason: Reason::CoverFault, cover });
    }

    pub(super) fn open_incident_if_ready(&mut self) {
        if let Some(given) = self.shots.ready(self.now.boot_ms) {
            self.keep_incident(given);
        }
    }

    fn keep_incident(&self, Given { due, mut shots, missing }: Given) {
        let mut dropped = 0;
        // Where evidence is required nothing is dropped: the session is covered until it can be stored.
        if !self.evidence_is_required() && !self.shared.evidence.health().takes_pictures() {
            dropped = u16::try_from(shots.len()).unwrap_or(u16::MAX);
            shots.clear();
        }
        let recipients = self.rules.recipients.clone();
        let what = What::Incident { reason: due.reason, boot_ms: due.boot_ms, shots, dropped, recipients };
        self.keep(Some(due.incident_id), what);
        // Not counted as missing: nothing that was due is lost, and the log says why there is none.
        for why in missing {
            let note = NoteCode::ScreenshotMissing.with(why.number().into());
            self.keep(Some(due.incident_id), What::Note(note));
        }
    }

    /// The desktop is shown although nothing is kept, where the policy allows it: that time is a gap.
    pub(super) fn watch_gap(&mut self, is_kept: bool) {
        if is_kept {
            self.end_gap();
        } else if self.started && self.decider.shown() == Shown::Visible {
            self.unkept_since_ms.get_or_insert(self.now.boot_ms);
        }
    }

    fn end_gap(&mut self) {
        if let Some(from_boot_ms) = self.unkept_since_ms.take() {
            self.keep_gap(Reason::EvidenceNotKept, from_boot_ms);
        }
    }

    /// The session's end. What an incident still waited for is kept as it is.
    pub(super) fn finish(&mut self, reason: Reason) {
        self.end = End::Closed;
        if let Some(given) = self.shots.give() {
            self.keep_incident(given);
        }
        self.end_gap();
        let ended = self.rollup.end();
        self.keep_rollup(ended);
        self.keep(None, What::SessionEnd { reason, boot_ms: self.now.boot_ms });
        self.started = false;
    }
}
