//! What an employee is told before anything looks, in both languages: part of the signed policy.
//!
//! Whoever accepts it accepts these bytes: OPEN names their digest under the device's signature, and the log keeps OPEN.
//! With another version, the digest is another one, and everybody is asked again.

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::limits::NOTICE_TEXT_MAX_BYTES;
use crate::message::Digest;
use crate::text::is_hidden;

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Words {
    #[n(0)]
    pub japanese: String,
    #[n(1)]
    pub english: String,
}

/// The notice of one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Notice {
    /// For people; the digest decides.
    #[n(0)]
    pub version: u32,
    /// Who is responsible.
    #[n(1)]
    pub owner: Words,
    /// Whom to ask, and where to object.
    #[n(2)]
    pub contact: Words,
    /// What it is for.
    #[n(3)]
    pub purpose: Words,
    /// How long what is kept.
    #[n(4)]
    pub retention: Words,
    /// What remains for whoever does not accept, or takes it back.
    #[n(5)]
    pub alternative: Words,
}

/// Why nobody could read a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} of the notice is missing in a language, longer than {NOTICE_TEXT_MAX_BYTES} bytes, or has characters that are not seen. Write both languages"
)]
pub struct NoticeError(&'static str);

impl Notice {
    /// Names this notice: SHA-256 of its CBOR.
    pub fn digest(&self) -> Digest {
        // Writing to a Vec cannot fail.
        Sha256::digest(minicbor::to_vec(self).unwrap_or_default()).into()
    }

    /// Its parts, with the names that people give them.
    pub fn parts(&self) -> [(&'static str, &Words); 5] {
        [
            ("owner", &self.owner),
            ("contact", &self.contact),
            ("purpose", &self.purpose),
            ("retention", &self.retention),
            ("alternative", &self.alternative),
        ]
    }

    pub(crate) fn check(&self) -> Result<(), NoticeError> {
        let is_readable = |text: &String| {
            let is_seen = |c| c == '\n' || !is_hidden(c);
            !text.trim().is_empty() && text.len() <= NOTICE_TEXT_MAX_BYTES && text.chars().all(is_seen)
        };
        for (name, words) in self.parts() {
            if !is_readable(&words.japanese) || !is_readable(&words.english) {
                return Err(NoticeError(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn notice(version: u32) -> Notice {
        let words = |english: &str| Words { japanese: "お知らせ".into(), english: english.into() };
        Notice {
            version,
            owner: words("Example Ltd."),
            contact: words("privacy@example.test"),
            purpose: words("Only you see the desktop.\nNothing else."),
            retention: words("14 days"),
            alternative: words("Work at the office"),
        }
    }

    #[test]
    fn another_notice_has_another_digest() {
        assert_eq!(notice(1).digest(), notice(1).digest());
        assert_ne!(notice(1).digest(), notice(2).digest());
    }

    #[test]
    fn a_notice_that_somebody_could_not_read_is_refused() {
        assert_eq!(notice(1).check(), Ok(()));
        for text in ["", " \n", "turned \u{202e}round", &"x".repeat(NOTICE_TEXT_MAX_BYTES + 1)] {
            let mut bad = notice(1);
            bad.retention.japanese = text.into();
            assert_eq!(bad.check(), Err(NoticeError("retention")), "{text:?}");
        }
    }
}
