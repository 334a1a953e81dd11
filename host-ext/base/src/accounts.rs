//! Users and groups, from the system's name service: in a VDI they are rarely in /etc/passwd.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Group, Uid, User, getgrouplist};

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
        let found = of_uid(uid).ok_or_else(|| AccountError::NoUser(user.to_owned()))?;
        Ok(GateAccount { uid, gid: found.gid.as_raw() })
    }
}

/// The uid of the user that gates run as.
pub fn system_uid(user: &str) -> Result<u32, AccountError> {
    let uid = uid_of(user).ok_or_else(|| AccountError::NoUser(user.to_owned()))?;
    if uid == 0 { Err(AccountError::Root) } else { Ok(uid) }
}

/// The uid of a user. May wait for a directory server.
pub fn uid_of(name: &str) -> Option<u32> {
    Some(User::from_name(name).ok()??.uid.as_raw())
}

/// The gid of a group. May wait for a directory server.
pub fn gid_of(name: &str) -> Option<u32> {
    Some(Group::from_name(name).ok()??.gid.as_raw())
}

/// The name of a user. May wait for a directory server.
pub fn name_of(uid: u32) -> Option<String> {
    Some(of_uid(uid)?.name)
}

/// Whether a user is in a group, both by name; `None` if there is no such group. May wait for a directory server.
///
/// # Errors
/// The name service failed, or does not know the user: then it cannot be told what they belong to.
pub fn group_member(user: &str, group: &str) -> Result<Option<bool>, Errno> {
    let Some(group) = Group::from_name(group)? else { return Ok(None) };
    let user = User::from_name(user)?.ok_or(Errno::ESRCH)?;
    let name = CString::new(user.name).map_err(|_| Errno::EINVAL)?;
    Ok(Some(getgrouplist(&name, user.gid)?.contains(&group.gid)))
}

fn of_uid(uid: u32) -> Option<User> {
    User::from_uid(Uid::from_raw(uid)).ok()?
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
        assert_eq!(group_member("root", "root"), Ok(Some(true)));
        assert_eq!(group_member("root", "nogroup"), Ok(Some(false)));
        assert_eq!(group_member("root", "no-such-group"), Ok(None));
        group_member("no-such-user", "root").unwrap_err();
    }
}
