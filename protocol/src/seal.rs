//! Pictures sealed so that only the security team can open them.
//!
//! ```text
//! plaintext  = picture ‖ salt [32]          viewers of JPEG and PNG ignore bytes after the end,
//! ciphertext = age(plaintext, recipients)   so the output of `age -d` opens as it is
//! commitment = SHA-256(picture ‖ salt)      goes to the log; without the salt it reveals nothing
//! ```
//!
//! The salt keeps anyone who holds the log from testing guesses at a picture; once the age
//! header is deleted, the salt is gone with the picture. Format: <https://age-encryption.org/v1>.
//!
//! This is the one place of the crate with randomness of its own: age draws the file key, the
//! ephemeral keys and the nonce from the operating system. The salt is an argument.

mod custodian;
mod identity;

use std::fmt;
use std::io::{Read as _, Write as _};
use std::str::FromStr as _;

use age::x25519;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::{AUDITORS_MAX, AUDITORS_MIN};
pub use custodian::{Custodian, seal_for_custodian, split_stored, unwrap_header};
pub use identity::{Identity, is_protected, unlock};

/// Random bytes after the picture.
pub const SALT_BYTES: usize = 32;
/// Largest picture that is sealed; a 4K screenshot as PNG stays below.
pub const PICTURE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Largest age header: each recipient's stanza takes about 100 bytes, and the custodian's seal adds about 200.
pub const HEADER_MAX_BYTES: usize = 8 * 1024;
/// Largest age file around such a picture (16 bytes per 64 KiB chunk, and the header).
pub const CIPHERTEXT_MAX_BYTES: usize = PICTURE_MAX_BYTES + PICTURE_MAX_BYTES / 2048 + HEADER_MAX_BYTES;

/// Why a picture was not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// One of the strings is not an age recipient.
    #[error(
        "recipient {0} of the policy is not an X25519 age recipient (age1…). The security team must correct the policy"
    )]
    Recipient(usize),
    /// Too few, too many, or the same twice.
    #[error(
        "the policy names {0} different recipients, but {AUDITORS_MIN} to {AUDITORS_MAX} are required, each once, so that one lost key loses nothing. The security team must correct the policy"
    )]
    Recipients(usize),
    /// The policy's custodian.
    #[error(
        "the policy's custodian is not an X25519 age recipient (age1…). The security team must correct the policy"
    )]
    Custodian,
    /// Not an identity file.
    #[error("this is not an age identity (AGE-SECRET-KEY-1…). Give the file that `age-keygen` wrote")]
    Identity,
    /// An identity that another program holds.
    #[error(
        "this is the identity of an age plugin (AGE-PLUGIN-…), for which another program would have to be run. Open the picture with `age`, or give an identity of `age-keygen`"
    )]
    Plugin,
    /// An identity of another kind than the recipients of a policy.
    #[error(
        "this is {0}, but pictures are sealed to X25519 recipients (age1…) only. Give the identity that `age-keygen` wrote"
    )]
    OtherKind(&'static str),
    /// More identities than one file has.
    #[error("the file holds more than {0} identities. Give one with your own")]
    TooMany(usize),
    /// A passphrase that does not fit, or a damaged file.
    #[error("the identity file does not open with this passphrase. Type it again, or restore the file")]
    Passphrase,
    /// Larger than [`PICTURE_MAX_BYTES`].
    #[error("the picture is {0} bytes long, more than {PICTURE_MAX_BYTES}. Take it at a lower resolution")]
    TooLarge(usize),
    /// age could not write; nothing of it depends on the picture.
    #[error("the picture could not be sealed: {0}. This is a bug in Sudare: report it")]
    Seal(String),
    /// The identity opens none of the stanzas.
    #[error("the picture is not sealed to this identity. Use the identity of an auditor named in the policy")]
    NotForThisIdentity,
    /// Damaged, truncated or not age at all.
    #[error("the sealed picture is damaged: {0}. Fetch it again from the host or the audit server")]
    Damaged(&'static str),
    /// Opened, but it is not what the log vouches for.
    #[error(
        "the picture opens but is not the one in the log: the commitments differ. It was replaced before it was sealed or logged"
    )]
    Commitment,
}

/// At least two different age recipients.
#[derive(Clone)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Reads `age1…` strings, as the signed policy names them.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, SealError> {
        let mut different: Vec<&str> = texts.iter().map(|text| text.as_ref().trim()).collect();
        different.sort_unstable();
        different.dedup();
        if different.len() != texts.len() || !(AUDITORS_MIN..=AUDITORS_MAX).contains(&different.len()) {
            return Err(SealError::Recipients(different.len()));
        }
        let parsed = texts.iter().enumerate().map(|(i, text)| {
            x25519::Recipient::from_str(text.as_ref().trim()).map_err(|_| SealError::Recipient(i + 1))
        });
        let recipients: Vec<_> = parsed.collect::<Result<_, _>>()?;
        // bech32 may be spelt in two ways, so the keys themselves are compared as well.
        let mut keys: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() == recipients.len() {
            Ok(Self(recipients))
        } else {
            Err(SealError::Recipients(keys.len()))
        }
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipients({})", self.0.len())
    }
}

/// A sealed picture with what the log says about it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The age file.
    pub ciphertext: Vec<u8>,
    /// SHA-256 of the age file.
    pub ciphertext_sha256: [u8; 32],
    /// SHA-256(picture ‖ salt).
    pub commitment: [u8; 32],
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.ciphertext.len())
    }
}

impl Sealed {
    /// A sealed picture received from elsewhere; the commitment is the sender's claim.
    pub fn received(ciphertext: Vec<u8>, commitment: [u8; 32]) -> Self {
        let ciphertext_sha256 = Sha256::digest(&ciphertext).into();
        Self { ciphertext, ciphertext_sha256, commitment }
    }
}

/// Seals a picture. `salt` must be fresh random bytes.
pub fn seal(picture: &[u8], salt: &[u8; SALT_BYTES], recipients: &Recipients) -> Result<Sealed, SealError> {
    if picture.len() > PICTURE_MAX_BYTES {
        return Err(SealError::TooLarge(picture.len()));
    }
    let wrong = |error: &dyn fmt::Display| SealError::Seal(error.to_string());
    let recipients = recipients.0.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|e| wrong(&e))?;
    let mut ciphertext = Vec::with_capacity(picture.len() + 4096);
    let mut writer = encryptor.wrap_output(&mut ciphertext).map_err(|e| wrong(&e))?;
    writer.write_all(picture).and_then(|()| writer.write_all(salt)).map_err(|e| wrong(&e))?;
    writer.finish().map_err(|e| wrong(&e))?;
    Ok(Sealed::received(ciphertext, commit(picture, salt)))
}

/// Opens a sealed picture and checks it against the log's commitment.
pub fn open(
    ciphertext: &[u8],
    identity: &Identity,
    commitment: &[u8; 32],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let mut plain = open_salted(ciphertext, identity, commitment)?;
    let picture_bytes = plain.len().saturating_sub(SALT_BYTES);
    plain.truncate(picture_bytes);
    Ok(plain)
}

/// As [`open`], with the salt still after the picture: whoever is handed both can check the commitment again.
pub fn open_salted(
    ciphertext: &[u8],
    identity: &Identity,
    commitment: &[u8; 32],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if ciphertext.len() > CIPHERTEXT_MAX_BYTES {
        return Err(SealError::Damaged("it is longer than any sealed picture"));
    }
    let decryptor =
        age::Decryptor::new(ciphertext).map_err(|_| SealError::Damaged("its header is not age's"))?;
    let mut reader = decryptor.decrypt(identity.keys()).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => SealError::NotForThisIdentity,
        _ => SealError::Damaged("its header was changed"),
    })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    reader.read_to_end(&mut plain).map_err(|_| SealError::Damaged("its body was changed or cut short"))?;
    if plain.len() < SALT_BYTES {
        return Err(SealError::Damaged("it is too short for its salt"));
    }
    let found: [u8; 32] = Sha256::digest(plain.as_slice()).into();
    if !bool::from(found.ct_eq(commitment)) {
        return Err(SealError::Commitment);
    }
    Ok(plain)
}

/// SHA-256(picture ‖ salt).
pub fn commit(picture: &[u8], salt: &[u8; SALT_BYTES]) -> [u8; 32] {
    Sha256::new().chain_update(picture).chain_update(salt).finalize().into()
}

/// Splits an age file into header (to and with the line of its MAC) and body.
///
/// They are stored apart: without its header a body can never be opened again, so deleting
/// about 400 bytes erases a picture. `cat header body | age -d` puts them together. A stored picture may
/// begin with another part than this: see [`split_stored`].
pub fn split_header(ciphertext: &[u8]) -> Result<(&[u8], &[u8]), SealError> {
    let missing = SealError::Damaged("it has no age header");
    if !ciphertext.starts_with(b"age-encryption.org/v1\n") {
        return Err(missing);
    }
    let head = ciphertext.get(..HEADER_MAX_BYTES).unwrap_or(ciphertext);
    let mac = head.windows(5).position(|window| window == b"\n--- ").ok_or(missing.clone())? + 1;
    let line = head.iter().skip(mac).position(|byte| *byte == b'\n').ok_or(missing.clone())?;
    ciphertext.split_at_checked(mac + line + 1).ok_or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_BYTES] = [9; SALT_BYTES];

    fn auditors() -> (Identity, Identity, Recipients) {
        let (a, b) = (Identity::generate(), Identity::generate());
        let recipients = Recipients::parse(&[a.recipient(), b.recipient()]).unwrap();
        (a, b, recipients)
    }

    #[test]
    fn each_auditor_opens_and_nobody_else() {
        let (a, b, recipients) = auditors();
        let sealed = seal(b"picture", &SALT, &recipients).unwrap();
        for identity in [&a, &b] {
            assert_eq!(&**open(&sealed.ciphertext, identity, &sealed.commitment).unwrap(), b"picture");
        }
        let stranger = Identity::generate();
        let error = open(&sealed.ciphertext, &stranger, &sealed.commitment).unwrap_err();
        assert_eq!(error, SealError::NotForThisIdentity);
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_refused() {
        let (a, _, recipients) = auditors();
        let sealed = seal(b"picture", &SALT, &recipients).unwrap();
        for at in 0..sealed.ciphertext.len() {
            let mut bad = sealed.ciphertext.clone();
            bad[at] ^= 1;
            assert!(open(&bad, &a, &sealed.commitment).is_err(), "byte {at}");
            assert!(open(&sealed.ciphertext[..at], &a, &sealed.commitment).is_err(), "cut at {at}");
        }
        assert_eq!(open(&sealed.ciphertext, &a, &[0; 32]).unwrap_err(), SealError::Commitment);
    }

    #[test]
    fn header_and_body_come_apart_and_together() {
        let (a, _, recipients) = auditors();
        let sealed = seal(&[b'\n'; 5000], &SALT, &recipients).unwrap();
        let (header, body) = split_header(&sealed.ciphertext).unwrap();
        assert!(header.ends_with(b"\n") && header.len() < 500);
        assert!(open(body, &a, &sealed.commitment).is_err());
        let whole = [header, body].concat();
        assert_eq!(open(&whole, &a, &sealed.commitment).unwrap().len(), 5000);
        assert!(split_header(b"age-encryption.org/v1\nno mac").is_err());
        assert!(split_header(b"").is_err());
    }

    #[test]
    fn too_few_doubled_and_broken_recipients_are_refused() {
        let (a, b, _) = auditors();
        let one = [a.recipient()];
        assert_eq!(Recipients::parse(&one).unwrap_err(), SealError::Recipients(1));
        let twice = [a.recipient(), a.recipient()];
        assert_eq!(Recipients::parse(&twice).unwrap_err(), SealError::Recipients(1));
        let shouted = [a.recipient(), a.recipient().to_uppercase()];
        assert!(Recipients::parse(&shouted).is_err());
        let broken = [a.recipient(), b.recipient().replace("age1", "age2")];
        assert_eq!(Recipients::parse(&broken).unwrap_err(), SealError::Recipient(2));
    }

    #[test]
    fn a_picture_without_end_is_refused() {
        let (_, _, recipients) = auditors();
        let huge = vec![0; PICTURE_MAX_BYTES + 1];
        assert_eq!(seal(&huge, &SALT, &recipients).unwrap_err(), SealError::TooLarge(huge.len()));
    }
}
