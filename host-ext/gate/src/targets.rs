//! Which host a user is led to, where one gate stands before several.
//!
//! With NLA it is chosen by the name that was proved. Without, by what a client says of its user's name before TLS
//! (`Cookie: mstshash=`, at most nine characters of it): it chooses a host and proves nothing, for the host asks again.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use crate::target::{Place, Target, TargetError};

/// So much of a name do clients tell before TLS.
const HINT_CHARS: usize = 9;

/// What is wrong with the table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetsError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("{0:?} names no user. Write \"USER=TARGET\"")]
    User(String),
    #[error("{0:?} has two targets. Remove one of them")]
    Twice(String),
    #[error(
        "some targets are sockets of this machine and some are not, so it cannot be said what tells whose desktop it is. \
         Use one gate for each kind"
    )]
    Mixed,
}

/// All hosts behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    others: Target,
    users: Vec<(String, Target)>,
}

impl Targets {
    /// For everybody.
    #[must_use]
    pub fn one(target: Target) -> Self {
        Self { others: target, users: Vec::new() }
    }

    /// From `gate_target` and `gate_targets`.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn read(others: &str, users: &[String]) -> Result<Self, TargetsError> {
        let line = |line: &String| {
            let (user, target) = line.split_once('=').unwrap_or_default();
            match user.trim() {
                "" => Err(TargetsError::User(line.clone())),
                user => Ok((user.to_owned(), target.trim().parse()?)),
            }
        };
        Self::new(others.parse()?, users.iter().map(line).collect::<Result<_, _>>()?)
    }

    /// For everybody, and for single users.
    ///
    /// # Errors
    /// If a user is there twice, or the hosts are of two kinds.
    pub fn new(others: Target, users: Vec<(String, Target)>) -> Result<Self, TargetsError> {
        for (at, (user, _)) in users.iter().enumerate() {
            if users.iter().take(at).any(|(known, _)| same(known, user)) {
                return Err(TargetsError::Twice(user.clone()));
            }
        }
        let targets = Self { others, users };
        let far = |target: &Target| matches!(target.place, Place::Tcp(_));
        if targets.all().any(|target| far(target) != far(&targets.others)) {
            return Err(TargetsError::Mixed);
        }
        Ok(targets)
    }

    /// Each host, some perhaps twice.
    pub fn all(&self) -> impl Iterator<Item = &Target> {
        self.users.iter().map(|(_, target)| target).chain([&self.others])
    }

    /// Whether they are sockets of this machine.
    #[must_use]
    pub fn are_here(&self) -> bool {
        matches!(self.others.place, Place::Unix(_))
    }

    /// Of the user with this name.
    #[must_use]
    pub fn of_user(&self, name: &str) -> &Target {
        let found = self.users.iter().find(|(known, _)| same(known, name));
        found.map_or(&self.others, |(_, target)| target)
    }

    /// Of the user whose name begins so, as far as clients tell it. Two of them make it nobody's.
    #[must_use]
    pub fn of_hint(&self, hint: Option<&str>) -> &Target {
        let Some(hint) = hint else { return &self.others };
        if hint.chars().count() < HINT_CHARS {
            return self.of_user(hint);
        }
        let begins = |known: &str| {
            same(&known.chars().take(HINT_CHARS).collect::<String>(), hint) || same(known, hint)
        };
        let mut found = self.users.iter().filter(|(known, _)| begins(known));
        match (found.next(), found.next()) {
            (Some((_, target)), None) => target,
            _ => &self.others,
        }
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &str = "unix:/run/others";

    fn read(users: &[&str]) -> Result<Targets, TargetsError> {
        Targets::read(OTHERS, &users.iter().map(|user| (*user).to_owned()).collect::<Vec<_>>())
    }

    fn place(target: &Target) -> String {
        target.place.to_string()
    }

    #[test]
    fn a_user_is_led_to_the_own_host_and_all_others_to_the_one_for_all() {
        let targets = read(&["hanako=unix:/run/a", "Jiro = unix:/run/b"]).unwrap();
        assert_eq!(place(targets.of_user("HANAKO")), "unix:/run/a");
        assert_eq!(place(targets.of_user("jiro")), "unix:/run/b");
        for name in ["saburo", "", "hanak", "hanako2"] {
            assert_eq!(place(targets.of_user(name)), OTHERS, "{name}");
        }
        assert_eq!(targets.all().count(), 3);
    }

    #[test]
    fn the_nine_characters_of_a_client_choose_only_if_they_fit_one() {
        let targets =
            read(&["tanaka.hanako=unix:/run/a", "tanaka.jiro=unix:/run/b", "mori=unix:/run/c"]).unwrap();
        assert_eq!(place(targets.of_hint(Some("mori"))), "unix:/run/c");
        assert_eq!(place(targets.of_hint(Some("tanaka.ha"))), "unix:/run/a");
        assert_eq!(
            place(targets.of_hint(Some("tanaka.hanako"))),
            "unix:/run/a",
            "some clients tell all of it"
        );
        assert_eq!(place(targets.of_hint(Some("tanaka.h"))), OTHERS, "shorter ones are whole");
        assert_eq!(place(targets.of_hint(None)), OTHERS);
        let alike = read(&["yamamoto.hanako=unix:/run/a", "yamamoto.jiro=unix:/run/b"]).unwrap();
        assert_eq!(place(alike.of_hint(Some("yamamoto."))), OTHERS);
    }

    #[test]
    fn a_table_that_is_not_clear_is_refused() {
        let pin = "ab".repeat(32);
        assert_eq!(read(&["unix:/run/a"]), Err(TargetsError::User("unix:/run/a".into())));
        assert_eq!(read(&["=unix:/run/a"]), Err(TargetsError::User("=unix:/run/a".into())));
        assert_eq!(read(&["a=unix:/x", "A=unix:/y"]), Err(TargetsError::Twice("A".into())));
        assert!(matches!(read(&["a=/x"]), Err(TargetsError::Target(_))));
        assert_eq!(read(&[&format!("a=tcp:h:1#{pin}")]), Err(TargetsError::Mixed));
    }
}
