//! Units into blocks: as few bytes as possible are out of a cover's reach, and not a record of TLS for each of them.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_relay::Unit;
use sudare_relay::live::Mark;

use crate::limits::BLOCK_BYTES;

/// Whole units, to be written at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// What the client sees once these bytes have left.
    pub(super) mark: Option<Mark>,
}

/// Pulls until there is enough or nothing more. A unit with a mark is the last one of its block, so that its mark is
/// true when the block has left, and not earlier or later.
pub(super) fn block<E>(mut next: impl FnMut() -> Result<Option<Unit>, E>) -> Result<Option<Block>, E> {
    let mut bytes = Vec::new();
    while bytes.len() < BLOCK_BYTES {
        let Some(unit) = next()? else { break };
        if bytes.is_empty() {
            bytes = unit.bytes;
        } else {
            bytes.extend_from_slice(&unit.bytes);
        }
        if unit.mark.is_some() {
            return Ok(Some(Block { bytes, mark: unit.mark }));
        }
    }
    Ok((!bytes.is_empty()).then_some(Block { bytes, mark: None }))
}

/// The same for the host, whose messages bear no marks.
pub(super) fn plain(mut next: impl FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let unit = |bytes| Unit { bytes, injected: false, mark: None };
    let Ok(block) = block(|| Ok::<_, std::convert::Infallible>(next().map(unit)));
    block.map(|block| block.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(sizes: &[usize]) -> (Option<usize>, usize) {
        let mut left = sizes.iter();
        let got = plain(|| left.next().map(|size| vec![0; *size]));
        (got.map(|bytes| bytes.len()), left.len())
    }

    #[test]
    fn no_more_is_taken_than_a_block_needs() {
        assert_eq!(pull(&[]), (None, 0));
        assert_eq!(pull(&[10, 20]), (Some(30), 0));
        // A large unit is whole, and nothing comes with it.
        assert_eq!(pull(&[BLOCK_BYTES * 3, 10]), (Some(BLOCK_BYTES * 3), 1));
        assert_eq!(pull(&[BLOCK_BYTES - 1, 10, 10]), (Some(BLOCK_BYTES + 9), 1));
    }
}
