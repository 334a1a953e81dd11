//! The host's settings ([MS-RDPBCGR] 2.2.1.4).
//!
//! | block | what is read or changed |
//! |---|---|
//! | SC_CORE | gives back to the client what it had asked for itself; joins are not skipped |
//! | SC_SECURITY | must be none: TLS has taken its place |
//! | SC_NET | the numbers of the channels |
//! | SC_MCS_MSGCHANNEL | the number of the message channel |
//! | SC_MULTITRANSPORT | offers nothing |

use super::gcc::{self, in_block};
use super::negotiate::Agreed;
use super::{Channels, Connection, Join, Out, Phase, StaticChannel};
use crate::error::{Fault, Stage};
use crate::policy::Rule;
use crate::wire::{mcs, patch};

const CORE: u16 = 0x0C01;
const SECURITY: u16 = 0x0C02;
const NET: u16 = 0x0C03;
const MESSAGE_CHANNEL: u16 = 0x0C04;
const MULTITRANSPORT: u16 = 0x0C08;
const REQUESTED_PROTOCOLS_AT: usize = 4;
const EARLY_CAPABILITIES_AT: usize = 8;
const SKIP_JOINS: u32 = 8;
/// Before the MCS PDU: TPKT and X.224.
const DATA_AT: usize = 7;

/// Waits for Connect Response.
#[derive(Debug)]
pub struct Response {
    agreed: Agreed,
    names: Vec<(String, Rule)>,
}

impl Response {
    pub(super) fn new(agreed: Agreed, names: Vec<(String, Rule)>) -> Self {
        Self { agreed, names }
    }

    /// Patches one block in place, and notes what it says of channels.
    fn block(
        &self,
        block: &gcc::Block<'_>,
        place: &mut [u8],
        channels: &mut Option<Channels>,
        message: &mut Option<u16>,
    ) -> Result<(), Fault> {
        let mut fields = block.body();
        match block.kind {
            CORE => {
                if fields.left() >= REQUESTED_PROTOCOLS_AT.saturating_add(4) {
                    patch(place, in_block(REQUESTED_PROTOCOLS_AT), &self.agreed.requested.to_le_bytes())?;
                }
                if fields.take(EARLY_CAPABILITIES_AT).is_ok()
                    && let Ok(flags) = fields.u32()
                {
                    let flags = flags & !SKIP_JOINS;
                    patch(place, in_block(EARLY_CAPABILITIES_AT), &flags.to_le_bytes())?;
                }
            }
            SECURITY if (fields.u32()?, fields.u32()?) != (0, 0) => return Err(Fault::Encrypted),
            NET if channels.is_some() => return Err(Fault::Unknown),
            NET => {
                let (io, count) = (fields.u16()?, usize::from(fields.u16()?));
                if count != self.names.len() {
                    return Err(Fault::NotAccepted);
                }
                let one = |(name, rule): &(String, Rule)| {
                    Ok(StaticChannel { id: fields.u16()?, name: name.clone(), rule: *rule })
                };
                let statics = self.names.iter().map(one).collect::<Result<Vec<_>, Fault>>()?;
                *channels = Some(Channels { io, message: None, user: 0, statics });
            }
            MESSAGE_CHANNEL => *message = Some(fields.u16()?),
            MULTITRANSPORT => patch(place, in_block(0), &[0; 4])?,
            _ => {}
        }
        Ok(())
    }
}

impl Phase for Response {
    const STAGE: Stage = Stage::Settings;

    fn client(self, _: &[u8], _: &mut Out) -> Result<Connection, Fault> {
        Err(Fault::OutOfTurn)
    }

    fn host(self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault> {
        let (at, blocks) = gcc::read_response(mcs::x224_data(frame)?)?;
        let mut edited = frame.to_vec();
        let mut at = at.saturating_add(DATA_AT);
        let (mut channels, mut message) = (None, None);
        for block in gcc::blocks(blocks)? {
            let end = at.saturating_add(block.bytes.len());
            let place = edited.get_mut(at..end).ok_or(Fault::Short)?;
            self.block(&block, place, &mut channels, &mut message)?;
            at = end;
        }
        // Without it nobody knows on which channel the share talks.
        let mut channels = channels.ok_or(Fault::Short)?;
        channels.message = message;
        let mut ids: Vec<u16> = channels.statics.iter().map(|channel| channel.id).collect();
        ids.push(channels.io);
        ids.extend(message);
        ids.sort_unstable();
        if ids.windows(2).any(|two| two.first() == two.last()) {
            return Err(Fault::NotItsChannel);
        }
        out.to_client.extend(edited);
        Ok(Connection::Join(Join::new(self.agreed, channels)))
    }
}
