//! Pictures of the size that real ones have.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sudare_base::clock;
use sudare_guard::screen::Screenshot;
use sudare_protocol::client::{Evidence, chunk_digests};
use sudare_protocol::message::{Digest, Id, Manifest, Moment, Piece};
use sudare_protocol::reason::Reason;
use sudare_protocol::seal::{self, Recipients};

/// One camera picture.
const CAMERA_BYTES: usize = 300_000;
/// Noise cannot be compressed, so that its PNG has 200 KB.
const SCREEN: (u16, u16) = (256, 260);

/// An incident with one sealed camera picture.
pub(crate) fn incident(
    incident_id: Id,
    recipients: &Recipients,
    policy_digest: Digest,
) -> anyhow::Result<Evidence> {
    let boot_ms = clock::boot_ms();
    let sealed = seal::seal(&noise(CAMERA_BYTES)?, &clock::random()?, recipients)?;
    let piece = Piece {
        blob_id: clock::random()?,
        moment: Moment::At,
        size: sealed.ciphertext.len() as u64,
        sha256: sealed.ciphertext_sha256,
        commitment: sealed.commitment,
        chunks: chunk_digests(&sealed.ciphertext),
        boot_ms,
        media: 0,
        header_size: None,
        pixelated: Some(false),
    };
    let manifest = Manifest {
        incident_id,
        reason: Reason::Stranger,
        pieces: vec![piece],
        policy_digest,
        decided_boot_ms: boot_ms,
        wall_ms: clock::wall_ms(),
        cosine_milli: None,
        basis: None,
    };
    Ok(Evidence { manifest, pieces: vec![sealed.ciphertext] })
}

/// A screenshot of 200 KB.
pub(crate) fn screen() -> anyhow::Result<Screenshot> {
    let (width, height) = SCREEN;
    let bgra = noise(usize::from(width) * usize::from(height) * 4)?.into();
    Ok(Screenshot { width, height, bgra })
}

fn noise(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut noise = vec![0; bytes];
    ChaCha8Rng::from_seed(clock::random()?).fill(noise.as_mut_slice());
    Ok(noise)
}
