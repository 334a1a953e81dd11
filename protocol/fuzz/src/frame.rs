//! Bytes from the channel, in pieces of any size, and evidence chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::frame::{Chunk, Deframer, frame};
use sudare_protocol::limits::{CHUNK_BYTES, MESSAGE_MAX_BYTES, PIECES_MAX};

fuzz_target!(|data: &[u8]| {
    if let Ok(chunk) = Chunk::from_bytes(data) {
        assert!(chunk.data.len() <= CHUNK_BYTES && usize::from(chunk.piece) < PIECES_MAX);
        assert_eq!(Chunk::from_bytes(&chunk.to_bytes()), Ok(chunk));
    }
    // The first byte says how the channel splits what was written.
    let Some((step, stream)) = data.split_first() else { return };
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(frames(stream, usize::from(*step).max(1)), whole, "the split matters");
});

/// The frames in `stream`, given in pieces of `step` bytes, until the first error.
fn frames(stream: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::default();
    let mut found = Vec::new();
    for part in stream.chunks(step) {
        deframer.push(part);
        loop {
            match deframer.next_frame() {
                Ok(Some(body)) => {
                    assert!(!body.is_empty() && body.len() <= MESSAGE_MAX_BYTES);
                    assert!(frame(&body).is_ok());
                    found.push(body.to_vec());
                }
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}
