//! Pictures that fit a manifest, whatever a fuzzer says of them: hashes are never found by chance.

use sha2::{Digest as _, Sha256};
use sudare_protocol::client::chunk_digests;
use sudare_protocol::frame::Chunk;
use sudare_protocol::limits::{CHUNK_BYTES, PIECES_MAX};
use sudare_protocol::message::{Id, Manifest};

/// Enough for a piece of several chunks, and little enough for many runs a second.
const PIECE_BYTES_MAX: u64 = 2 * CHUNK_BYTES as u64 + 1;

/// The manifest with sizes and hashes of pictures that there are, and these.
pub fn fitted(mut manifest: Manifest) -> (Manifest, Vec<Vec<u8>>) {
    manifest.pieces.truncate(PIECES_MAX);
    let mut pictures = Vec::new();
    for (n, piece) in (0_u8..).zip(&mut manifest.pieces) {
        piece.size = piece.size % PIECE_BYTES_MAX + 1;
        let picture = vec![n; usize::try_from(piece.size).expect("a small one")];
        piece.sha256 = Sha256::digest(&picture).into();
        piece.chunks = chunk_digests(&picture);
        pictures.push(picture);
    }
    (manifest, pictures)
}

/// Their chunks, in order.
pub fn chunks(incident_id: Id, pictures: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (piece, picture) in (0_u8..).zip(pictures) {
        for (index, data) in (0_u16..).zip(picture.chunks(CHUNK_BYTES)) {
            all.push(Chunk { incident_id, piece, index, data: data.to_vec() }.to_bytes());
        }
    }
    all
}
