//! Chunks of static virtual channels ([MS-RDPBCGR] 2.2.6.1).

use super::{Reader, mcs};
use crate::error::{Fault, Side};
use crate::limits::CHUNK_BYTES;

/// The first and the last chunk of a message.
pub const FIRST: u32 = 1;
/// See [`FIRST`].
pub const LAST: u32 = 2;
/// Chunks that the client shall hand to the channel's end with their headers.
pub const SHOW_PROTOCOL: u32 = 0x10;
const COMPRESSED: u32 = 0x0020_0000;

/// One chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The length of the whole message.
    pub total: u32,
    /// First, last, and others.
    pub flags: u32,
    /// This piece.
    pub data: &'a [u8],
}

impl Chunk<'_> {
    /// Whether a message begins here.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.flags & FIRST != 0
    }

    /// Whether a message ends here.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.flags & LAST != 0
    }
}

/// Reads one chunk.
///
/// # Errors
/// If it is compressed, or longer than its message.
pub fn read(user_data: &[u8]) -> Result<Chunk<'_>, Fault> {
    let mut reader = Reader::new(user_data);
    let (total, flags) = (reader.u32()?, reader.u32()?);
    if flags & COMPRESSED != 0 {
        return Err(Fault::Compressed);
    }
    let data = reader.rest();
    if usize::try_from(total).is_ok_and(|total| data.len() > total) {
        return Err(Fault::Length);
    }
    Ok(Chunk { total, flags, data })
}

/// The pieces of one message, put together.
#[derive(Debug, Default)]
pub struct Assembly {
    pieces: Vec<u8>,
    /// The length that the first piece announced; none between messages.
    total: Option<usize>,
}

impl Assembly {
    /// Takes a chunk, and gives the message when it was the last.
    ///
    /// # Errors
    /// If two messages are mixed, or the message is longer than `most` or another length than announced.
    pub fn add(&mut self, chunk: &Chunk<'_>, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let total = usize::try_from(chunk.total).map_err(|_| Fault::TooMuch)?;
        if total > most {
            return Err(Fault::TooMuch);
        }
        match self.total {
            None if chunk.is_first() => self.total = Some(total),
            Some(announced) if !chunk.is_first() && announced == total => {}
            _ => return Err(Fault::Mixed),
        }
        // Pieces without anything in them would never come to an end.
        if chunk.data.is_empty() && total > 0 {
            return Err(Fault::Length);
        }
        self.pieces.extend_from_slice(chunk.data);
        if self.pieces.len() > total {
            return Err(Fault::Length);
        }
        if !chunk.is_last() {
            return Ok(None);
        }
        self.total = None;
        let message = std::mem::take(&mut self.pieces);
        if message.len() == total { Ok(Some(message)) } else { Err(Fault::Length) }
    }
}

/// A whole message as frames of this side, back to back.
///
/// # Errors
/// If the message is longer than a length of 32 bits.
pub fn write(from: Side, initiator: u16, channel: u16, message: &[u8]) -> Result<Vec<u8>, Fault> {
    let total = u32::try_from(message.len()).map_err(|_| Fault::TooMuch)?;
    let count = message.len().div_ceil(CHUNK_BYTES).max(1);
    let mut frames = Vec::with_capacity(message.len().saturating_add(count.saturating_mul(23)));
    for index in 0..count {
        let from_byte = index.saturating_mul(CHUNK_BYTES);
        let to_byte = from_byte.saturating_add(CHUNK_BYTES).min(message.len());
        let mut flags = SHOW_PROTOCOL;
        if index == 0 {
            flags |= FIRST;
        }
        if index.saturating_add(1) == count {
            flags |= LAST;
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 8);
        chunk.extend_from_slice(&total.to_le_bytes());
        chunk.extend_from_slice(&flags.to_le_bytes());
        chunk.extend_from_slice(message.get(from_byte..to_byte).unwrap_or_default());
        frames.extend(mcs::send_data(from, initiator, channel, &chunk)?);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frames::Frames;

    fn chunk(total: u32, flags: u32, data: &[u8]) -> Vec<u8> {
        [&total.to_le_bytes()[..], &flags.to_le_bytes(), data].concat()
    }

    #[test]
    fn mixed_long_and_compressed_messages_end() {
        assert_eq!(read(&chunk(3, FIRST | 0x0020_0000, &[1])), Err(Fault::Compressed));
        assert_eq!(read(&chunk(0, FIRST, &[1])), Err(Fault::Length));
        let first = chunk(4, FIRST, &[1, 2]);
        let cases: [(&[u8], Fault); 4] = [
            (&chunk(4, FIRST, &[3, 4]), Fault::Mixed),
            (&chunk(5, LAST, &[3, 4, 5]), Fault::Mixed),
            (&chunk(4, LAST, &[3]), Fault::Length),
            (&chunk(4, 0, &[3, 4, 5]), Fault::Length),
        ];
        for (second, fault) in cases {
            let mut assembly = Assembly::default();
            assert_eq!(assembly.add(&read(&first).unwrap(), 10), Ok(None));
            assert_eq!(assembly.add(&read(second).unwrap(), 10), Err(fault));
        }
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(&read(&first).unwrap(), 3), Err(Fault::TooMuch));
        assert_eq!(assembly.add(&read(&chunk(4, LAST, &[1])).unwrap(), 10), Err(Fault::Mixed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_chunk_or_an_error(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6)) {
            let mut assembly = Assembly::default();
            for bytes in chunks {
                read(&bytes).and_then(|chunk| assembly.add(&chunk, 16)).ok();
            }
        }

        #[test]
        fn what_is_written_reads_back(message in prop::collection::vec(any::<u8>(), 0..5_000)) {
            let mut frames = Frames::default();
            frames.push(&write(Side::Host, 1002, 1004, &message).unwrap()).unwrap();
            let (mut assembly, mut found) = (Assembly::default(), None);
            while let Some(frame) = frames.take().unwrap() {
                let mcs::Domain::Send(send) = mcs::read(frame).unwrap() else { panic!() };
                prop_assert!(found.is_none());
                found = assembly.add(&read(send.data).unwrap(), 5_000).unwrap();
            }
            prop_assert_eq!(found, Some(message));
        }
    }
}
