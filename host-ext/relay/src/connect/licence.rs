//! Licensing ([MS-RDPBCGR] 2.2.1.12, [MS-RDPELE] 2.2.2), which passes unread but for its end.

use super::info::Logon;
use super::negotiate::Agreed;
use super::{Channels, Connection, Out, Phase, sideband};
use crate::error::{Fault, Side, Stage};
use crate::live::Live;
use crate::wire::Reader;
use crate::wire::mcs::{self, Domain, SendData};

const LICENCE_PACKET: u16 = 0x0080;
const ENCRYPT: u16 = 0x0008;
const NEW_LICENCE: u8 = 0x03;
const UPGRADE_LICENCE: u8 = 0x04;
const ERROR_ALERT: u8 = 0xFF;

/// Waits for the host's last word about the licence.
#[derive(Debug)]
pub struct Licence {
    agreed: Agreed,
    channels: Channels,
    logon: Logon,
}

impl Licence {
    pub(super) fn new(agreed: Agreed, channels: Channels, logon: Logon) -> Self {
        Self { agreed, channels, logon }
    }
}

impl Phase for Licence {
    const STAGE: Stage = Stage::Licensing;

    fn client(self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault> {
        let passes = match mcs::read(frame)? {
            Domain::Send(SendData { from: Side::Client, initiator, channel, data })
                if initiator == self.channels.user =>
            {
                if Some(channel) == self.channels.message {
                    sideband::client(data)?
                } else if channel == self.channels.io {
                    message(data)?;
                    true
                } else {
                    return Err(Fault::OutOfTurn);
                }
            }
            Domain::Disconnect => true,
            _ => return Err(Fault::OutOfTurn),
        };
        if passes {
            out.to_host.extend_from_slice(frame);
        }
        Ok(Connection::Licence(self))
    }

    fn host(self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault> {
        let (passes, done) = match mcs::read(frame)? {
            Domain::Send(SendData { from: Side::Host, channel, data, .. }) => {
                if Some(channel) == self.channels.message {
                    (sideband::host(data)?, false)
                } else if channel == self.channels.io {
                    (true, matches!(message(data)?, NEW_LICENCE | UPGRADE_LICENCE | ERROR_ALERT))
                } else {
                    return Err(Fault::OutOfTurn);
                }
            }
            Domain::Disconnect => (true, false),
            _ => return Err(Fault::OutOfTurn),
        };
        if passes {
            out.to_client.extend_from_slice(frame);
        }
        if done {
            let live = Live::new(self.agreed.policy, self.channels, self.logon);
            return Ok(Connection::Live(Box::new(live)));
        }
        Ok(Connection::Licence(self))
    }
}

/// The type of a licensing message.
fn message(data: &[u8]) -> Result<u8, Fault> {
    let mut reader = Reader::new(data);
    let (flags, _high) = (reader.u16()?, reader.u16()?);
    if flags & LICENCE_PACKET == 0 {
        return Err(Fault::OutOfTurn);
    }
    if flags & ENCRYPT != 0 {
        return Err(Fault::Encrypted);
    }
    // Flags alone could be the length of another PDU, so the message's own length must be right as well.
    let whole = reader.left();
    let kind = reader.u8()?;
    reader.u8()?;
    if usize::from(reader.u16()?) == whole { Ok(kind) } else { Err(Fault::Length) }
}
