//! The client gets a user id and joins its channels ([MS-RDPBCGR] 2.2.1.5 to 2.2.1.9), then says who it is.

use super::negotiate::Agreed;
use super::{Channels, Connection, Licence, Out, Phase, info, sideband};
use crate::error::{Fault, Side, Stage};
use crate::wire::mcs::{self, Domain, SendData};

/// Waits for joins, and for Client Info behind them.
#[derive(Debug)]
pub struct Join {
    agreed: Agreed,
    channels: Channels,
    asked: bool,
}

impl Join {
    pub(super) fn new(agreed: Agreed, channels: Channels) -> Self {
        Self { agreed, channels, asked: false }
    }
}

impl Phase for Join {
    const STAGE: Stage = Stage::Joining;

    fn client(mut self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault> {
        let attached = self.channels.user != 0;
        match mcs::read(frame)? {
            Domain::ErectDomain if !self.asked => {}
            Domain::AttachRequest if !self.asked => self.asked = true,
            Domain::JoinRequest { user, channel }
                if attached && user == self.channels.user && self.channels.has(channel) => {}
            Domain::Send(SendData { from: Side::Client, initiator, channel, data })
                if attached && initiator == self.channels.user =>
            {
                if Some(channel) == self.channels.message {
                    if sideband::client(data)? {
                        out.to_host.extend_from_slice(frame);
                    }
                    return Ok(Connection::Join(self));
                }
                if channel != self.channels.io {
                    return Err(Fault::OutOfTurn);
                }
                // Needed once: the password does not stay behind for the session.
                let credential = self.agreed.logon.take();
                let (logon, edited) = info::edit(data, credential.as_ref())?;
                out.to_host.extend(mcs::send_data(Side::Client, initiator, channel, &edited)?);
                return Ok(Connection::Licence(Licence::new(self.agreed, self.channels, logon)));
            }
            Domain::Disconnect => {}
            _ => return Err(Fault::OutOfTurn),
        }
        out.to_host.extend_from_slice(frame);
        Ok(Connection::Join(self))
    }

    fn host(mut self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault> {
        match mcs::read(frame)? {
            Domain::AttachConfirm { user } if self.asked && self.channels.user == 0 => {
                if self.channels.has(user) {
                    return Err(Fault::NotItsChannel);
                }
                self.channels.user = user;
            }
            Domain::JoinConfirm { user, channel }
                if user == self.channels.user && self.channels.has(channel) => {}
            Domain::Send(SendData { from: Side::Host, channel, data, .. })
                if Some(channel) == self.channels.message =>
            {
                if !sideband::host(data)? {
                    return Ok(Connection::Join(self));
                }
            }
            Domain::Disconnect => {}
            _ => return Err(Fault::OutOfTurn),
        }
        out.to_client.extend_from_slice(frame);
        Ok(Connection::Join(self))
    }
}
