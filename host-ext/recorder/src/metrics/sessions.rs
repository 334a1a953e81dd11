//! Which sessions there are now, and what is shown of each: followed through their entries. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::reason::Reason;

/// Sessions that are followed. More than guards can be connected at once.
const SESSIONS_MAX: usize = 2_048;

/// What is shown of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Visible,
    Covered(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    /// The guard that reports it.
    source: Id,
    shown: Shown,
}

/// The sessions whose end was not reported yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sessions {
    open: BTreeMap<Id, Session>,
}

impl Sessions {
    /// Takes an entry of a session. Returns what was shown before it; `None` if that is not known.
    pub(crate) fn note(
        &mut self,
        source: Id,
        session_id: Id,
        reason: Option<Reason>,
        event: &Event,
    ) -> Option<Shown> {
        let reason = reason.unwrap_or(Reason::None);
        let shown = match event {
            Event::SessionStart(_) => Shown::Covered(Reason::Starting),
            Event::Cover(_) => Shown::Covered(reason),
            Event::Uncover(_) => Shown::Visible,
            Event::SessionEnd(_) => return self.open.remove(&session_id).map(|before| before.shown),
            _ => return self.open.get(&session_id).map(|session| session.shown),
        };
        let before = self.open.insert(session_id, Session { source, shown });
        if self.open.len() > SESSIONS_MAX {
            let other = self.open.keys().find(|id| **id != session_id).copied();
            other.map(|id| self.open.remove(&id));
        }
        before.map(|before| before.shown)
    }

    /// What is shown of those whose guard is there. A guard that was killed reports no end.
    pub(crate) fn now(&self, is_connected: impl Fn(&Id) -> bool) -> impl Iterator<Item = Shown> {
        self.open.values().filter(move |session| is_connected(&session.source)).map(|session| session.shown)
    }
}

#[cfg(test)]
mod tests {
    use sudare_protocol::evidence::event::{Cover, SessionEnd, SessionStart, Uncover};

    use super::*;

    fn start() -> Event {
        Event::SessionStart(SessionStart {
            hello: vec![],
            open: vec![],
            device_key: [0; 32],
            device_record_sha256: [0; 32],
            subject_id: None,
        })
    }

    fn cover() -> Event {
        Event::Cover(Cover { asked_boot_ms: 1, effective_boot_ms: 2, confirmed: true, cause_seq: None })
    }

    #[test]
    fn a_session_is_covered_until_it_is_shown_and_gone_once_it_ends() {
        let mut sessions = Sessions::default();
        let all = |sessions: &Sessions| sessions.now(|_| true).collect::<Vec<_>>();
        assert_eq!(sessions.note([1; 16], [2; 16], Some(Reason::Starting), &start()), None);
        assert_eq!(all(&sessions), [Shown::Covered(Reason::Starting)]);
        sessions.note([1; 16], [2; 16], None, &Event::Uncover(Uncover { boot_ms: 3 }));
        assert_eq!(sessions.note([1; 16], [2; 16], Some(Reason::Stranger), &cover()), Some(Shown::Visible));
        assert_eq!(all(&sessions), [Shown::Covered(Reason::Stranger)]);
        assert_eq!(sessions.now(|source| *source != [1; 16]).count(), 0, "its guard was killed");
        sessions.note([1; 16], [2; 16], None, &Event::SessionEnd(SessionEnd { boot_ms: 4 }));
        assert_eq!(all(&sessions), []);
    }

    #[test]
    fn sessions_without_end_fill_no_memory_and_the_newest_stays() {
        let mut sessions = Sessions::default();
        for n in (0..3_000_u128).rev() {
            sessions.note([1; 16], n.to_be_bytes(), None, &start());
        }
        assert_eq!(sessions.open.len(), SESSIONS_MAX);
        assert!(sessions.open.contains_key(&0_u128.to_be_bytes()));
    }
}
