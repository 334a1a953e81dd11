//! Frames on the channel: a 4-byte big-endian length, then one CBOR item.
//!
//! ```text
//! u32 length | tag 18 …            a signed message (COSE_Sign1)
//! u32 length | [incident, piece, index, bytes]   a chunk of evidence, bound by the signed manifest
//! ```
//! Channels split and join writes ([MS-RDPEDYC] fragments them), so frames carry
//! their length. A chunk is not signed itself: the manifest before it is signed and lists the
//! SHA-256 of each chunk.

use bytes::{Buf as _, Bytes, BytesMut};
use minicbor::{Decode, Encode};

use crate::cbor;
use crate::limits::{CHUNK_BYTES, MESSAGE_MAX_BYTES, PIECES_MAX};

const LENGTH_BYTES: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error(
        "the peer announced a message of {0} bytes, but {MESSAGE_MAX_BYTES} is the limit. The peer is at fault, or another program uses this channel"
    )]
    TooLarge(usize),
    #[error("the peer sent an empty message. The peer is at fault, or another program uses this channel")]
    Empty,
    #[error("an evidence chunk cannot be decoded. The client is at fault: compare versions")]
    Chunk,
}

/// A piece of a sealed picture.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Chunk {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub incident_id: [u8; 16],
    #[n(1)]
    pub piece: u8,
    #[n(2)]
    pub index: u16,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub data: Vec<u8>,
}

impl Chunk {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 32);
        // Writing to a Vec cannot fail.
        let written = minicbor::encode(self, &mut out);
        debug_assert!(written.is_ok());
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrameError> {
        let chunk: Chunk = cbor::read(bytes).map_err(|_| FrameError::Chunk)?;
        let fits = !chunk.data.is_empty()
            && chunk.data.len() <= CHUNK_BYTES
            && usize::from(chunk.piece) < PIECES_MAX;
        if fits { Ok(chunk) } else { Err(FrameError::Chunk) }
    }
}

/// Whether a frame is a signed message (COSE_Sign1's tag) rather than a chunk.
pub fn is_signed(frame: &[u8]) -> bool {
    frame.first() == Some(&0xd2)
}

/// Puts the length before a frame.
pub fn frame(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let length = u32::try_from(body.len()).map_err(|_| FrameError::TooLarge(body.len()))?;
    if body.len() > MESSAGE_MAX_BYTES {
        return Err(FrameError::TooLarge(body.len()));
    }
    if body.is_empty() {
        return Err(FrameError::Empty);
    }
    Ok([&length.to_be_bytes()[..], body].concat())
}

/// Collects bytes as they arrive and returns whole frames.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: BytesMut,
}

impl Deframer {
    /// Adds bytes from the channel. Call `next_frame` until it gives `None` before adding more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; an error ends the stream, because its boundaries are lost.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MESSAGE_MAX_BYTES {
            return Err(FrameError::TooLarge(length));
        }
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_any_split(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..10), step in 1usize..64) {
            let stream: Vec<u8> = bodies.iter().flat_map(|b| frame(b).unwrap()).collect();
            let mut deframer = Deframer::default();
            let mut got = Vec::new();
            for part in stream.chunks(step) {
                deframer.push(part);
                while let Some(frame) = deframer.next_frame().unwrap() {
                    got.push(frame);
                }
            }
            prop_assert_eq!(got, bodies);
        }

        #[test]
        fn any_bytes_are_a_chunk_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(chunk) = Chunk::from_bytes(&bytes) {
                prop_assert!(chunk.data.len() <= CHUNK_BYTES);
            }
        }
    }

    #[test]
    fn an_oversized_announcement_is_refused_before_anything_is_kept() {
        let mut deframer = Deframer::default();
        deframer.push(&u32::MAX.to_be_bytes());
        assert_eq!(deframer.next_frame(), Err(FrameError::TooLarge(u32::MAX as usize)));
        assert!(frame(&vec![0; MESSAGE_MAX_BYTES + 1]).is_err());
    }
}
