//! X.224 Data TPDUs and the MCS domain PDUs in them ([MS-RDPBCGR] 2.2.1.5 to 2.2.1.9, [T125] 7).

use super::{Reader, length_u16};
use crate::error::{Fault, Side};

/// TPKT's version and a reserved byte, X.224's length, its code for Data and the end of the TPDU.
const TPKT: [u8; 2] = [3, 0];
const X224_DATA: [u8; 3] = [2, 0xF0, 0x80];
/// What stands before the user data of [`send_data`], with a length of two bytes.
const SEND_HEADER_BYTES: usize = 15;
/// User ids begin here ([T125]: `UserId ::= DynamicChannelId`).
const USER_BASE: u16 = 1001;
/// High priority, and both segmentation flags: one PDU is one message.
const WHOLE: u8 = 0x70;
const SEGMENTATION: u8 = 0x30;

const DISCONNECT: u8 = 8;
const ERECT_DOMAIN: u8 = 1;
const ATTACH_REQUEST: u8 = 10;
const ATTACH_CONFIRM: u8 = 11;
const JOIN_REQUEST: u8 = 14;
const JOIN_CONFIRM: u8 = 15;
const SEND_REQUEST: u8 = 25;
const SEND_INDICATION: u8 = 26;

/// A PDU of the MCS domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain<'a> {
    /// The client begins.
    ErectDomain,
    /// The client asks for a user id.
    AttachRequest,
    /// The host gives it.
    AttachConfirm {
        /// The client's channel of its own.
        user: u16,
    },
    /// The client asks for a channel.
    JoinRequest {
        /// Who asks.
        user: u16,
        /// For which.
        channel: u16,
    },
    /// The host allows it.
    JoinConfirm {
        /// Who asked.
        user: u16,
        /// Which channel.
        channel: u16,
    },
    /// Data of either side.
    Send(SendData<'a>),
    /// Either side ends the connection.
    Disconnect,
}

/// Data on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendData<'a> {
    /// The client requests, the host indicates.
    pub from: Side,
    /// The user who sends; the host's own in an indication.
    pub initiator: u16,
    /// The channel.
    pub channel: u16,
    /// What is sent.
    pub data: &'a [u8],
}

/// The payload of an X.224 Data TPDU.
///
/// # Errors
/// If the frame is none, or its length is another.
pub fn x224_data(frame: &[u8]) -> Result<&[u8], Fault> {
    let mut reader = Reader::new(frame);
    reader.expect(&TPKT)?;
    if usize::from(reader.u16_be()?) != frame.len() {
        return Err(Fault::Length);
    }
    reader.expect(&X224_DATA)?;
    Ok(reader.rest())
}

/// An X.224 Data TPDU with this payload.
///
/// # Errors
/// If the payload does not fit.
pub fn write_x224_data(payload: &[u8]) -> Result<Vec<u8>, Fault> {
    let total = length_u16(payload.len().saturating_add(7))?;
    Ok([&TPKT, &total.to_be_bytes()[..], &X224_DATA, payload].concat())
}

/// Reads one domain PDU.
///
/// # Errors
/// If it is none that RDP uses, or its lengths are wrong.
pub fn read(frame: &[u8]) -> Result<Domain<'_>, Fault> {
    let mut reader = Reader::new(x224_data(frame)?);
    let first = reader.u8()?;
    match first >> 2 {
        // Sub-height and sub-interval, which nobody uses.
        ERECT_DOMAIN => Ok(Domain::ErectDomain),
        ATTACH_REQUEST => Ok(Domain::AttachRequest),
        ATTACH_CONFIRM => {
            accepted(&mut reader)?;
            Ok(Domain::AttachConfirm { user: user(&mut reader)? })
        }
        JOIN_REQUEST => Ok(Domain::JoinRequest { user: user(&mut reader)?, channel: reader.u16_be()? }),
        JOIN_CONFIRM => {
            accepted(&mut reader)?;
            let (user, requested) = (user(&mut reader)?, reader.u16_be()?);
            // Bit 1 of the choice says that the channel follows; it is the one that was asked for.
            if first & 2 != 0 && reader.u16_be()? != requested {
                return Err(Fault::NotAccepted);
            }
            Ok(Domain::JoinConfirm { user, channel: requested })
        }
        SEND_REQUEST => send(reader, Side::Client),
        SEND_INDICATION => send(reader, Side::Host),
        DISCONNECT => Ok(Domain::Disconnect),
        _ => Err(Fault::Unknown),
    }
}

fn user(reader: &mut Reader<'_>) -> Result<u16, Fault> {
    reader.u16_be()?.checked_add(USER_BASE).ok_or(Fault::Unknown)
}

/// `Result ::= ENUMERATED { rt-successful (0), … }`
fn accepted(reader: &mut Reader<'_>) -> Result<(), Fault> {
    if reader.u8()? == 0 { Ok(()) } else { Err(Fault::NotAccepted) }
}

fn send(mut reader: Reader<'_>, from: Side) -> Result<Domain<'_>, Fault> {
    let (initiator, channel) = (user(&mut reader)?, reader.u16_be()?);
    if reader.u8()? & SEGMENTATION != SEGMENTATION {
        return Err(Fault::Unknown);
    }
    // Every implementation writes 15 bits of length here, where PER has 14 and fragments beyond.
    let high = reader.u8()?;
    let length = if high & 0x80 == 0 { high.into() } else { u16::from_be_bytes([high & 0x7F, reader.u8()?]) };
    if usize::from(length) != reader.left() {
        return Err(Fault::Length);
    }
    Ok(Domain::Send(SendData { from, initiator, channel, data: reader.rest() }))
}

/// A whole frame with data on a channel, as this side sends it.
///
/// # Errors
/// If the data does not fit into one frame.
pub fn send_data(from: Side, initiator: u16, channel: u16, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let total = length_u16(data.len().saturating_add(SEND_HEADER_BYTES))?;
    let length = length_u16(data.len())?;
    if length & 0x8000 != 0 {
        return Err(Fault::TooMuch);
    }
    let choice = match from {
        Side::Client => SEND_REQUEST,
        Side::Host => SEND_INDICATION,
    };
    let initiator = initiator.checked_sub(USER_BASE).ok_or(Fault::Unknown)?;
    let mut frame = Vec::with_capacity(usize::from(total));
    frame.extend_from_slice(&TPKT);
    frame.extend_from_slice(&total.to_be_bytes());
    frame.extend_from_slice(&X224_DATA);
    frame.push(choice << 2);
    frame.extend_from_slice(&initiator.to_be_bytes());
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.push(WHOLE);
    frame.extend_from_slice(&(length | 0x8000).to_be_bytes());
    frame.extend_from_slice(data);
    Ok(frame)
}

/// The host's answer to an attach request.
///
/// # Errors
/// If no user can have this id.
pub fn attach_confirm(user: u16) -> Result<Vec<u8>, Fault> {
    let [high, low] = user.checked_sub(USER_BASE).ok_or(Fault::Unknown)?.to_be_bytes();
    write_x224_data(&[ATTACH_CONFIRM << 2 | 2, 0, high, low])
}

/// The host's answer to a join request: the channel that was asked for.
///
/// # Errors
/// If no user can have this id.
pub fn join_confirm(user: u16, channel: u16) -> Result<Vec<u8>, Fault> {
    let user = user.checked_sub(USER_BASE).ok_or(Fault::Unknown)?.to_be_bytes();
    let channel = channel.to_be_bytes();
    write_x224_data(&[&[JOIN_CONFIRM << 2 | 2, 0][..], &user, &channel, &channel].concat())
}

#[cfg(test)]
mod tests {
    use ironrdp_pdu::mcs;
    use ironrdp_pdu::x224::X224;
    use proptest::prelude::*;

    use super::*;

    fn oracle<'a, T>(pdu: T) -> Vec<u8>
    where
        X224<T>: ironrdp_core::Encode,
        T: 'a,
    {
        ironrdp_core::encode_vec(&X224(pdu)).unwrap()
    }

    #[test]
    fn what_another_implementation_writes_is_read() {
        let attach = mcs::AttachUserConfirm { result: 0, initiator_id: 1007 };
        assert_eq!(read(&oracle(attach)), Ok(Domain::AttachConfirm { user: 1007 }));
        let refused = mcs::AttachUserConfirm { result: 3, initiator_id: 1007 };
        assert_eq!(read(&oracle(refused)), Err(Fault::NotAccepted));
        let join = mcs::ChannelJoinRequest { initiator_id: 1007, channel_id: 1003 };
        assert_eq!(read(&oracle(join)), Ok(Domain::JoinRequest { user: 1007, channel: 1003 }));
        let confirm = |channel_id| mcs::ChannelJoinConfirm {
            result: 0,
            initiator_id: 1007,
            requested_channel_id: 1003,
            channel_id,
        };
        assert_eq!(read(&oracle(confirm(1003))), Ok(Domain::JoinConfirm { user: 1007, channel: 1003 }));
        assert_eq!(read(&oracle(confirm(1004))), Err(Fault::NotAccepted));
        let erect = mcs::ErectDomainPdu { sub_height: 0, sub_interval: 0 };
        assert_eq!(read(&oracle(erect)), Ok(Domain::ErectDomain));
        assert_eq!(read(&oracle(mcs::AttachUserRequest)), Ok(Domain::AttachRequest));
    }

    #[test]
    fn confirmations_are_read_by_another_implementation() {
        let attach = attach_confirm(1007).unwrap();
        let read = ironrdp_core::decode::<X224<mcs::AttachUserConfirm>>(&attach).unwrap().0;
        assert_eq!((read.result, read.initiator_id), (0, 1007));
        let join = join_confirm(1007, 1003).unwrap();
        let read = ironrdp_core::decode::<X224<mcs::ChannelJoinConfirm>>(&join).unwrap().0;
        assert_eq!((read.result, read.initiator_id), (0, 1007));
        assert_eq!((read.requested_channel_id, read.channel_id), (1003, 1003));
        assert_eq!(attach_confirm(7), Err(Fault::Unknown));
    }

    #[test]
    fn what_is_written_is_read_by_another_implementation() {
        let frame = send_data(Side::Client, 1007, 1003, &[1, 2, 3]).unwrap();
        let X224(message) = ironrdp_core::decode::<X224<mcs::McsMessage<'_>>>(&frame).unwrap();
        let mcs::McsMessage::SendDataRequest(read) = message else { panic!("{message:?}") };
        assert_eq!((read.initiator_id, read.channel_id, &*read.user_data), (1007, 1003, &[1, 2, 3][..]));
    }

    #[test]
    fn a_length_that_is_wrong_ends() {
        let good = send_data(Side::Host, 1002, 1003, &[0; 200]).unwrap();
        for (at, fault) in [(3, Fault::Length), (14, Fault::Length)] {
            let mut bad = good.clone();
            bad[at] += 1;
            assert_eq!(read(&bad), Err(fault));
            bad[at] -= 2;
            assert_eq!(read(&bad), Err(fault));
        }
        assert_eq!(send_data(Side::Host, 1002, 1003, &[0; 0x8000]), Err(Fault::TooMuch));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_pdu_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            read(&bytes).ok();
            // With a right beginning, the part behind it is reached.
            bytes.insert(0, 0x64);
            read(&write_x224_data(&bytes).unwrap()).ok();
        }

        #[test]
        fn what_is_written_reads_back(client: bool, user in 1001_u16.., channel: u16, data in prop::collection::vec(any::<u8>(), 0..300)) {
            let from = if client { Side::Client } else { Side::Host };
            let frame = send_data(from, user, channel, &data).unwrap();
            prop_assert_eq!(read(&frame), Ok(Domain::Send(SendData { from, initiator: user, channel, data: &data })));
        }
    }
}
