//! Client Info ([MS-RDPBCGR] 2.2.1.11): who wants to log on.
//!
//! Bulk compression is taken out of the flags, so that no history of compressed bytes spans what a cover holds
//! back; so is RAIL, whose windows the gate cannot cover. Where the gate has ended CredSSP, it says who logs on: what
//! the client says here was never proved.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::Fault;
use crate::wire::{Reader, patch};

const INFO_PACKET: u16 = 0x0040;
const ENCRYPT: u16 = 0x0008;
const FLAGS_AT: usize = 8;
const AUTOLOGON: u32 = 0x0008;
const UNICODE: u32 = 0x0010;
/// Compression and its type, RAIL in both qualities.
const FLAGS_CLEARED: u32 = 0x0080 | 0x1E00 | 0x8000 | 0x0200_0000;
/// Of domain, user name and password each, with its zero ([MS-RDPBCGR] 2.2.1.11.1.1).
const TEXT_MAX_BYTES: usize = 512;
/// A password that begins so would be taken for an NT hash by CredSSP's implementation on the host's leg.
pub const HASH_PREFIX: &str = "$NTLM$:";

/// Who wants to log on. The password is not in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Logon {
    /// May be empty.
    pub domain: String,
    /// May be empty.
    pub user: String,
    /// Whether the password came along; otherwise the host asks for it on its screen.
    pub autologon: bool,
}

impl fmt::Debug for Logon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logon").field("autologon", &self.autologon).finish_non_exhaustive()
    }
}

/// With what the host logs a user on, in the place of what the client says.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// May be empty.
    pub domain: String,
    /// As the host knows it.
    pub user: String,
    /// Empty where the host has been told in another way.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// Reads and edits the PDU.
///
/// # Errors
/// If it is another one, encrypted, or cut; or if a credential is longer than it can be.
pub fn edit(data: &[u8], credential: Option<&Credential>) -> Result<(Logon, Vec<u8>), Fault> {
    let mut reader = Reader::new(data);
    let (security, _high) = (reader.u16()?, reader.u16()?);
    if security & INFO_PACKET == 0 {
        return Err(Fault::OutOfTurn);
    }
    if security & ENCRYPT != 0 {
        return Err(Fault::Encrypted);
    }
    let (_code_page, flags) = (reader.u32()?, reader.u32()?);
    let mut lengths = [0_usize; 5];
    for length in &mut lengths {
        *length = reader.u16()?.into();
    }
    let end = if flags & UNICODE == 0 { 1 } else { 2 };
    let mut texts = [&[][..]; 5];
    for (text, length) in texts.iter_mut().zip(lengths) {
        *text = reader.take(length)?;
        // Each ends with a zero that its length does not count.
        reader.take(end)?;
    }
    let [domain, user, password, shell, folder] = texts;
    // Compared where it is, so that no copy of it stays behind.
    if characters(password, flags).take(HASH_PREFIX.len()).eq(HASH_PREFIX.chars()) {
        return Err(Fault::HashAsPassword);
    }
    if let Some(credential) = credential {
        let others = [shell, folder].map(|text| characters(text, flags).collect::<String>());
        let edited =
            replaced(data.get(..FLAGS_AT).ok_or(Fault::Short)?, flags, credential, &others, reader.rest())?;
        let Credential { domain, user, password } = credential.clone();
        return Ok((Logon { domain, user, autologon: !password.is_empty() }, edited));
    }
    let mut edited = data.to_vec();
    patch(&mut edited, FLAGS_AT, &(flags & !FLAGS_CLEARED).to_le_bytes())?;
    let [domain, user] = [domain, user].map(|text| characters(text, flags).collect());
    Ok((Logon { domain, user, autologon: flags & AUTOLOGON != 0 }, edited))
}

/// The PDU with another credential: all texts as UTF-16, whatever the client wrote them in.
fn replaced(
    head: &[u8],
    flags: u32,
    credential: &Credential,
    others: &[String; 2],
    rest: &[u8],
) -> Result<Vec<u8>, Fault> {
    let Credential { domain, user, password } = credential;
    let autologon = if password.is_empty() { 0 } else { AUTOLOGON };
    let flags = flags & !(FLAGS_CLEARED | AUTOLOGON) | autologon | UNICODE;
    let [shell, folder] = others;
    let texts = [domain, user, &**password, shell, folder].map(|text| {
        let wide = text.encode_utf16().flat_map(u16::to_le_bytes);
        Zeroizing::new(wide.collect::<Vec<u8>>())
    });
    if texts.iter().take(3).any(|text| text.len() > TEXT_MAX_BYTES.saturating_sub(2)) {
        return Err(Fault::TooMuch);
    }
    let mut edited = [head, &flags.to_le_bytes()].concat();
    for text in &texts {
        edited.extend(u16::try_from(text.len()).map_err(|_| Fault::TooMuch)?.to_le_bytes());
    }
    for text in &texts {
        edited.extend_from_slice(text);
        edited.extend([0, 0]);
    }
    edited.extend_from_slice(rest);
    Ok(edited)
}

fn characters(bytes: &[u8], flags: u32) -> impl Iterator<Item = char> {
    let wide = flags & UNICODE != 0;
    let units = bytes.chunks(if wide { 2 } else { 1 }).map(|unit| match unit {
        [low, high] => u16::from_le_bytes([*low, *high]),
        [low] => u16::from(*low),
        _ => 0,
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
}
