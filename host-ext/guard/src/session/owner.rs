//! Whose desktop it is: the operator recognised must be the user whose session this is.
//!
//! ```text
//!  the transport: LoginScreen | SigningIn | Session { uid } | Unknown
//!  the device's record: the user's name ─ name service of this host ─► uid
//!                      │ both
//!                      ▼
//!            own, pending, other ─► decision
//! ```
//! Users are compared by uid: one user may have several names, and two users never have one uid. What the client says
//! of itself counts only where nothing can tell.

use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::message::Shown;
use sudare_protocol::reason::Reason;

use super::driver::Session;
use super::evidence::What;
use crate::decision::{Event, Whose};
use crate::transport::{Action, Owner, OwnerRule};

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// What the transport said last.
    owner: Option<Owner>,
    /// For whom the authenticated device is enrolled.
    operator: Option<Operator>,
    /// Somebody else's desktop was behind the cover, and what waits there may be of it: for the whole connection.
    others: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Uid(u32),
    /// This host has no user of that name.
    Nobody,
}

impl Ownership {
    /// Another device may come.
    pub(super) fn forget_operator(&mut self) {
        self.operator = None;
    }
}

impl Session {
    /// The name that the client gave, where it has to be that of the device's user.
    pub(super) fn claimed_user(&self) -> Option<String> {
        match self.info.owner {
            // The kernel's word replaces it. Names differ although the user is the same.
            Some(OwnerRule::Kernel) => None,
            Some(OwnerRule::Credentials | OwnerRule::Policy) | None => self.info.user.clone(),
        }
    }

    /// A device proved itself: for whom it is enrolled.
    pub(super) fn known(&mut self, user: &str) {
        if let Some(rule) = self.info.owner {
            self.keep(None, What::Note(NoteCode::Owner.with(rule.number())));
        }
        if self.info.owner == Some(OwnerRule::Kernel) {
            let found = (self.shared.uid_of)(user);
            self.ownership.operator = Some(found.map_or(Operator::Nobody, Operator::Uid));
            if found.is_none() {
                tracing::warn!(
                    "this host has no user with the name in the device's record. Enrol the device for a user of \
                     this host, or look at its name service"
                );
            }
            self.note_mismatch();
        }
    }

    /// The transport learned something.
    pub(super) fn on_owner(&mut self, owner: Owner, actions: &mut Vec<Action>) {
        let said_before = self.obstacle(Reason::OtherUser).map(str::to_owned);
        self.ownership.owner = Some(owner);
        self.note_mismatch();
        self.decide(Event::Owner(self.whose()), actions);
        let reason = self.decider.reason();
        let news = self.obstacle(Reason::OtherUser) != said_before.as_deref();
        if news && reason == Reason::OtherUser && self.decider.shown() == Shown::Covered {
            self.tell_cover(reason, actions);
        }
    }

    /// As the decision takes it.
    pub(super) fn whose(&self) -> Whose {
        if self.info.owner != Some(OwnerRule::Kernel) {
            return Whose::Own;
        }
        match (&self.ownership.owner, self.ownership.operator) {
            _ if self.ownership.others => Whose::Other,
            (None | Some(Owner::SigningIn), _) => Whose::Pending,
            (Some(Owner::LoginScreen), _) => Whose::Own,
            (Some(Owner::Session { uid }), Some(Operator::Uid(operator))) if *uid == operator => Whose::Own,
            // Nobody has proved anything yet; without a client it is covered in any case.
            (Some(Owner::Session { .. }), None) => Whose::Pending,
            (Some(Owner::Session { .. } | Owner::Unknown(_)), _) => Whose::Other,
        }
    }

    /// Why it cannot be told, for the cover.
    pub(super) fn obstacle(&self, reason: Reason) -> Option<&str> {
        match (&self.ownership.owner, self.ownership.operator) {
            _ if reason != Reason::OtherUser => None,
            (Some(Owner::Unknown(why)), _) => Some(why),
            (Some(Owner::Session { .. }), Some(Operator::Nobody)) => Some("no such user"),
            _ => None,
        }
    }

    /// Somebody's device leads to another one's desktop: once in the log.
    fn note_mismatch(&mut self) {
        if let (Some(Owner::Session { uid }), Some(Operator::Uid(operator))) =
            (&self.ownership.owner, self.ownership.operator)
            && *uid != operator
        {
            self.ownership.others = true;
            self.on_notice(NoteCode::OwnerMismatch);
        }
    }
}
