//! Demand Active and Confirm Active ([MS-RDPBCGR] 2.2.1.13): what both sides can do.

use super::paint::Size;
use crate::error::Fault;
use crate::wire::share::{CONTROL_BODY_AT, Control};
use crate::wire::{Reader, patch};

const BITMAP: u16 = 2;
const ORDER: u16 = 3;
const CODECS: u16 = 29;
/// In sets, counted from their beginning.
const WIDTH_AT: usize = 12;
const HEIGHT_AT: usize = 14;
const ORDER_SUPPORT_AT: usize = 36;
const ORDER_SUPPORT: [u8; 32] = [0; 32];
const CODEC_COUNT_AT: usize = 4;
const SET_LENGTH_AT: usize = 2;
const SET_HEADER_BYTES: usize = 4;
/// Where a Confirm Active has the length of all its sets.
const COMBINED_AT: usize = CONTROL_BODY_AT + 8;
const SETS_MAX: u16 = 64;

/// How far an activation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// Waits for the host's Demand Active.
    Idle,
    /// Waits for the client's Confirm Active.
    Demanded,
    /// Waits for the host's Font Map.
    Confirmed,
    /// The host may draw.
    Active,
}

/// The share and the size that a Demand Active announces.
pub(super) fn demand(control: &Control<'_>) -> Result<(u32, Size), Fault> {
    let mut reader = Reader::new(control.body);
    let share = reader.u32()?;
    let (source, combined) = (reader.u16()?, reader.u16()?);
    reader.take(source.into())?;
    let mut size = None;
    for (kind, _, set) in sets(reader, combined.into())? {
        if kind == BITMAP {
            let field = |at: usize| Reader::new(set.get(at..).unwrap_or_default()).u16();
            size = Some(Size { width: field(WIDTH_AT)?, height: field(HEIGHT_AT)? });
        }
    }
    match size {
        Some(size) if size.width > 0 && size.height > 0 => Ok((share, size)),
        _ => Err(Fault::Short),
    }
}

/// The Confirm Active that the host gets. With `plain_bitmaps` the client seems to have neither codecs nor orders.
pub(super) fn confirm(control: &Control<'_>, plain_bitmaps: bool) -> Result<Vec<u8>, Fault> {
    let mut reader = Reader::new(control.body);
    // The share, and who it belongs to.
    reader.take(6)?;
    let (source, combined) = (reader.u16()?, reader.u16()?);
    reader.take(source.into())?;
    let mut edited = control.bytes.to_vec();
    let before = CONTROL_BODY_AT.saturating_add(reader.at());
    // From the end, so that what is cut out moves nothing that comes later.
    for (kind, at, set) in sets(reader, combined.into())?.into_iter().rev() {
        let at = at.saturating_add(before);
        match kind {
            ORDER if plain_bitmaps && set.len() >= ORDER_SUPPORT_AT.saturating_add(ORDER_SUPPORT.len()) => {
                patch(&mut edited, at.saturating_add(ORDER_SUPPORT_AT), &ORDER_SUPPORT)?;
            }
            CODECS if plain_bitmaps && set.len() > CODEC_COUNT_AT => {
                let count_at = at.saturating_add(CODEC_COUNT_AT);
                patch(&mut edited, count_at, &[0])?;
                edited = cut(&edited, at, count_at.saturating_add(1), at.saturating_add(set.len()))?;
            }
            _ => {}
        }
    }
    Ok(edited)
}

/// Without the end of the set that begins at `set`, in all lengths as well: hosts complain about bytes that nothing
/// announces, and some may refuse them.
fn cut(pdu: &[u8], set: usize, from: usize, to: usize) -> Result<Vec<u8>, Fault> {
    let (before, behind) = (pdu.get(..from).ok_or(Fault::Short)?, pdu.get(to..).ok_or(Fault::Short)?);
    let mut shorter = [before, behind].concat();
    let cut = to.checked_sub(from).and_then(|bytes| u16::try_from(bytes).ok()).ok_or(Fault::Length)?;
    for at in [0, COMBINED_AT, set.saturating_add(SET_LENGTH_AT)] {
        let length = Reader::new(shorter.get(at..).ok_or(Fault::Short)?).u16()?;
        let length = length.checked_sub(cut).ok_or(Fault::Length)?;
        patch(&mut shorter, at, &length.to_le_bytes())?;
    }
    Ok(shorter)
}

/// A capability set (1.7): its type, where it begins, and the whole set.
type Set<'a> = (u16, usize, &'a [u8]);

fn sets<'a>(reader: Reader<'a>, combined: usize) -> Result<Vec<Set<'a>>, Fault> {
    let mut reader = reader;
    let mut reader = Reader::new(reader.take(combined)?);
    let (count, _) = (reader.u16()?, reader.u16()?);
    if count > SETS_MAX {
        return Err(Fault::TooMuch);
    }
    let mut found = Vec::with_capacity(count.into());
    for _ in 0..count {
        let at = reader.at();
        let mut header = reader;
        let (kind, length) = (header.u16()?, usize::from(header.u16()?));
        if length < SET_HEADER_BYTES {
            return Err(Fault::Length);
        }
        found.push((kind, at, reader.take(length)?));
    }
    Ok(found)
}
