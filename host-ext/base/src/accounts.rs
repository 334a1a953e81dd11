//! Users and groups, from the system's name service: in a VDI they are rarely in /etc/passwd.

/// Smaller ids are system accounts (login.defs(5), SYS_UID_MAX): xrdp runs as one, people do not.
pub const PEOPLE_FROM_UID: u32 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("there is no user {0:?}. Create it (docs/guide/vdi-admin.md), or correct `run_as`")]
    NoUser(String),
    #[error(
        "`run_as` is root, but gates may not run as root. Use the user that the installation made, sudare"
    )]
    Root,
}

/// The uid and gid that gates run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateAccount {
    pub uid: u32,
    pub gid: u32,
}

impl GateAccount {
    /// The user, with its own group.
    pub fn of(user: &str) -> Result<Self, AccountError> {
        let uid = system_uid(user)?;
        let found = uzers::get_user_by_uid(uid).ok_or_else(|| AccountError::NoUser(user.to_owned()))?;
        Ok(GateAccount { uid, gid: found.primary_group_id() })
    }
}

/// The uid of the user that gates run as.
pub fn system_uid(user: &str) -> Result<u32, AccountError> {
    let found = uzers::get_user_by_name(user).ok_or_else(|| AccountError::NoUser(user.to_owned()))?;
    if found.uid() == 0 { Err(AccountError::Root) } else { Ok(found.uid()) }
}

/// The uid of a user. May wait for a directory server.
pub fn uid_of(name: &str) -> Option<u32> {
    Some(uzers::get_user_by_name(name)?.uid())
}

/// The gid of a group. May wait for a directory server.
pub fn gid_of(name: &str) -> Option<u32> {
    Some(uzers::get_group_by_name(name)?.gid())
}

/// The name of a user. May wait for a directory server.
pub fn name_of(uid: u32) -> Option<String> {
    uzers::get_user_by_uid(uid)?.name().to_str().map(str::to_owned)
}

/// Whether a user is in a group, both by name. May wait for a directory server.
pub fn is_in_group(user: &str, group: &str) -> bool {
    let Some(user) = uzers::get_user_by_name(user) else { return false };
    let groups = uzers::get_user_groups(user.name(), user.primary_group_id()).unwrap_or_default();
    groups.iter().any(|of| of.name() == group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_never_run_as_root_or_as_an_unknown_user() {
        assert!(matches!(GateAccount::of("root"), Err(AccountError::Root)));
        assert!(matches!(GateAccount::of("no-such-user"), Err(AccountError::NoUser(_))));
        assert_eq!(GateAccount::of("nobody").map(|account| account.uid).ok(), uid_of("nobody"));
        assert_eq!((uid_of("root"), uid_of("no-such-user")), (Some(0), None));
        assert_eq!((gid_of("root"), gid_of("no-such-group")), (Some(0), None));
        assert_eq!(name_of(0).as_deref(), Some("root"));
        assert_eq!(name_of(u32::MAX - 7), None);
        assert!(is_in_group("root", "root") && !is_in_group("root", "nogroup"));
        assert!(!is_in_group("no-such-user", "root"));
    }
}
