//! Incident ids that clients choose, and the ids under which the log files their evidence. Pure.
//!
//! A client names an incident before the host hears of it, because its pictures are bound to the id. The
//! log uses that id only if it was made in this session and is new: with the id of an old incident, new
//! evidence would be filed under the old one, with its age and its end of retention.

use std::collections::{BTreeSet, VecDeque};

use sudare_protocol::message::Id;
use sudare_protocol::session::is_named_in;

/// Ids accepted in one session. The host names any further incident itself.
const IDS_MAX: usize = 4_096;
/// Aliases whose pictures may still come; a client that keeps locking loses its oldest.
const ALIASES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct IncidentIds {
    accepted: BTreeSet<Id>,
    /// The client's id and ours, newest last.
    aliases: VecDeque<(Id, Id)>,
}

impl IncidentIds {
    /// Another session begins on this connection. Pictures of the previous one may still come.
    pub(super) fn begin(&mut self) {
        self.accepted.clear();
    }

    /// Whether an incident that begins now may have the id that the client chose.
    pub(super) fn accept(&mut self, named: Id, session_id: &Id) -> bool {
        is_named_in(session_id, named) && self.accepted.len() < IDS_MAX && self.accepted.insert(named)
    }

    /// The client's `named` is `ours` in the log.
    pub(super) fn alias(&mut self, named: Id, ours: Id) {
        if named == ours {
            return;
        }
        self.aliases.retain(|(client, _)| *client != named);
        self.aliases.push_back((named, ours));
        while self.aliases.len() > ALIASES_MAX {
            self.aliases.pop_front();
        }
    }

    /// The log's id for the client's `named`.
    pub(super) fn ours(&self, named: Id) -> Id {
        self.aliases.iter().find(|(client, _)| *client == named).map_or(named, |(_, ours)| *ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_protocol::session::incident_id;

    const SESSION: Id = [7; 16];

    #[test]
    fn an_id_is_accepted_once_and_in_its_own_session_only() {
        let mut ids = IncidentIds::default();
        let named = incident_id(&SESSION, [1; 16]);
        assert!(ids.accept(named, &SESSION));
        assert!(!ids.accept(named, &SESSION), "the second time");
        assert!(!ids.accept(incident_id(&[8; 16], [1; 16]), &SESSION), "another session's");
        assert!(!ids.accept([1; 16], &SESSION), "nobody's");
    }

    #[test]
    fn a_client_that_names_without_end_fills_nothing() {
        let mut ids = IncidentIds::default();
        for n in 0..10_000_u64 {
            let mut fresh = [0; 16];
            fresh[..8].copy_from_slice(&n.to_be_bytes());
            let named = incident_id(&SESSION, fresh);
            assert_eq!(ids.accept(named, &SESSION), n < 4_096);
            ids.alias(named, [9; 16]);
        }
        assert_eq!((ids.accepted.len(), ids.aliases.len()), (IDS_MAX, ALIASES_MAX));
    }

    #[test]
    fn pictures_are_filed_under_our_id() {
        let mut ids = IncidentIds::default();
        ids.alias([1; 16], [2; 16]);
        ids.alias([3; 16], [3; 16]);
        ids.begin();
        assert_eq!([[1; 16], [3; 16]].map(|named| ids.ours(named)), [[2; 16], [3; 16]]);
    }
}
