//! Client Info ([MS-RDPBCGR] 2.2.1.11): who wants to log on.
//!
//! Bulk compression is taken out of the flags, so that no history of compressed bytes spans what a cover holds
//! back; so is RAIL, whose windows the gate cannot cover.

use std::fmt;

use crate::error::Fault;
use crate::wire::{Reader, patch};

const INFO_PACKET: u16 = 0x0040;
const ENCRYPT: u16 = 0x0008;
const FLAGS_AT: usize = 8;
const AUTOLOGON: u32 = 0x0008;
const UNICODE: u32 = 0x0010;
/// Compression and its type, RAIL in both qualities.
const FLAGS_CLEARED: u32 = 0x0080 | 0x1E00 | 0x8000 | 0x0200_0000;
/// A password that begins so would be taken for an NT hash by CredSSP's implementation on the host's leg.
const HASH_PREFIX: &str = "$NTLM$:";

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

/// Reads and edits the PDU.
///
/// # Errors
/// If it is another one, encrypted, or cut.
pub fn edit(data: &[u8]) -> Result<(Logon, Vec<u8>), Fault> {
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
    let [domain, user, password, _shell, _folder] = texts;
    // Compared where it is, so that no copy of it stays behind.
    if characters(password, flags).take(HASH_PREFIX.len()).eq(HASH_PREFIX.chars()) {
        return Err(Fault::HashAsPassword);
    }
    let mut edited = data.to_vec();
    patch(&mut edited, FLAGS_AT, &(flags & !FLAGS_CLEARED).to_le_bytes())?;
    let [domain, user] = [domain, user].map(|text| characters(text, flags).collect());
    Ok((Logon { domain, user, autologon: flags & AUTOLOGON != 0 }, edited))
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
