//! The host's compression ([MS-RDPEGFX] 2.2.5.1, 3.1.9.1), which ends at the gate.
//!
//! Its history spans all messages of the channel, and what was not compressed is in it as well. A message of ours in
//! between would shift everything that the host refers to. So the client gets nothing compressed, whose history
//! nobody refers to.

use ironrdp_graphics::zgfx::{Decompressor, wrap_uncompressed};

use crate::error::Fault;
use crate::limits::GRAPHICS_MESSAGE_MAX_BYTES;
use crate::wire::Reader;

const MULTIPART: u8 = 0xE1;

/// What the host has sent so far, as far as it can refer to it.
pub(super) struct Zgfx(Decompressor);

impl Default for Zgfx {
    fn default() -> Self {
        Self(Decompressor::new())
    }
}

impl std::fmt::Debug for Zgfx {
    /// Without the history, which is pictures.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Zgfx")
    }
}

impl Zgfx {
    /// The PDUs in a message of the host.
    pub(super) fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut header = Reader::new(message);
        if header.u8()? == MULTIPART {
            header.u16()?;
            let size = usize::try_from(header.u32()?).map_err(|_| Fault::TooMuch)?;
            // The library's own bound is higher, and is met only after the memory is taken.
            if size > GRAPHICS_MESSAGE_MAX_BYTES {
                return Err(Fault::TooMuch);
            }
        }
        let mut pdus = Vec::new();
        self.0.decompress(message, &mut pdus).map_err(|_| Fault::Zgfx)?;
        if pdus.len() > GRAPHICS_MESSAGE_MAX_BYTES {
            return Err(Fault::TooMuch);
        }
        Ok(pdus)
    }
}

/// A message for the client.
pub(super) fn wrap(pdus: &[u8]) -> Vec<u8> {
    wrap_uncompressed(pdus)
}

#[cfg(test)]
mod tests {
    use ironrdp_graphics::zgfx::{CompressionMode, Compressor, compress_and_wrap_egfx};

    use super::*;

    #[test]
    fn what_was_compressed_comes_back_over_many_messages() {
        let (mut compressor, mut zgfx) = (Compressor::new(), Zgfx::default());
        let text = b"the same line of a desktop, again and again, ".repeat(3_000);
        for length in [10, 70_000, text.len(), 10, text.len()] {
            let message =
                compress_and_wrap_egfx(&text[..length], &mut compressor, CompressionMode::Auto).unwrap();
            assert_eq!(zgfx.unwrap(&message).unwrap(), &text[..length]);
            assert_eq!(Zgfx::default().unwrap(&wrap(&text[..length])).unwrap(), &text[..length]);
        }
    }

    #[test]
    fn a_size_is_refused_before_any_memory_is_taken_for_it() {
        let size = u32::try_from(GRAPHICS_MESSAGE_MAX_BYTES + 1).unwrap();
        let message = [&[MULTIPART, 0, 0][..], &size.to_le_bytes()].concat();
        assert_eq!(Zgfx::default().unwrap(&message), Err(Fault::TooMuch));
        for nonsense in [&[][..], &[0xE0], &[1, 2, 3], &[MULTIPART, 1, 0, 5, 0, 0, 0]] {
            assert!(Zgfx::default().unwrap(nonsense).is_err());
        }
    }
}
