//! The settings of a host without anything ([MS-RDPBCGR] 2.2.1.3, 2.2.1.4).

use super::IO;
use crate::connect::gcc;
use crate::error::Fault;
use crate::limits::STATIC_CHANNELS_MAX;
use crate::live::Size;
use crate::wire::{length_u16, mcs};

const CLIENT_CORE: u16 = 0xC001;
const CLIENT_NET: u16 = 0xC003;
const HOST_CORE: u16 = 0x0C01;
const HOST_SECURITY: u16 = 0x0C02;
const HOST_NET: u16 = 0x0C03;
/// RDP 5 and later.
const VERSION: u32 = 0x0008_0004;
/// What a desktop may measure (2.2.1.3.2: clients keep to 200 to 8192).
const SIDE_MIN: u16 = 200;
const SIDE_MAX: u16 = 8192;

/// What the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) size: Size,
    statics: u16,
}

impl Asked {
    /// The client's user id, behind the channels.
    pub(super) fn user(&self) -> u16 {
        IO.saturating_add(self.statics).saturating_add(1)
    }
}

/// Reads Connect Initial.
pub(super) fn read(frame: &[u8]) -> Result<Asked, Fault> {
    let (_, blocks) = gcc::read_initial(mcs::x224_data(frame)?)?;
    let (mut size, mut statics) = (None, 0);
    for block in gcc::blocks(blocks)? {
        let mut fields = block.body();
        match block.kind {
            CLIENT_CORE => {
                fields.u32()?;
                let mut side = || fields.u16().map(|side| side.clamp(SIDE_MIN, SIDE_MAX));
                size = Some(Size { width: side()?, height: side()? });
            }
            CLIENT_NET => statics = fields.u32()?,
            _ => {}
        }
    }
    let statics = u16::try_from(statics).map_err(|_| Fault::TooMuch)?;
    if usize::from(statics) > STATIC_CHANNELS_MAX {
        return Err(Fault::TooMuch);
    }
    Ok(Asked { size: size.ok_or(Fault::Short)?, statics })
}

/// Connect Response: TLS is the only security, and each channel has a number.
pub(super) fn response(asked: &Asked) -> Result<Vec<u8>, Fault> {
    // The protocols that were asked for, which the relay fills in, and no early capabilities.
    let core = [&VERSION.to_le_bytes()[..], &[0; 8]].concat();
    let mut net = [IO.to_le_bytes(), asked.statics.to_le_bytes()].concat();
    net.extend((1..=asked.statics).flat_map(|number| IO.saturating_add(number).to_le_bytes()));
    net.resize(net.len().next_multiple_of(4), 0);
    let blocks = [block(HOST_CORE, &core)?, block(HOST_SECURITY, &[0; 8])?, block(HOST_NET, &net)?].concat();
    mcs::write_x224_data(&gcc::write_response(&blocks)?)
}

fn block(kind: u16, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let length = length_u16(gcc::in_block(body.len()))?;
    Ok([&kind.to_le_bytes()[..], &length.to_le_bytes(), body].concat())
}
