//! Who may log on: one line for each, as WinPR's SAM files have them.
//!
//! ```text
//! # name:domain:LM hash:NT hash:::      the domain may be empty and means any; the LM hash is not used
//! hanako:::e192a35d1e872b6e9b256e5ccab41457:::
//! ```
//! `winpr-hash` prints such lines, and FreeRDP's servers read them. NTLM can verify a password by this hash only, and
//! whoever has the hash can log on with it: the file is as secret as passwords are.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::fmt;

use md4::{Digest as _, Md4};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The whole file.
pub const USERS_MAX_BYTES: usize = 1024 * 1024;
/// One name, or one domain.
pub const NAME_MAX_CHARS: usize = 104;
const HASH_BYTES: usize = 16;

/// A password as NTLM knows it.
#[derive(Clone)]
pub struct NtHash(Zeroizing<[u8; HASH_BYTES]>);

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtHash")
    }
}

impl NtHash {
    /// Of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; HASH_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Of a password.
    #[must_use]
    pub fn of(password: &str) -> Self {
        let mut wide: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let hash = Md4::digest(&wide).into();
        wide.zeroize();
        Self::new(hash)
    }

    /// In time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }

    /// 32 digits.
    #[must_use]
    pub fn hex(&self) -> Zeroizing<String> {
        let digit = |four: u8| char::from_digit(four.into(), 16).unwrap_or('0');
        Zeroizing::new(self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
    }

    fn from_hex(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let digits = Zeroizing::new(digits?);
        if digits.len() != HASH_BYTES.saturating_mul(2) {
            return None;
        }
        let mut hash = Zeroizing::new([0; HASH_BYTES]);
        for (byte, two) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = two.iter().fold(0, |byte, digit| byte << 4 | digit);
        }
        Some(Self(hash))
    }
}

/// Somebody who may log on.
#[derive(Clone)]
pub struct User {
    /// As the host knows it.
    pub name: String,
    /// Empty: whatever the client says.
    pub domain: String,
    /// What the password is verified with.
    pub hash: NtHash,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User")
    }
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A line that is none.
    #[error("line {0} is no user. Write name:domain::NT hash:::, or let `sudare-nla add` write it")]
    Line(usize),
    /// Two lines.
    #[error("line {0} has a user that is there already. Remove one of the two")]
    Twice(usize),
    /// A name that a line cannot hold.
    #[error("{0:?} cannot be a user's name here. Use up to 104 characters without colons")]
    Name(String),
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Users(Vec<User>);

impl Users {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Names the line that is none. What the others say counts for nothing then.
    pub fn read(text: &str) -> Result<Self, UsersError> {
        let mut users = Self::default();
        for (index, line) in text.lines().enumerate() {
            let number = index.saturating_add(1);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let user = read_line(line).ok_or(UsersError::Line(number))?;
            if users.0.iter().any(|other| same(&other.name, &user.name) && same(&other.domain, &user.domain))
            {
                return Err(UsersError::Twice(number));
            }
            users.0.push(user);
        }
        Ok(users)
    }

    /// As text for the file.
    #[must_use]
    pub fn write(&self) -> Zeroizing<String> {
        let lines = self.0.iter().map(|User { name, domain, hash }| {
            let hash = hash.hex();
            format!("{name}:{domain}::{}:::\n", *hash)
        });
        Zeroizing::new(lines.collect())
    }

    /// Whoever has this name: with this very domain, otherwise without one. Looks at all of them in any case.
    #[must_use]
    pub fn find(&self, name: &str, domain: &str) -> Option<&User> {
        let mut found = None;
        for user in self.0.iter().filter(|user| same(&user.name, name)) {
            if same(&user.domain, domain) || user.domain.is_empty() && found.is_none() {
                found = Some(user);
            }
        }
        found
    }

    /// Adds somebody, or gives them another password.
    ///
    /// # Errors
    /// If the name cannot be written.
    pub fn set(&mut self, user: User) -> Result<(), UsersError> {
        for name in [&user.name, &user.domain] {
            let fits = name.chars().count() <= NAME_MAX_CHARS
                && !name.contains(|c: char| {
                    c == ':' || c == '\\' || c == '#' || c.is_control() || c.is_whitespace()
                });
            if !fits || user.name.is_empty() {
                return Err(UsersError::Name(name.clone()));
            }
        }
        self.remove(&user.name, &user.domain);
        self.0.push(user);
        Ok(())
    }

    /// Removes somebody. False: there is nobody of that name.
    pub fn remove(&mut self, name: &str, domain: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|other| !(same(&other.name, name) && same(&other.domain, domain)));
        self.0.len() < before
    }

    /// Names and domains.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|user| (user.name.as_str(), user.domain.as_str()))
    }
}

fn read_line(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let (name, domain, _lm, hash) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let user = User { name: name.to_owned(), domain: domain.to_owned(), hash: NtHash::from_hex(hash)? };
    Users::default().set(user.clone()).ok()?;
    fields.all(str::is_empty).then_some(user)
}

/// Names are compared as Windows does.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "e192a35d1e872b6e9b256e5ccab41457";

    #[test]
    fn a_hash_is_what_winpr_hash_prints() {
        assert_eq!(&*NtHash::of("word").hex(), WORD);
        assert!(NtHash::of("word").is(&NtHash::from_hex(&WORD.to_uppercase()).unwrap()));
        assert!(!NtHash::of("word").is(&NtHash::of("Word")));
        assert_eq!(format!("{:?}", NtHash::of("word")), "NtHash");
    }

    #[test]
    fn users_are_found_by_name_and_by_domain_if_there_is_one() {
        let text = format!("# SAM\n\nhanako:::{WORD}:::\nHanako:CORP::{}:::\n", *NtHash::of("corp").hex());
        let users = Users::read(&text).unwrap();
        let hash = |name, domain| users.find(name, domain).map(|user| user.hash.hex().to_string());
        assert_eq!(hash("HANAKO", "").as_deref(), Some(WORD));
        assert_eq!(hash("hanako", "elsewhere").as_deref(), Some(WORD));
        assert_eq!(hash("hanako", "corp"), Some(NtHash::of("corp").hex().to_string()));
        assert_eq!(hash("jiro", ""), None);
        assert_eq!(hash("", ""), None);
        assert_eq!(Users::read(&users.write()).unwrap().write(), users.write());
    }

    #[test]
    fn a_line_that_is_none_is_named_and_nothing_else_is_taken() {
        for line in ["hanako", "hanako:::", "hanako:::zz:::", ":::e192a35d1e872b6e9b256e5ccab41457:::"] {
            assert_eq!(Users::read(&format!("# x\n{line}")).unwrap_err(), UsersError::Line(2), "{line}");
        }
        let twice = format!("a:::{WORD}:::\nA:::{WORD}:::");
        assert_eq!(Users::read(&twice).unwrap_err(), UsersError::Twice(2));
    }

    #[test]
    fn somebody_is_added_changed_and_removed() {
        let mut users = Users::default();
        let user =
            |password| User { name: "hanako".into(), domain: String::new(), hash: NtHash::of(password) };
        users.set(user("old")).unwrap();
        users.set(user("new")).unwrap();
        assert_eq!(users.names().collect::<Vec<_>>(), [("hanako", "")]);
        assert!(users.find("hanako", "").unwrap().hash.is(&NtHash::of("new")));
        for name in ["", "a:b", "a\nb", "a b", "D\\a"] {
            let bad = User { name: name.into(), ..user("x") };
            assert!(users.set(bad).is_err(), "{name:?}");
        }
        assert!(users.remove("HANAKO", "") && !users.remove("hanako", ""));
    }
}
