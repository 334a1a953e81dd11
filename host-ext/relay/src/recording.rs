//! What a screenshot is made of: updates of the host, as the client was sent them, from which another process decodes
//! a picture.
//!
//! ```text
//! "SUDAREP1" │ width, height: 4 bytes each │ pieces: kind (1), length (4), bytes │ … to the end
//! ```
//! Numbers are little-endian. Whoever reads one trusts nothing of it, least of all its size.

use sudare_protocol::evidence::note::Missing;

use crate::limits::{RECORDING_MAX_BYTES, RECORDING_PIECES_MAX, SCREEN_PIXELS_MAX, SCREEN_SIDE_MAX};
use crate::live::Size;
use crate::wire::Reader;

const MAGIC: &[u8; 8] = b"SUDAREP1";
const HEADER_BYTES: usize = 16;
const PIECE_HEADER_BYTES: usize = 5;

/// How a piece is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An update with bitmaps ([MS-RDPBCGR] 2.2.9.1.1.3.1.2.1), from its first field on.
    Bitmaps = 1,
    /// An update with a palette (2.2.9.1.1.3.1.1.1), from its first field on.
    Palette = 2,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Bitmaps => 1,
            Self::Palette => 2,
        }
    }
}

/// Updates that draw a whole screen, in order.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    size: Size,
    pieces: Vec<(Kind, Vec<u8>)>,
    bytes: usize,
}

// It shows confidential data, so it must not reach a log by habit.
impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Size { width, height } = self.size;
        write!(f, "Recording({width}x{height}, {} pieces, {} B)", self.pieces.len(), self.bytes)
    }
}

/// Why bytes are no recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not a word of ours.
    #[error("this is no recording of a screen. Only the gate makes them; start nothing else on this program")]
    Foreign,
    /// A field lies behind the end.
    #[error("the recording ends in the middle of a field. The gate that wrote it ended, or is broken")]
    Cut,
    /// A size that no screen has.
    #[error(
        "the recording is of {0} x {1} pixels, and a screen has from one to {SCREEN_SIDE_MAX} on a side and no more \
         than {SCREEN_PIXELS_MAX} in all. The gate that wrote it is broken"
    )]
    Size(u32, u32),
    /// A kind of piece that this version does not know.
    #[error(
        "the recording has a piece of kind {0}, which is not known here. Gate and decoder are of two versions"
    )]
    Kind(u8),
    /// Past a bound of `limits`.
    #[error("the recording is larger than {RECORDING_MAX_BYTES} bytes. The gate that wrote it is broken")]
    TooMuch,
}

impl Recording {
    /// Of nothing yet.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self { size, pieces: Vec::new(), bytes: HEADER_BYTES }
    }

    /// Whether a screen of this size is not too large.
    #[must_use]
    pub fn takes(size: Size) -> bool {
        let pixels = u32::from(size.width).saturating_mul(size.height.into());
        size.width.max(size.height) <= SCREEN_SIDE_MAX && pixels <= SCREEN_PIXELS_MAX
    }

    /// Adds an update.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn push(&mut self, kind: Kind, update: Vec<u8>) -> Result<(), Missing> {
        let bytes = self.bytes.saturating_add(update.len()).saturating_add(PIECE_HEADER_BYTES);
        if bytes > RECORDING_MAX_BYTES || self.pieces.len() >= RECORDING_PIECES_MAX {
            return Err(Missing::TooMuch);
        }
        self.bytes = bytes;
        self.pieces.push((kind, update));
        Ok(())
    }

    /// The size of the screen.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The updates, in order.
    pub fn pieces(&self) -> impl Iterator<Item = (Kind, &[u8])> {
        self.pieces.iter().map(|(kind, update)| (*kind, update.as_slice()))
    }

    /// What it takes, also when written.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// As it is handed to another process.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes);
        bytes.extend_from_slice(MAGIC);
        for side in [self.size.width, self.size.height] {
            bytes.extend_from_slice(&u32::from(side).to_le_bytes());
        }
        for (kind, update) in &self.pieces {
            bytes.push(kind.number());
            // Its length was counted against a bound that has 24 bits.
            bytes.extend_from_slice(&u32::try_from(update.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(update);
        }
        bytes
    }

    /// Reads one that another process has written.
    ///
    /// # Errors
    /// If it is none, or past a bound.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > RECORDING_MAX_BYTES {
            return Err(Unreadable::TooMuch);
        }
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len()) != Ok(MAGIC) {
            return Err(Unreadable::Foreign);
        }
        let cut = |_| Unreadable::Cut;
        let (width, height) = (reader.u32().map_err(cut)?, reader.u32().map_err(cut)?);
        let side = |side: u32| u16::try_from(side).ok().filter(|side| (1..=SCREEN_SIDE_MAX).contains(side));
        let size = match (side(width), side(height)) {
            (Some(width), Some(height)) => Size { width, height },
            _ => return Err(Unreadable::Size(width, height)),
        };
        if !Self::takes(size) {
            return Err(Unreadable::Size(width, height));
        }
        let mut recording = Self::new(size);
        while reader.left() > 0 {
            let kind = match reader.u8().map_err(cut)? {
                1 => Kind::Bitmaps,
                2 => Kind::Palette,
                unknown => return Err(Unreadable::Kind(unknown)),
            };
            let length = usize::try_from(reader.u32().map_err(cut)?).map_err(|_| Unreadable::TooMuch)?;
            let update = reader.take(length).map_err(cut)?;
            recording.push(kind, update.to_vec()).map_err(|_| Unreadable::TooMuch)?;
        }
        Ok(recording)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: Size = Size { width: 640, height: 480 };

    fn recording() -> Recording {
        let mut recording = Recording::new(SIZE);
        recording.push(Kind::Palette, vec![1; 5]).unwrap();
        recording.push(Kind::Bitmaps, vec![2; 300]).unwrap();
        recording.push(Kind::Bitmaps, Vec::new()).unwrap();
        recording
    }

    #[test]
    fn what_is_written_is_read_and_a_torn_one_is_not() {
        let whole = recording();
        let bytes = whole.write();
        assert_eq!(bytes.len(), whole.bytes());
        assert_eq!(Recording::read(&bytes), Ok(whole));
        // Between two pieces nothing tells that more should follow; whether all is there is told by the picture.
        let ends = [16, 26, 331, 336];
        for length in 0..bytes.len() {
            let read = Recording::read(&bytes[..length]);
            assert_eq!(read.is_ok(), ends.contains(&length), "{length}: {read:?}");
        }
    }

    #[test]
    fn what_asks_for_too_much_is_refused_in_words() {
        let sized =
            |width: u32, height: u32| [&MAGIC[..], &width.to_le_bytes(), &height.to_le_bytes()].concat();
        let said = Recording::read(&sized(100_000, 100_000)).unwrap_err().to_string();
        assert!(said.contains("100000 x 100000 pixels"), "{said}");
        assert_eq!(Recording::read(&sized(0, 9)), Err(Unreadable::Size(0, 9)));
        assert_eq!(Recording::read(&sized(9, 32_767)), Err(Unreadable::Size(9, 32_767)));
        assert_eq!(Recording::read(b"something else"), Err(Unreadable::Foreign));
        let unknown = [&recording().write()[..], &[9, 0, 0, 0, 0]].concat();
        assert_eq!(Recording::read(&unknown), Err(Unreadable::Kind(9)));
        let lying = [&sized(9, 9)[..], &[1, 0xFF, 0xFF, 0xFF, 0xFF, 0]].concat();
        assert_eq!(Recording::read(&lying), Err(Unreadable::Cut));
        let large = [&sized(9, 9)[..], &vec![0; RECORDING_MAX_BYTES]].concat();
        assert_eq!(Recording::read(&large), Err(Unreadable::TooMuch));
        let many = [&sized(9, 9)[..], &[1, 0, 0, 0, 0].repeat(RECORDING_PIECES_MAX + 1)].concat();
        assert_eq!(Recording::read(&many), Err(Unreadable::TooMuch));
    }

    #[test]
    fn it_keeps_no_more_than_its_bound() {
        let mut recording = Recording::new(SIZE);
        let half = RECORDING_MAX_BYTES / 2;
        recording.push(Kind::Bitmaps, vec![0; half]).unwrap();
        assert_eq!(recording.push(Kind::Bitmaps, vec![0; half]), Err(Missing::TooMuch));
        assert!(recording.bytes() <= RECORDING_MAX_BYTES);
        assert!(!format!("{recording:?}").contains("[0"), "it shows what is on the screen");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_recording_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let behind = [&MAGIC[..], &[9, 0, 0, 0, 9, 0, 0, 0], &bytes].concat();
            for bytes in [bytes, behind] {
                if let Ok(recording) = Recording::read(&bytes) {
                    prop_assert_eq!(recording.write(), bytes);
                }
            }
        }
    }
}
