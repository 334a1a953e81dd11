//! PDUs of drdynvc, which carries the dynamic channels ([MS-RDPEDYC] 2.2).

use super::Reader;
use crate::error::Fault;
use crate::limits::{CHUNK_BYTES, DYNAMIC_NAME_MAX_BYTES};

const CREATE: u8 = 1;
const DATA_FIRST: u8 = 2;
const DATA: u8 = 3;
const CLOSE: u8 = 4;
const CAPABILITIES: u8 = 5;

/// The status that a host's refused channel gets: STATUS_UNSUCCESSFUL, what clients answer without a listener.
pub const NO_LISTENER: u32 = 0xC000_0001;
/// The newest version that the gate can follow: 3 has compressed data and other transports.
pub const VERSION_MAX: u16 = 2;

/// One PDU. What only one side sends is told apart by who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pdu<'a> {
    /// Of either side: request or response.
    Capabilities {
        /// 1, 2 or 3.
        version: u16,
    },
    /// The host opens a channel: its name. The client answers: a status.
    Create {
        /// The channel's number.
        id: u32,
        /// Name or status.
        body: &'a [u8],
    },
    /// The first piece of a message.
    DataFirst {
        /// The channel.
        id: u32,
        /// The length of all pieces.
        total: u32,
        /// This piece.
        data: &'a [u8],
    },
    /// A whole message, or a further piece.
    Data {
        /// The channel.
        id: u32,
        /// All of it, or this piece.
        data: &'a [u8],
    },
    /// Either side closes a channel.
    Close {
        /// The channel.
        id: u32,
    },
}

/// A message of one channel, whose pieces do not say which is the last.
#[derive(Debug, Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    /// The length of all, while some are missing.
    total: Option<usize>,
}

impl Pieces {
    /// Takes a piece, with the length of all if it is the first of several, and gives the message when it was the last.
    ///
    /// # Errors
    /// If two messages are mixed, or one is longer than `most` or than announced.
    pub fn add(&mut self, total: Option<u32>, piece: &[u8], most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let total = match (total, self.total) {
            (Some(_), Some(_)) => return Err(Fault::Mixed),
            (Some(total), None) => usize::try_from(total).map_err(|_| Fault::TooMuch)?,
            (None, Some(total)) => total,
            (None, None) => piece.len(),
        };
        if total > most {
            return Err(Fault::TooMuch);
        }
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > total {
            return Err(Fault::Length);
        }
        let whole = self.bytes.len() == total;
        self.total = (!whole).then_some(total);
        Ok(whole.then(|| std::mem::take(&mut self.bytes)))
    }

    /// The message that has begun will not be finished.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Reads one PDU.
///
/// # Errors
/// If it is cut or unknown, or one that version 2 does not have.
pub fn read(message: &[u8]) -> Result<Pdu<'_>, Fault> {
    let mut reader = Reader::new(message);
    let header = reader.u8()?;
    let id_size = header & 3;
    match header >> 4 {
        CAPABILITIES => {
            reader.u8()?;
            Ok(Pdu::Capabilities { version: reader.u16()? })
        }
        CREATE => Ok(Pdu::Create { id: number(&mut reader, id_size)?, body: reader.rest() }),
        DATA_FIRST => {
            let id = number(&mut reader, id_size)?;
            let total = number(&mut reader, (header >> 2) & 3)?;
            let data = reader.rest();
            match usize::try_from(total) {
                Ok(length) if data.len() <= length => Ok(Pdu::DataFirst { id, total, data }),
                _ => Err(Fault::Length),
            }
        }
        DATA => Ok(Pdu::Data { id: number(&mut reader, id_size)?, data: reader.rest() }),
        CLOSE => Ok(Pdu::Close { id: number(&mut reader, id_size)? }),
        6 | 7 => Err(Fault::Compressed),
        8 | 9 => Err(Fault::OtherTransport),
        _ => Err(Fault::Unknown),
    }
}

/// A number of 1, 2 or 4 bytes.
fn number(reader: &mut Reader<'_>, size: u8) -> Result<u32, Fault> {
    match size {
        0 => reader.u8().map(u32::from),
        1 => reader.u16().map(u32::from),
        2 => reader.u32(),
        _ => Err(Fault::Unknown),
    }
}

/// The name in a host's Create: up to its zero.
///
/// # Errors
/// If there is no zero, or it is longer than any known name.
pub fn name(body: &[u8]) -> Result<String, Fault> {
    let end = body.iter().position(|byte| *byte == 0).ok_or(Fault::Short)?;
    if end > DYNAMIC_NAME_MAX_BYTES {
        return Err(Fault::TooMuch);
    }
    Ok(String::from_utf8_lossy(body.get(..end).unwrap_or_default()).into_owned())
}

/// The status in a client's answer to Create: negative means that nobody listens.
///
/// # Errors
/// If it is cut.
pub fn status(body: &[u8]) -> Result<u32, Fault> {
    Reader::new(body).u32()
}

/// Capabilities as a host asks with them, with no priorities.
#[must_use]
pub fn write_capabilities_request() -> Vec<u8> {
    let [low, high] = VERSION_MAX.to_le_bytes();
    vec![CAPABILITIES << 4, 0, low, high, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Capabilities as a client answers.
#[must_use]
pub fn write_capabilities_response(version: u16) -> Vec<u8> {
    let [low, high] = version.to_le_bytes();
    vec![CAPABILITIES << 4, 0, low, high]
}

fn write_header(command: u8, id: u32, length_size: u8) -> Vec<u8> {
    let mut header = vec![(command << 4) | (length_size << 2)];
    let (size, bytes) = match (u8::try_from(id), u16::try_from(id)) {
        (Ok(id), _) => (0, id.to_le_bytes().to_vec()),
        (_, Ok(id)) => (1, id.to_le_bytes().to_vec()),
        _ => (2, id.to_le_bytes().to_vec()),
    };
    if let Some(first) = header.first_mut() {
        *first |= size;
    }
    header.extend(bytes);
    header
}

/// A channel is opened.
#[must_use]
pub fn write_create(id: u32, name: &str) -> Vec<u8> {
    let mut pdu = write_header(CREATE, id, 0);
    pdu.extend_from_slice(name.as_bytes());
    pdu.push(0);
    pdu
}

/// The answer to it.
#[must_use]
pub fn write_create_response(id: u32, status: u32) -> Vec<u8> {
    let mut pdu = write_header(CREATE, id, 0);
    pdu.extend_from_slice(&status.to_le_bytes());
    pdu
}

/// A channel is closed.
#[must_use]
pub fn write_close(id: u32) -> Vec<u8> {
    write_header(CLOSE, id, 0)
}

/// A message, in as many PDUs as it takes.
///
/// # Errors
/// If its length does not fit into 32 bits.
pub fn write_data(id: u32, message: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut whole = write_header(DATA, id, 0);
    let room = CHUNK_BYTES.saturating_sub(whole.len());
    if message.len() <= room {
        whole.extend_from_slice(message);
        return Ok(vec![whole]);
    }
    let total = u32::try_from(message.len()).map_err(|_| Fault::TooMuch)?;
    let mut first = write_header(DATA_FIRST, id, 2);
    first.extend_from_slice(&total.to_le_bytes());
    let (head, tail) = message.split_at(CHUNK_BYTES.saturating_sub(first.len()).min(message.len()));
    first.extend_from_slice(head);
    let mut pdus = vec![first];
    for piece in tail.chunks(room.max(1)) {
        let mut next = write_header(DATA, id, 0);
        next.extend_from_slice(piece);
        pdus.push(next);
    }
    Ok(pdus)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_version_2_does_not_have_ends() {
        for (header, fault) in [
            (0x60, Fault::Compressed),
            (0x70, Fault::Compressed),
            (0x80, Fault::OtherTransport),
            (0x90, Fault::OtherTransport),
            (0x00, Fault::Unknown),
            (0xA0, Fault::Unknown),
            (0x33, Fault::Unknown),
            (0x2C, Fault::Unknown),
        ] {
            assert_eq!(read(&[header, 1, 1, 1, 1, 1]), Err(fault), "{header:#x}");
        }
        assert_eq!(read(&[0x20, 7, 1, 1, 2]), Err(Fault::Length));
    }

    #[test]
    fn names_end_with_a_zero_and_are_short() {
        assert_eq!(name(b"SUDARE\0rest").as_deref(), Ok("SUDARE"));
        assert_eq!(name(b"SUDARE"), Err(Fault::Short));
        assert_eq!(name(&[vec![b'a'; 257], vec![0]].concat()), Err(Fault::TooMuch));
    }

    #[test]
    fn pieces_are_of_one_message_and_bounded() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.add(None, &[1, 2], 2), Ok(Some(vec![1, 2])));
        assert_eq!(pieces.add(Some(3), &[1], 3), Ok(None));
        assert_eq!(pieces.add(Some(3), &[1], 3), Err(Fault::Mixed));
        assert_eq!(pieces.add(None, &[2, 3], 3), Ok(Some(vec![1, 2, 3])));
        assert_eq!(pieces.add(Some(4), &[1], 3), Err(Fault::TooMuch));
        assert_eq!(pieces.add(None, &[1; 4], 3), Err(Fault::TooMuch));
        assert_eq!(pieces.add(Some(2), &[1], 3), Ok(None));
        assert_eq!(pieces.add(None, &[1; 2], 3), Err(Fault::Length));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_pdu_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(Pdu::Create { body, .. }) = read(&bytes) {
                name(body).ok();
                status(body).ok();
            }
        }

        #[test]
        fn what_is_written_reads_back(id in prop_oneof![0_u32..300, 60_000_u32..70_000, any::<u32>()], message in prop::collection::vec(any::<u8>(), 0..5_000)) {
            let pdus = write_data(id, &message).unwrap();
            let mut found = Vec::new();
            for (index, pdu) in pdus.iter().enumerate() {
                prop_assert!(pdu.len() <= CHUNK_BYTES);
                match read(pdu).unwrap() {
                    Pdu::Data { id: of, data } => {
                        prop_assert!(of == id && (index > 0) == (pdus.len() > 1));
                        found.extend_from_slice(data);
                    }
                    Pdu::DataFirst { id: of, total, data } => {
                        prop_assert!(of == id && index == 0 && total as usize == message.len());
                        found.extend_from_slice(data);
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(found, message);
            let close = write_close(id);
            prop_assert_eq!(read(&close), Ok(Pdu::Close { id }));
            let create = write_create(id, "SUDARE");
            let Ok(Pdu::Create { id: of, body }) = read(&create) else { panic!() };
            prop_assert_eq!((of, name(body)), (id, Ok("SUDARE".to_owned())));
            let answer = write_create_response(id, NO_LISTENER);
            let Ok(Pdu::Create { id: of, body }) = read(&answer) else { panic!() };
            prop_assert_eq!((of, status(body)), (id, Ok(NO_LISTENER)));
        }
    }
}
