//! A host of nothing but a screen, in the place of one to which nobody can be led.
//!
//! ```text
//!  client ⇄ relay ⇄ StandIn      Connect Response, user, joins, licence, Demand Active, Font Map, and nothing more
//! ```
//! Clients show a sentence of their own when a connection ends early, and it blames the wrong one: a password, or
//! the network. So where the host is missing or is not the right one, the client gets a session all the same, which
//! is covered from its first to its last moment, and the cover's words say what is wrong.
//!
//! The client comes through the relay as with any host, so that what can be sent to it is what a cover can send.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod answers;
mod settings;

use crate::error::{Fault, Side};
use crate::frames::{self, Kind};
use crate::live::Size;
use crate::wire::mcs::{self, Domain, SendData};
use crate::wire::share;

/// The channel that the share talks on.
const IO: u16 = 1003;
/// The host's own user.
const HOST: u16 = 1002;

/// Answers a client until it can be shown something.
#[derive(Debug)]
pub struct StandIn {
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Settings,
    /// Everything up to Client Info.
    Joins {
        user: u16,
        size: Size,
    },
    Share {
        user: u16,
    },
}

impl Default for StandIn {
    fn default() -> Self {
        Self { stage: Stage::Settings }
    }
}

impl StandIn {
    /// The answer to a frame of the client: nothing, or whole frames.
    ///
    /// # Errors
    /// If the frame belongs to nothing that a client says at this stage.
    pub fn take(&mut self, frame: &[u8]) -> Result<Vec<u8>, Fault> {
        let first = frame.first().copied().ok_or(Fault::Short)?;
        match self.stage {
            Stage::Settings => {
                let asked = settings::read(frame)?;
                self.stage = Stage::Joins { user: asked.user(), size: asked.size };
                settings::response(&asked)
            }
            Stage::Joins { user, size } => self.join(user, size, frame),
            // Keys and the pointer go nowhere.
            Stage::Share { .. } if frames::kind(first)? == Kind::FastPath => Ok(Vec::new()),
            Stage::Share { user } => match mcs::read(frame)? {
                Domain::Send(SendData { from: Side::Client, initiator, channel: IO, data })
                    if initiator == user =>
                {
                    answer(data)
                }
                _ => Ok(Vec::new()),
            },
        }
    }

    fn join(&mut self, user: u16, size: Size, frame: &[u8]) -> Result<Vec<u8>, Fault> {
        match mcs::read(frame)? {
            Domain::ErectDomain | Domain::Disconnect => Ok(Vec::new()),
            Domain::AttachRequest => mcs::attach_confirm(user),
            Domain::JoinRequest { user: asking, channel } if asking == user => {
                mcs::join_confirm(user, channel)
            }
            Domain::Send(SendData { from: Side::Client, initiator, channel: IO, .. })
                if initiator == user =>
            {
                self.stage = Stage::Share { user };
                let licence = mcs::send_data(Side::Host, HOST, IO, &answers::LICENCE_IS_VALID)?;
                let demand = mcs::send_data(Side::Host, HOST, IO, &answers::demand_active(size)?)?;
                Ok([licence, demand].concat())
            }
            _ => Err(Fault::OutOfTurn),
        }
    }
}

/// What a host says to share data up to Font Map, and to a client that wants to close its window.
fn answer(data: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut said = Vec::new();
    for control in share::split(data)? {
        let Some(of_data) = control.data else { continue };
        if let Some((kind, body)) = answers::to(of_data.kind, control.body) {
            let pdu = share::write_data(answers::SHARE, HOST, kind, &body)?;
            said.extend(mcs::send_data(Side::Host, HOST, IO, &pdu)?);
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests;
