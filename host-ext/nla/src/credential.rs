//! One credential for the host, in the place of the users' own: GNOME's desktop sharing has one password.

use std::fmt;

use serde::Deserialize;
use sudare_relay::connect::info::{Credential, HASH_PREFIX};
use zeroize::Zeroizing;

/// The whole file.
pub const CREDENTIAL_MAX_BYTES: usize = 4096;

/// What the file says: `user`, `password`, and perhaps `domain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    user: String,
    password: String,
    #[serde(default)]
    domain: String,
}

/// A credential that the host knows.
#[derive(Clone)]
pub struct HostCredential(pub(crate) Credential);

impl fmt::Debug for HostCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostCredential")
    }
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no credential ({0}). Write user = \"…\" and password = \"…\", and domain = \"…\" if the host has one"
)]
pub struct CredentialError(&'static str);

impl HostCredential {
    /// Reads the file's text (TOML).
    ///
    /// # Errors
    /// If something is missing. What it says is not repeated, since it may be the password.
    pub fn read(text: &str) -> Result<Self, CredentialError> {
        let Text { user, password, domain } =
            toml::from_str(text).map_err(|_| CredentialError("a key is missing, unknown or no text"))?;
        let password = Zeroizing::new(password);
        if user.is_empty() || password.is_empty() {
            return Err(CredentialError("the user or the password is empty"));
        }
        if password.starts_with(HASH_PREFIX) {
            return Err(CredentialError("the password begins like a hash"));
        }
        Ok(Self(Credential { domain, user, password }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_a_user_and_a_password_and_errors_do_not_repeat_it() {
        let read = HostCredential::read("user = \"desk\"\npassword = \"word\"").unwrap();
        assert_eq!((&*read.0.user, read.0.password.as_str(), &*read.0.domain), ("desk", "word", ""));
        assert!(!format!("{read:?}").contains("word"));
        for text in [
            "",
            "user = \"desk\"",
            "user = \"desk\"\npassword = \"\"",
            "user = \"desk\"\npassword = \"secret",
            "user = \"desk\"\npassword = \"secret\"\nsecret = 1",
            "user = \"desk\"\npassword = \"$NTLM$:secret\"",
        ] {
            let error = HostCredential::read(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
