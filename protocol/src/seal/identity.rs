//! Identity files: the secrets that open pictures, as `age-keygen` writes them, several in one file, or under a
//! passphrase as `age -p` puts them.
//!
//! What needs another program (plugins) or another kind of key is refused in words: no picture is sealed to such a key.

use std::fmt;
use std::io::Read as _;
use std::str::FromStr as _;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::{armor::ArmoredReader, scrypt, x25519};
use zeroize::Zeroizing;

use super::SealError;

/// Identities of one file: old ones are kept for old pictures.
const IDENTITIES_MAX: usize = 64;
/// Longest identity file without its passphrase.
const FILE_MAX_BYTES: u64 = 64 * 1024;
/// Work that a passphrase may cost: some seconds. `age -p` asks for 2^18.
const WORK_FACTOR_MAX: u8 = 21;
const BINARY: &[u8] = b"age-encryption.org/v1\n";
const ARMORED: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// An auditor's secrets: all that one file holds.
#[derive(Clone)]
pub struct Identity(Vec<x25519::Identity>);

impl Identity {
    /// Reads an identity file: comments, and lines `AGE-SECRET-KEY-1…`.
    pub fn parse(file: &str) -> Result<Self, SealError> {
        let lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities = lines.map(identity).take(IDENTITIES_MAX + 1).collect::<Result<Vec<_>, _>>()?;
        match identities.len() {
            0 => Err(SealError::Identity),
            1..=IDENTITIES_MAX => Ok(Self(identities)),
            _ => Err(SealError::TooMany(IDENTITIES_MAX)),
        }
    }

    /// A new one, for set-up and tests; age draws the key.
    pub fn generate() -> Self {
        Self(vec![x25519::Identity::generate()])
    }

    /// The public part, for the policy: of the first, if there are several.
    pub fn recipient(&self) -> String {
        self.0.first().map(|one| one.to_public().to_string()).unwrap_or_default()
    }

    /// The public part of the one that opens an age file, if one of them does.
    pub fn opener(&self, age_file: &[u8]) -> Option<String> {
        let opens = |one: &&x25519::Identity| {
            let key: &dyn age::Identity = *one;
            age::Decryptor::new(age_file).is_ok_and(|file| file.decrypt(std::iter::once(key)).is_ok())
        };
        self.0.iter().find(opens).map(|one| one.to_public().to_string())
    }

    /// The secret lines of an identity file.
    pub fn to_file(&self) -> Zeroizing<String> {
        let mut file = Zeroizing::new(String::new());
        for one in &self.0 {
            let secret = one.to_string();
            file.push_str(&format!("# public key: {}\n", one.to_public()));
            file.push_str(secret.expose_secret());
            file.push('\n');
        }
        file
    }

    /// What age tries, one after the other.
    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|one| one as &dyn age::Identity)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(secret)")
    }
}

fn identity(line: &str) -> Result<x25519::Identity, SealError> {
    match line {
        _ if line.starts_with("AGE-PLUGIN-") => Err(SealError::Plugin),
        _ if line.starts_with("AGE-SECRET-KEY-PQ-") => Err(SealError::OtherKind("a post-quantum identity")),
        _ if line.starts_with("-----BEGIN") => Err(SealError::OtherKind("a key of SSH, or in PEM")),
        _ if line.starts_with("age1") => Err(SealError::OtherKind("a recipient, the public half")),
        _ => x25519::Identity::from_str(line).map_err(|_| SealError::Identity),
    }
}

/// Whether an identity file is itself an age file, under a passphrase.
pub fn is_protected(file: &[u8]) -> bool {
    file.starts_with(BINARY) || file.trim_ascii_start().starts_with(ARMORED)
}

/// The text of an identity file that is under a passphrase.
pub fn unlock(file: &[u8], passphrase: &str) -> Result<Zeroizing<String>, SealError> {
    let decryptor = age::Decryptor::new(ArmoredReader::new(file)).map_err(|_| SealError::Passphrase)?;
    if !decryptor.is_scrypt() {
        return Err(SealError::OtherKind("a file that is sealed to a key instead of a passphrase"));
    }
    let mut key = scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    key.set_max_work_factor(WORK_FACTOR_MAX);
    let key: &dyn age::Identity = &key;
    let reader = decryptor.decrypt(std::iter::once(key)).map_err(|_| SealError::Passphrase)?;
    let mut text = Zeroizing::new(String::new());
    let read = reader.take(FILE_MAX_BYTES).read_to_string(&mut text);
    read.map(|_| text).map_err(|_| SealError::Passphrase)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::{Recipients, open, seal};
    use super::*;

    #[test]
    fn an_identity_file_is_read_back_and_never_shown() {
        let identity = Identity::generate();
        let again = Identity::parse(&identity.to_file()).unwrap();
        assert_eq!(again.recipient(), identity.recipient());
        assert_eq!(format!("{identity:?}"), "Identity(secret)");
        assert_eq!(Identity::parse("# only a comment").unwrap_err(), SealError::Identity);
    }

    #[test]
    fn each_identity_of_a_file_is_tried() {
        let (old, new, other) = (Identity::generate(), Identity::generate(), Identity::generate());
        let both = Identity::parse(&format!("{}\n\n{}", *old.to_file(), *new.to_file())).unwrap();
        for own in [&old, &new] {
            let recipients = Recipients::parse(&[own.recipient(), other.recipient()]).unwrap();
            let sealed = seal(b"picture", &[9; 32], &recipients).unwrap();
            assert_eq!(&**open(&sealed.ciphertext, &both, &sealed.commitment).unwrap(), b"picture");
            assert_eq!(both.opener(&sealed.ciphertext), Some(own.recipient()));
        }
        let others = Recipients::parse(&[other.recipient(), Identity::generate().recipient()]).unwrap();
        let sealed = seal(b"picture", &[9; 32], &others).unwrap();
        assert_eq!(
            open(&sealed.ciphertext, &both, &sealed.commitment).unwrap_err(),
            SealError::NotForThisIdentity
        );
        assert_eq!(both.opener(&sealed.ciphertext), None);
        let many = old.to_file().repeat(IDENTITIES_MAX + 1);
        assert_eq!(Identity::parse(&many).unwrap_err(), SealError::TooMany(IDENTITIES_MAX));
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_words() {
        let own = Identity::generate();
        for (line, words) in [
            ("AGE-PLUGIN-YUBIKEY-1Q8LQWQZ", "another program"),
            ("AGE-SECRET-KEY-PQ-1QQQ", "post-quantum"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "SSH"),
            (own.recipient().as_str(), "public half"),
            ("AGE-SECRET-KEY-1BROKEN", "not an age identity"),
        ] {
            // Also after one that is right: a key that is passed over in silence looks like a picture that is lost.
            for file in [line.to_owned(), format!("{}{line}\n", *own.to_file())] {
                let text = Identity::parse(&file).unwrap_err().to_string();
                assert!(text.contains(words) && !text.contains("BROKEN"), "{line}: {text}");
            }
        }
    }

    #[test]
    fn a_passphrase_opens_its_file_and_no_other_does() {
        let own = Identity::generate();
        let mut recipient = scrypt::Recipient::new(SecretString::from("correct horse".to_owned()));
        recipient.set_work_factor(2);
        let one: &dyn age::Recipient = &recipient;
        let encryptor = age::Encryptor::with_recipients(std::iter::once(one)).unwrap();
        let mut file = Vec::new();
        let mut writer = encryptor.wrap_output(&mut file).unwrap();
        writer.write_all(own.to_file().as_bytes()).unwrap();
        writer.finish().unwrap();
        let mut armored =
            age::armor::ArmoredWriter::wrap_output(vec![], age::armor::Format::AsciiArmor).unwrap();
        armored.write_all(&file).unwrap();
        for file in [file, armored.finish().unwrap()] {
            assert!(is_protected(&file) && !is_protected(own.to_file().as_bytes()));
            let text = unlock(&file, "correct horse").unwrap();
            assert_eq!(Identity::parse(&text).unwrap().recipient(), own.recipient());
            assert_eq!(unlock(&file, "wrong").unwrap_err(), SealError::Passphrase);
            assert_eq!(unlock(&file[..60], "correct horse").unwrap_err(), SealError::Passphrase);
        }
    }
}
