//! The format of the write-ahead file, which holds entries that were acknowledged and that no checkpoint covers yet.
//!
//! ```text
//! file   = "sudarewl" ‖ u64 index of the first entry ‖ nonce [16] ‖ SHA-256 of all that [32]
//!          frame …
//! frame  = "frm1" ‖ u64 index ‖ u32 length ‖ SHA-256(nonce ‖ index ‖ length ‖ payload) [32] ‖ payload
//! payload = u16 length ‖ entry, repeated                      (integers are big-endian)
//! ```
//! One frame is one acknowledgement, so after a crash only the last frame may be torn. If a whole frame follows a broken
//! one, acknowledged entries were damaged later, which is an error. The nonce is new in every file, so that a client's
//! bytes inside an entry can never pass for a frame. Pure: bytes in, bytes out.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sha2::{Digest as _, Sha256};
use sudare_protocol::tlog::tiles::{self, MAX_ENTRY_BYTES};
use thiserror::Error;

/// Most entries of one frame, and so of one sync.
pub const BATCH_MAX_ENTRIES: usize = 1024;
/// Size of that many of the longest entries.
pub const FRAME_MAX_BYTES: usize = BATCH_MAX_ENTRIES * (2 + MAX_ENTRY_BYTES);
const FILE_MAGIC: &[u8; 8] = b"sudarewl";
const FRAME_MAGIC: &[u8; 4] = b"frm1";
/// Random part of the file's header.
pub const NONCE_BYTES: usize = 16;
/// Length of the file's header.
pub const HEADER_BYTES: usize = 8 + 8 + NONCE_BYTES + 32;
const FRAME_HEADER_BYTES: usize = 4 + 8 + 4 + 32;

/// Why the file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WalError {
    /// The header is not of this format, or was changed.
    #[error("the header of the write-ahead file is broken")]
    Header,
    /// A frame is broken, and a whole one follows it.
    #[error("the write-ahead file is broken at byte {0}, although whole entries follow")]
    Middle(usize),
    /// A frame does not continue the previous one.
    #[error("the write-ahead file skips entries at byte {0}")]
    Jump(usize),
}

/// The identity of one write-ahead file, which its frames are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalHeader {
    /// Index of the first entry.
    pub base: u64,
    /// Random.
    pub nonce: [u8; NONCE_BYTES],
}

impl WalHeader {
    /// The first bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = FILE_MAGIC.to_vec();
        bytes.extend(self.base.to_be_bytes());
        bytes.extend(self.nonce);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        bytes
    }

    /// A frame of entries, the first of which has `index`.
    pub fn frame(&self, index: u64, entries: &[&[u8]]) -> Result<Vec<u8>, tiles::BundleError> {
        let mut payload = Vec::new();
        for entry in entries {
            tiles::push_entry(&mut payload, entry)?;
        }
        // A frame that could not be read back must not be acknowledged.
        let fits = payload.len() <= FRAME_MAX_BYTES;
        let length = u32::try_from(payload.len()).ok().filter(|_| fits);
        let length = length.ok_or(tiles::BundleError::EntryTooLong(payload.len()))?;
        let mut frame = FRAME_MAGIC.to_vec();
        frame.extend(index.to_be_bytes());
        frame.extend(length.to_be_bytes());
        frame.extend(self.digest(index, length, &payload));
        frame.extend(payload);
        Ok(frame)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.get(..HEADER_BYTES)?.strip_prefix(FILE_MAGIC)?;
        let (base, rest) = rest.split_first_chunk::<8>()?;
        let (nonce, _) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let header = Self { base: u64::from_be_bytes(*base), nonce: *nonce };
        bytes.starts_with(&header.encode()).then_some(header)
    }

    fn digest(&self, index: u64, length: u32, payload: &[u8]) -> [u8; 32] {
        let hash = Sha256::new().chain_update(self.nonce).chain_update(index.to_be_bytes());
        hash.chain_update(length.to_be_bytes()).chain_update(payload).finalize().into()
    }

    /// The frame at the start of `bytes`, if it is whole: its index, payload and length.
    fn read_frame<'a>(&self, bytes: &'a [u8]) -> Option<(u64, &'a [u8], usize)> {
        let rest = bytes.strip_prefix(FRAME_MAGIC)?;
        let (index, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (index, length) = (u64::from_be_bytes(*index), u32::from_be_bytes(*length));
        let payload = rest.get(..usize::try_from(length).ok()?)?;
        (payload.len() <= FRAME_MAX_BYTES && self.digest(index, length, payload) == *digest).then_some((
            index,
            payload,
            FRAME_HEADER_BYTES + payload.len(),
        ))
    }
}

/// The content of a write-ahead file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The header, which its frames are bound to.
    pub header: WalHeader,
    /// Entries in order; the first has index `header.base`.
    pub entries: Vec<Vec<u8>>,
    /// Bytes up to the end of the last whole frame; anything after it was never acknowledged.
    pub good_bytes: usize,
}

/// Reads a write-ahead file back, whatever happened to it.
pub fn recover(bytes: &[u8]) -> Result<Recovered, WalError> {
    let header = WalHeader::decode(bytes).ok_or(WalError::Header)?;
    let mut recovered = Recovered { header, entries: Vec::new(), good_bytes: HEADER_BYTES };
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((index, payload, length)) = header.read_frame(rest) {
        let expected = header.base.saturating_add(recovered.entries.len() as u64);
        if index != expected {
            return Err(WalError::Jump(recovered.good_bytes));
        }
        for entry in tiles::entries(payload) {
            let entry = entry.map_err(|_| WalError::Middle(recovered.good_bytes))?;
            recovered.entries.push(entry.to_vec());
        }
        recovered.good_bytes += length;
        rest = rest.get(length..).unwrap_or_default();
    }
    if has_whole_frame(&header, rest) {
        return Err(WalError::Middle(recovered.good_bytes));
    }
    Ok(recovered)
}

/// True if a whole frame starts anywhere in `bytes`.
fn has_whole_frame(header: &WalHeader, bytes: &[u8]) -> bool {
    let mut starts = bytes.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, window)| window == FRAME_MAGIC);
    starts.any(|(at, _)| bytes.get(at..).is_some_and(|rest| header.read_frame(rest).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: WalHeader = WalHeader { base: 40, nonce: [7; NONCE_BYTES] };

    /// A file with three frames; returns it and where each frame ends.
    fn example() -> (Vec<u8>, Vec<usize>) {
        let mut file = HEADER.encode();
        let mut ends = vec![file.len()];
        let frames: [(u64, &[&[u8]]); 3] = [(40, &[b"one"]), (41, &[b"two", b"three"]), (43, &[b"four"])];
        for (index, entries) in frames {
            file.extend(HEADER.frame(index, entries).unwrap());
            ends.push(file.len());
        }
        (file, ends)
    }

    #[test]
    fn entries_come_back_in_order() {
        let (file, _) = example();
        let recovered = recover(&file).unwrap();
        assert_eq!(recovered.entries, [&b"one"[..], b"two", b"three", b"four"]);
        assert_eq!(recovered.good_bytes, file.len());
    }

    #[test]
    fn every_cut_keeps_exactly_the_whole_frames() {
        let (file, ends) = example();
        for cut in HEADER_BYTES..=file.len() {
            let recovered = recover(&file[..cut]).unwrap();
            assert_eq!(recovered.good_bytes, *ends.iter().filter(|end| **end <= cut).max().unwrap());
        }
        assert_eq!(recover(&file[..HEADER_BYTES - 1]), Err(WalError::Header));
    }

    #[test]
    fn damage_before_a_whole_frame_is_an_error_and_in_the_last_one_a_torn_end() {
        let (file, ends) = example();
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 1;
            match recover(&bad) {
                Err(WalError::Header) => assert!(at < HEADER_BYTES),
                Err(WalError::Middle(_)) => assert!((HEADER_BYTES..ends[2]).contains(&at), "byte {at}"),
                Err(WalError::Jump(_)) => panic!("byte {at}"),
                Ok(recovered) => {
                    assert!(at >= ends[2], "byte {at}");
                    assert_eq!(recovered.entries.len(), 3);
                }
            }
        }
    }

    #[test]
    fn a_frame_that_would_not_be_read_back_is_refused() {
        let entry = vec![0; MAX_ENTRY_BYTES];
        let mut entries = vec![entry.as_slice(); BATCH_MAX_ENTRIES];
        let file = [HEADER.encode(), HEADER.frame(40, &entries).unwrap()].concat();
        assert_eq!(recover(&file).unwrap().entries.len(), BATCH_MAX_ENTRIES);
        entries.push(b"one too many");
        assert!(HEADER.frame(40, &entries).is_err());
    }

    #[test]
    fn a_frame_of_another_file_is_not_ours() {
        let other = WalHeader { nonce: [8; NONCE_BYTES], ..HEADER };
        let mut file = HEADER.encode();
        file.extend(other.frame(40, &[b"forged"]).unwrap());
        assert!(recover(&file).unwrap().entries.is_empty());
        let mut jump = HEADER.encode();
        jump.extend(HEADER.frame(41, &[b"late"]).unwrap());
        assert_eq!(recover(&jump), Err(WalError::Jump(HEADER_BYTES)));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(recover(&bytes), Err(WalError::Header));
            let file = [HEADER.encode(), bytes].concat();
            prop_assert!(recover(&file).unwrap().entries.is_empty());
        }
    }
}
