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

use sudare_protocol::cose::KeyId;
use sudare_protocol::enrol::{Admission, Invited};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::groups::Membership;
use sudare_protocol::host::{Admitted, Device, Devices, NotAdmitted};
use sudare_protocol::message::Id;
use sudare_protocol::message::Shown;
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{RecordError, Signed};
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::withdrawal::Withdrawal;

use super::driver::Session;
use super::evidence::What;
use crate::decision::{Event, Whose};
use crate::transport::{Action, Owner, OwnerRule};

/// The registry, for which two names are one user where this host's name service says so: `DOMAIN\user`, `user@domain`,
/// or a second name of one uid.
pub(super) struct ByUser<'a> {
    devices: &'a dyn Devices,
    uid_of: fn(&str) -> Option<u32>,
}

impl Devices for ByUser<'_> {
    fn find(&self, device_id: &Id) -> Result<Option<Device>, RecordError> {
        self.devices.find(device_id)
    }

    fn invitation(&self, key: &KeyId) -> Result<Option<Invited>, RecordError> {
        self.devices.invitation(key)
    }

    fn withdraw(&self, device_id: &Id, withdrawal: &Signed<Withdrawal>) -> Result<bool, NotAdmitted> {
        self.devices.withdraw(device_id, withdrawal)
    }

    fn admit(
        &self,
        admission: &Admission,
        template: Option<&OperatorTemplate>,
    ) -> Result<Admitted, NotAdmitted> {
        self.devices.admit(admission, template)
    }

    fn membership(&self, user: &str, group: &str) -> Membership {
        self.devices.membership(user, group)
    }

    fn is_same_user(&self, claimed: &str, enrolled: &str) -> bool {
        let uid = |name| (self.uid_of)(name);
        claimed == enrolled || uid(claimed).is_some_and(|claimed| uid(enrolled) == Some(claimed))
    }
}

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// What the transport said last.
    owner: Option<Owner>,
    /// For whom the authenticated device is enrolled.
    operator: Option<Operator>,
    /// The name of that user, if this host has none of that name, in words for the cover.
    unknown: Option<String>,
    /// The device is another user's than the one who logs on: both, for the cover.
    refused: Option<String>,
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
        (self.operator, self.refused) = (None, None);
    }

    /// A device came that is another user's.
    pub(super) fn refuse(&mut self, names: &str) {
        self.refused = Some(names.to_owned());
    }

    /// For a cover with this reason.
    pub(super) fn names(&self, reason: Reason) -> Option<&str> {
        if reason == Reason::DeviceRefused { self.refused.as_deref() } else { None }
    }

    /// As the decision takes it.
    fn whose(&self) -> Whose {
        match (&self.owner, self.operator) {
            _ if self.others => Whose::Other,
            (None | Some(Owner::SigningIn), _) => Whose::Pending,
            (Some(Owner::LoginScreen), _) => Whose::Own,
            (Some(Owner::Session { uid }), Some(Operator::Uid(operator))) if *uid == operator => Whose::Own,
            // Nobody has proved anything yet; without a client it is covered in any case.
            (Some(Owner::Session { .. }), None) => Whose::Pending,
            (Some(Owner::Session { .. } | Owner::Unknown(_)), _) => Whose::Other,
        }
    }

    /// Whether somebody's device leads to another one's desktop, which is remembered.
    fn is_mismatch(&mut self) -> bool {
        let (Some(Owner::Session { uid }), Some(Operator::Uid(operator))) = (&self.owner, self.operator)
        else {
            return false;
        };
        let differs = *uid != operator;
        self.others |= differs;
        differs
    }

    /// Why it cannot be told.
    fn obstacle(&self) -> Option<&str> {
        match (&self.owner, self.operator) {
            (Some(Owner::Unknown(why)), _) => Some(why),
            (Some(Owner::Session { .. }), Some(Operator::Nobody)) => {
                Some(self.unknown.as_deref().unwrap_or("no such user"))
            }
            _ => None,
        }
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

    pub(super) fn by_user(&self) -> ByUser<'_> {
        ByUser { devices: self.shared.devices.as_ref(), uid_of: self.shared.uid_of }
    }

    /// A device proved itself: for whom it is enrolled.
    pub(super) fn known(&mut self, user: &str) {
        if let Some(rule) = self.info.owner {
            self.keep(None, What::Note(NoteCode::Owner.with(rule.number())));
        }
        if self.info.owner == Some(OwnerRule::Kernel) {
            let found = (self.shared.uid_of)(user);
            self.ownership.operator = Some(found.map_or(Operator::Nobody, Operator::Uid));
            self.ownership.unknown = found.is_none().then(|| format!("no such user: {user}"));
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
        if self.info.owner == Some(OwnerRule::Kernel) { self.ownership.whose() } else { Whose::Own }
    }

    /// Why it cannot be told, for a cover that says so.
    pub(super) fn obstacle(&self, reason: Reason) -> Option<&str> {
        if reason == Reason::OtherUser { self.ownership.obstacle() } else { None }
    }

    /// Somebody's device leads to another one's desktop: once in the log.
    fn note_mismatch(&mut self) {
        if self.ownership.is_mismatch() {
            self.on_notice(NoteCode::OwnerMismatch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(owner: Owner, operator: Option<Operator>) -> Ownership {
        Ownership { owner: Some(owner), operator, unknown: None, refused: None, others: false }
    }

    #[test]
    fn only_the_operators_own_desktop_and_a_log_on_screen_may_be_shown() {
        let (mine, nobody) = (Some(Operator::Uid(7)), Some(Operator::Nobody));
        let whose = |owner, operator| told(owner, operator).whose();
        assert_eq!(Ownership::default().whose(), Whose::Pending);
        assert_eq!(whose(Owner::SigningIn, mine), Whose::Pending);
        assert_eq!(whose(Owner::LoginScreen, mine), Whose::Own);
        assert_eq!(whose(Owner::Session { uid: 7 }, mine), Whose::Own);
        assert_eq!(whose(Owner::Session { uid: 8 }, mine), Whose::Other);
        assert_eq!(whose(Owner::Session { uid: 7 }, nobody), Whose::Other);
        assert_eq!(whose(Owner::Unknown("errno 1".into()), mine), Whose::Other);
        assert_eq!(told(Owner::Session { uid: 7 }, nobody).obstacle(), Some("no such user"));
        assert_eq!(told(Owner::Unknown("errno 1".into()), mine).obstacle(), Some("errno 1"));
        assert_eq!(told(Owner::Session { uid: 8 }, mine).obstacle(), None);
    }

    #[test]
    fn names_are_one_user_where_the_name_service_says_so_and_otherwise_where_they_are_equal() {
        struct None;
        impl Devices for None {
            fn find(&self, _: &Id) -> Result<Option<Device>, RecordError> {
                Ok(Option::None)
            }
        }
        let uid_of = |name: &str| match name {
            "hanako" | "CORP\\hanako" | "hanako@corp.example" => Some(7),
            "taro" => Some(8),
            _ => Option::None,
        };
        let by_user = ByUser { devices: &None, uid_of };
        for claimed in ["hanako", "CORP\\hanako", "hanako@corp.example"] {
            assert!(by_user.is_same_user(claimed, "hanako") && by_user.is_same_user("CORP\\hanako", claimed));
            assert!(!by_user.is_same_user(claimed, "taro"));
        }
        // Two names that nobody knows are not the same nobody.
        assert!(!by_user.is_same_user("x", "y") && by_user.is_same_user("x", "x"));
    }

    #[test]
    fn after_somebody_elses_desktop_nothing_is_shown_on_this_connection() {
        let mut ownership = told(Owner::Session { uid: 8 }, Some(Operator::Uid(7)));
        assert!(ownership.is_mismatch());
        for later in [Owner::LoginScreen, Owner::Session { uid: 7 }] {
            ownership.owner = Some(later);
            assert_eq!((ownership.is_mismatch(), ownership.whose()), (false, Whose::Other));
        }
    }
}
