//! A stream of bytes into whole frames: TPKT ([MS-RDPBCGR] 2.2.1.1) or fast-path (2.2.8.1.2, 2.2.9.1.2).

use crate::error::Fault;
use crate::limits::{FRAME_MAX_BYTES, READ_MAX_BYTES};
use crate::wire::Reader;

const TPKT_VERSION: u8 = 3;
const TPKT_HEADER_BYTES: usize = 4;
/// Both low bits of a fast-path header are zero; 3 there is a TPKT.
const ACTION_MASK: u8 = 3;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// X.224 with MCS in it.
    Tpkt,
    /// The short form of input and output.
    FastPath,
}

/// The kind of the frame that begins with this byte.
///
/// # Errors
/// If none does.
pub fn kind(first: u8) -> Result<Kind, Fault> {
    match first {
        TPKT_VERSION => Ok(Kind::Tpkt),
        other if other & ACTION_MASK == 0 => Ok(Kind::FastPath),
        _ => Err(Fault::NoFrame),
    }
}

/// The length of the frame at the start of `bytes`, header included. None: more bytes are needed to tell.
///
/// # Errors
/// If no frame begins so, or it would be shorter than its own header.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let (length, header) = match kind(*first)? {
        Kind::Tpkt => match bytes.get(2..TPKT_HEADER_BYTES) {
            Some(length) => (usize::from(Reader::new(length).u16_be()?), TPKT_HEADER_BYTES),
            None => return Ok(None),
        },
        Kind::FastPath => match (bytes.get(1), bytes.get(2)) {
            (Some(high), Some(low)) if high & 0x80 != 0 => {
                (usize::from(u16::from_be_bytes([high & 0x7F, *low])), 3)
            }
            (Some(length), _) if length & 0x80 == 0 => (usize::from(*length), 2),
            _ => return Ok(None),
        },
    };
    if length <= header { Err(Fault::Length) } else { Ok(Some(length)) }
}

/// Bytes of one side that are not whole frames yet.
#[derive(Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where the next frame begins; what lies before it has been taken.
    start: usize,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("waiting_bytes", &self.waiting()).finish()
    }
}

impl Frames {
    /// Takes what was read. All frames before it must have been taken.
    ///
    /// # Errors
    /// If more waits than one incomplete frame and one read.
    pub fn push(&mut self, read: &[u8]) -> Result<(), Fault> {
        // Moving what is left of one frame costs less than a frame; the room is used again.
        self.bytes.drain(..self.start.min(self.bytes.len()));
        self.start = 0;
        if self.bytes.len() + read.len() > FRAME_MAX_BYTES + READ_MAX_BYTES {
            return Err(Fault::TooMuch);
        }
        self.bytes.extend_from_slice(read);
        Ok(())
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// If what comes next is no frame.
    pub fn take(&mut self) -> Result<Option<&[u8]>, Fault> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let Some(length) = length(rest)? else { return Ok(None) };
        let from = self.start;
        if rest.len() < length {
            return Ok(None);
        }
        self.start = from.saturating_add(length);
        Ok(self.bytes.get(from..self.start))
    }

    /// Bytes that are not part of a taken frame.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(frames: &mut Frames) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Some(frame) = frames.take().unwrap() {
            found.push(frame.to_vec());
        }
        found
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_torn() {
        let expected: Vec<Vec<u8>> =
            vec![vec![3, 0, 0, 7, 2, 0xF0, 0x80], vec![0, 4, 1, 2], vec![0x44, 0x80, 5, 9, 9], vec![4, 3, 7]];
        let stream = expected.concat();
        for cut in 0..=stream.len() {
            let mut frames = Frames::default();
            let (before, after) = stream.split_at(cut);
            frames.push(before).unwrap();
            let mut found = all(&mut frames);
            frames.push(after).unwrap();
            found.extend(all(&mut frames));
            assert_eq!(found, expected, "torn at {cut}");
            assert_eq!(frames.waiting(), 0);
        }
    }

    #[test]
    fn what_is_no_frame_ends() {
        for bytes in [&[1, 2, 3, 4][..], &[3, 0, 0, 4], &[3, 0, 0, 0], &[0, 2], &[0, 0x80, 3], &[0, 0]] {
            assert!(length(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [&[][..], &[3], &[3, 0, 9], &[0], &[0, 0x80]] {
            assert_eq!(length(bytes), Ok(None), "{bytes:?}");
        }
    }

    #[test]
    fn a_side_that_is_read_too_fast_ends() {
        let mut frames = Frames::default();
        frames.push(&[0; FRAME_MAX_BYTES]).unwrap();
        frames.push(&[0; READ_MAX_BYTES]).unwrap();
        assert_eq!(frames.push(&[0]), Err(Fault::TooMuch));
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(bytes: Vec<u8>, cut in 0_usize..64) {
            let mut frames = Frames::default();
            let (before, after) = bytes.split_at(cut.min(bytes.len()));
            let mut left = bytes.len();
            for part in [before, after] {
                frames.push(part).unwrap();
                while let Ok(Some(frame)) = frames.take() {
                    left -= frame.len();
                }
            }
            prop_assert_eq!(frames.waiting(), left);
        }
    }
}
