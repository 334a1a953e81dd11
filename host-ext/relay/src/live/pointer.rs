//! Pointers ([MS-RDPBCGR] 2.2.9.1.1.4, 2.2.9.1.2.1.5 to .11). A pointer is a picture of up to 384x384 pixels, so
//! a cover hides it; afterwards the client is told to show again the one that it had.

use crate::error::Fault;
use crate::wire::{Reader, fastpath};

/// Slow-path message types.
const SYSTEM: u16 = 1;
const POSITION: u16 = 3;
const COLOR: u16 = 6;
const CACHED: u16 = 7;
const NEW: u16 = 8;
const LARGE: u16 = 9;
const SYSTEM_HIDDEN: u32 = 0;

/// The pointer that a client shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pointer {
    /// The system's own.
    #[default]
    Default,
    /// None.
    Hidden,
    /// The host's; clients keep what they got under this number.
    Cached(u16),
}

impl Pointer {
    /// What an update makes of it; none if it only moves.
    pub(super) fn fast(update: &fastpath::Update<'_>) -> Result<Option<Self>, Fault> {
        let mut reader = Reader::new(update.data);
        Ok(Some(match update.code {
            fastpath::POINTER_HIDDEN => Self::Hidden,
            fastpath::POINTER_DEFAULT => Self::Default,
            fastpath::POINTER_COLOR | fastpath::POINTER_CACHED => Self::Cached(reader.u16()?),
            fastpath::POINTER_NEW | fastpath::POINTER_LARGE => Self::Cached(behind_depth(&mut reader)?),
            _ => return Ok(None),
        }))
    }

    /// The same of a slow-path PDU's body.
    pub(super) fn slow(body: &[u8]) -> Result<Option<Self>, Fault> {
        let mut reader = Reader::new(body);
        let kind = reader.u16()?;
        reader.u16()?;
        Ok(Some(match kind {
            SYSTEM if reader.u32()? == SYSTEM_HIDDEN => Self::Hidden,
            SYSTEM => Self::Default,
            COLOR | CACHED => Self::Cached(reader.u16()?),
            NEW | LARGE => Self::Cached(behind_depth(&mut reader)?),
            POSITION => return Ok(None),
            _ => return Err(Fault::Unknown),
        }))
    }

    /// A frame that makes the client show it.
    pub(super) fn write(self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Default => fastpath::write(fastpath::POINTER_DEFAULT, &[]),
            Self::Hidden => fastpath::write(fastpath::POINTER_HIDDEN, &[]),
            Self::Cached(index) => fastpath::write(fastpath::POINTER_CACHED, &index.to_le_bytes()),
        }
    }
}

fn behind_depth(reader: &mut Reader<'_>) -> Result<u16, Fault> {
    reader.u16()?;
    reader.u16()
}
