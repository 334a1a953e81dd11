//! What a client calls its incidents, and what they are called in the log, pure.
//!
//! A client names an incident before the host hears of it, because its pictures are bound to the name. The
//! name is taken over only if it was made in this session and is new: a name of an old incident would file
//! new evidence under it, with its age and its end of retention.

use std::collections::{BTreeSet, VecDeque};

use sudare_protocol::message::Id;
use sudare_protocol::session::is_named_in;

/// Names taken over in one session. After so many incidents the host names the others itself.
const NAMES_MAX: usize = 4_096;
/// Aliases whose pictures may still come; a client that goes on locking loses its oldest.
const ALIASES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<Id>,
    /// The client's name and ours, newest last.
    aliases: VecDeque<(Id, Id)>,
}

impl Names {
    /// Another session begins on this connection. Pictures of the one before may still come.
    pub(super) fn begin(&mut self) {
        self.taken.clear();
    }

    /// Whether an incident that begins now may have the client's name.
    pub(super) fn take(&mut self, named: Id, session_id: &Id) -> bool {
        is_named_in(session_id, named) && self.taken.len() < NAMES_MAX && self.taken.insert(named)
    }

    /// What the client calls `named` is `ours` in the log.
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

    /// The log's name for what the client calls `named`.
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
    fn a_name_is_taken_once_and_in_its_own_session_only() {
        let mut names = Names::default();
        let named = incident_id(&SESSION, [1; 16]);
        assert!(names.take(named, &SESSION));
        assert!(!names.take(named, &SESSION), "a second time");
        assert!(!names.take(incident_id(&[8; 16], [1; 16]), &SESSION), "of another session");
        assert!(!names.take([1; 16], &SESSION), "of none");
    }

    #[test]
    fn a_client_that_names_without_end_fills_nothing() {
        let mut names = Names::default();
        for n in 0..10_000_u64 {
            let mut fresh = [0; 16];
            fresh[..8].copy_from_slice(&n.to_be_bytes());
            let named = incident_id(&SESSION, fresh);
            assert_eq!(names.take(named, &SESSION), n < 4_096);
            names.alias(named, [9; 16]);
        }
        assert_eq!((names.taken.len(), names.aliases.len()), (NAMES_MAX, ALIASES_MAX));
    }

    #[test]
    fn pictures_are_filed_under_our_name() {
        let mut names = Names::default();
        names.alias([1; 16], [2; 16]);
        names.alias([3; 16], [3; 16]);
        names.begin();
        assert_eq!([[1; 16], [3; 16]].map(|named| names.ours(named)), [[2; 16], [3; 16]]);
    }
}
