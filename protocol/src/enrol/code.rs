//! The pairing code: what a person types once.
//!
//! ```text
//!  vdi.example/4J8K-7M2P-…          address / 14 groups of 4
//!  35 bytes in Crockford's base 32: version (4 bits) ‖ check (12) ‖ minutes (24) ‖ organisation (80)
//!                                   ‖ certificate (80) ‖ secret (80)
//! ```
//! The check is over all of it, the address too, so that a slip of a finger is told from a code that is not known.
//! Eighty bits of a hash name the organisation's key and the host's certificate: whoever wants to pass for the host has to
//! find another key with the same ones in the days for which the code counts.

use core::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::limits::TEXT_MAX_BYTES;
use crate::message::Digest;

pub const SECRET_BYTES: usize = 10;
pub const FINGERPRINT_BYTES: usize = 10;

const VERSION: u8 = 1;
const BYTES: usize = 5 + 2 * FINGERPRINT_BYTES + SECRET_BYTES;
const SYMBOLS: usize = BYTES * 8 / 5;
const GROUP: usize = 4;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 2024-01-01, from which minutes are counted.
const EPOCH_MS: u64 = 1_704_067_200_000;
const MINUTE_MS: u64 = 60_000;
const MINUTES_MAX: u64 = (1 << 24) - 1;

const _: () = assert!(BYTES * 8 == SYMBOLS * 5, "no bit is left over");

/// Why a text is no pairing code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error(
        "a pairing code has the host's address, a slash and {SYMBOLS} letters and digits. Copy all of it"
    )]
    Form,
    #[error(
        "this pairing code has {0} letters and digits instead of {SYMBOLS}. Look whether some are missing or twice"
    )]
    Length(usize),
    #[error("{0:?} is in no pairing code. Look at that place again")]
    Symbol(char),
    #[error(
        "something in this pairing code is mistyped, perhaps in the host's address. Compare it with what you were given"
    )]
    Check,
    #[error("this pairing code is for another version of Sudare. Update it on this PC")]
    Version,
}

/// What a code says.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// Of the host, with its port unless that is 3389.
    pub address: String,
    /// Unix milliseconds, in whole minutes.
    pub not_after_ms: u64,
    /// Of the organisation's key, see [`fingerprint`].
    pub organisation: [u8; FINGERPRINT_BYTES],
    /// The beginning of the SHA-256 of the certificate that the host shows.
    pub certificate: [u8; FINGERPRINT_BYTES],
    pub secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode")
    }
}

/// Names an organisation's key in a code.
pub fn fingerprint(organisation: &VerifyingKey) -> [u8; FINGERPRINT_BYTES] {
    first(Sha256::new().chain_update(b"sudare organisation").chain_update(organisation.as_bytes()))
}

/// The one-time key of the invitation whose code has this secret.
pub fn invitation_key(secret: &[u8; SECRET_BYTES]) -> SigningKey {
    let seed = Sha256::new().chain_update(b"sudare invitation").chain_update(secret).finalize();
    SigningKey::from_bytes(&Zeroizing::new(seed.into()))
}

impl PairingCode {
    pub fn key(&self) -> SigningKey {
        invitation_key(&self.secret)
    }

    pub fn is_expired(&self, now_ms: u64) -> bool {
        now_ms > self.not_after_ms
    }

    /// Whether this is the certificate that the host must show.
    pub fn is_certificate(&self, sha256: &Digest) -> bool {
        sha256.starts_with(&self.certificate)
    }

    /// As people type it.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        let minutes = (self.not_after_ms.saturating_sub(EPOCH_MS) / MINUTE_MS).min(MINUTES_MAX);
        let [.., m0, m1, m2] = minutes.to_be_bytes();
        let rest = [&[m0, m1, m2], &self.organisation[..], &self.certificate, &*self.secret].concat();
        bytes[2..].copy_from_slice(&Zeroizing::new(rest));
        let check = check(&self.address, &bytes[2..]);
        bytes[0] = VERSION << 4 | check[0];
        bytes[1] = check[1];
        let mut text = Zeroizing::new(String::with_capacity(self.address.len() + SYMBOLS * 2));
        text.push_str(&self.address);
        for (at, symbol) in symbols(&*bytes).enumerate() {
            text.push(if at == 0 {
                '/'
            } else if at % GROUP == 0 {
                '-'
            } else {
                '\0'
            });
            text.push(symbol);
        }
        text.retain(|c| c != '\0');
        text
    }

    /// Reads what somebody typed: in any case, with O for 0, with or without hyphens and spaces, in full-width letters.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let typed: String = text.chars().filter(|c| !c.is_whitespace()).map(half_width).collect();
        let typed = Zeroizing::new(typed);
        let (address, code) = typed.rsplit_once('/').ok_or(CodeError::Form)?;
        if address.is_empty() || address.len() > TEXT_MAX_BYTES || address.contains('/') {
            return Err(CodeError::Form);
        }
        let values = code.chars().filter(|c| !is_dash(*c)).map(value).collect::<Result<Vec<u8>, _>>();
        let values = Zeroizing::new(values?);
        if values.len() != SYMBOLS {
            return Err(CodeError::Length(values.len()));
        }
        let bytes = packed(&values);
        let [b0, b1, m0, m1, m2, ref rest @ ..] = *bytes;
        if b0 >> 4 != VERSION {
            return Err(CodeError::Version);
        }
        let address = address.to_ascii_lowercase();
        if check(&address, &bytes[2..]) != [b0 & 0xF, b1] {
            return Err(CodeError::Check);
        }
        let part = |at: usize| {
            let mut part = [0; FINGERPRINT_BYTES];
            part.copy_from_slice(&rest[at * FINGERPRINT_BYTES..(at + 1) * FINGERPRINT_BYTES]);
            part
        };
        let minutes = u64::from(u32::from_be_bytes([0, m0, m1, m2]));
        Ok(PairingCode {
            address,
            not_after_ms: EPOCH_MS + minutes * MINUTE_MS,
            organisation: part(0),
            certificate: part(1),
            secret: Zeroizing::new(part(2)),
        })
    }
}

fn first(hash: Sha256) -> [u8; FINGERPRINT_BYTES] {
    let mut first = [0; FINGERPRINT_BYTES];
    first.copy_from_slice(&hash.finalize()[..FINGERPRINT_BYTES]);
    first
}

/// Twelve bits.
fn check(address: &str, rest: &[u8]) -> [u8; 2] {
    let hash = Sha256::new()
        .chain_update(b"sudare pairing code")
        .chain_update(address.to_ascii_lowercase())
        .chain_update(rest)
        .finalize();
    [hash[0] & 0xF, hash[1]]
}

fn symbols(bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    (0..SYMBOLS).map(move |at| {
        let bits = (at * 5..at * 5 + 5)
            .fold(0, |value, bit| value << 1 | usize::from(bytes[bit / 8] >> (7 - bit % 8) & 1));
        char::from(ALPHABET[bits])
    })
}

fn packed(values: &[u8]) -> Zeroizing<[u8; BYTES]> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    for (at, value) in values.iter().enumerate() {
        for bit in 0..5 {
            let place = at * 5 + bit;
            bytes[place / 8] |= (value >> (4 - bit) & 1) << (7 - place % 8);
        }
    }
    bytes
}

/// Letters that an input method for Japanese makes.
fn half_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => u8::try_from(u32::from(c) - 0xFF01 + 0x21).map_or(c, char::from),
        _ => c,
    }
}

/// As keyboards and word processors write it.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}')
}

fn value(c: char) -> Result<u8, CodeError> {
    let upper = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let at = ALPHABET.iter().position(|symbol| char::from(*symbol) == upper);
    at.and_then(|at| u8::try_from(at).ok()).ok_or(CodeError::Symbol(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code() -> PairingCode {
        PairingCode {
            address: "vdi.example:3390".into(),
            not_after_ms: EPOCH_MS + 1_234_567 * MINUTE_MS,
            organisation: [1; 10],
            certificate: [0xFE; 10],
            secret: Zeroizing::new([0x5A; 10]),
        }
    }

    #[test]
    fn what_is_typed_otherwise_means_the_same() {
        let text = code().to_text();
        assert_eq!(text.len(), "vdi.example:3390".len() + 14 * 5);
        let wide: String =
            text.chars()
                .map(|c| {
                    if c.is_ascii_graphic() {
                        char::from_u32(u32::from(c) - 0x21 + 0xFF01).unwrap()
                    } else {
                        c
                    }
                })
                .collect();
        let (address, symbols) = text.split_once('/').unwrap();
        let other = |symbols: String| format!("{address}/{symbols}");
        for typed in [
            text.to_lowercase(),
            other(symbols.replace('0', "O")),
            other(symbols.replace('0', "o").replace('1', "l")),
            other(symbols.replace('1', "I")),
            text.replace('-', ""),
            text.replace('-', " "),
            text.replace('-', "\u{30FC}"),
            format!("  {}\n", &*text),
            wide,
        ] {
            assert_eq!(PairingCode::parse(&typed).unwrap(), code(), "{typed}");
        }
    }

    #[test]
    fn slips_are_told_apart_from_codes_that_nobody_knows() {
        let text = code().to_text();
        let (address, symbols) = text.split_once('/').unwrap();
        assert_eq!(PairingCode::parse(symbols), Err(CodeError::Form));
        assert_eq!(PairingCode::parse(""), Err(CodeError::Form));
        assert_eq!(PairingCode::parse(&text[..text.len() - 1]), Err(CodeError::Length(55)));
        assert_eq!(PairingCode::parse(&format!("{}!", &*text)), Err(CodeError::Symbol('!')));
        assert_eq!(PairingCode::parse(&format!("other.example/{symbols}")), Err(CodeError::Check));
        assert_eq!(PairingCode::parse(&format!("{address}/9{}", &symbols[1..])), Err(CodeError::Version));
        let caught = (0..200).filter(|n| {
            let at = text.find('/').unwrap() + 2 + n % 54;
            let mut typed: Vec<char> = text.chars().collect();
            if typed[at] == '-' || typed[at + 1] == '-' || typed[at] == typed[at + 1] {
                return true;
            }
            typed.swap(at, at + 1);
            PairingCode::parse(&typed.iter().collect::<String>()).is_err()
        });
        assert!(caught.count() >= 198, "two symbols that changed places are nearly always found");
    }

    #[test]
    fn a_code_ends_and_its_key_is_the_secrets() {
        let code = code();
        assert!(!code.is_expired(code.not_after_ms) && code.is_expired(code.not_after_ms + 1));
        assert_eq!(code.key().to_bytes(), invitation_key(&code.secret).to_bytes());
        let mut sha256 = [0; 32];
        assert!(!code.is_certificate(&sha256));
        sha256[..10].copy_from_slice(&code.certificate);
        assert!(code.is_certificate(&sha256));
        assert_eq!(format!("{code:?}"), "PairingCode");
    }

    proptest! {
        #[test]
        fn every_code_is_read_as_it_was_written(
            bytes in proptest::array::uniform30(any::<u8>()),
            minutes in 0..=MINUTES_MAX,
            host in "[a-z0-9.:-]{1,40}",
        ) {
            let part = |at: usize| <[u8; 10]>::try_from(&bytes[at * 10..at * 10 + 10]).unwrap();
            let code = PairingCode {
                address: host,
                not_after_ms: EPOCH_MS + minutes * MINUTE_MS,
                organisation: part(0),
                certificate: part(1),
                secret: Zeroizing::new(part(2)),
            };
            prop_assert_eq!(PairingCode::parse(&code.to_text()).unwrap(), code);
        }

        #[test]
        fn no_text_is_too_much(text in ".{0,200}") {
            PairingCode::parse(&text).ok();
        }
    }
}
