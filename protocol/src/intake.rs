//! Receives announced pictures chunk by chunk, and returns an incident once it is complete.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::error::{Code, Fault, Refusal};
use crate::frame::Chunk;
use crate::limits::{CREDITS, INCIDENTS_OPEN_MAX};
use crate::message::{Id, Manifest};

/// An incident whose pictures have all arrived and match the signed manifest.
pub struct Complete {
    pub manifest: Manifest,
    /// The signed manifest as received.
    pub message: Vec<u8>,
    /// Ciphertexts, one per piece.
    pub pieces: Vec<Vec<u8>>,
}

impl core::fmt::Debug for Complete {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Complete({} pieces)", self.pieces.len())
    }
}

#[derive(Debug)]
struct Open {
    manifest: Manifest,
    message: Vec<u8>,
    pieces: Vec<Vec<u8>>,
    /// Where the next chunk belongs: they come in order.
    piece: usize,
    index: usize,
}

/// Incidents in progress. Memory is bounded: pieces by `message`'s bounds, incidents by a count.
#[derive(Debug)]
pub(crate) struct Intake {
    open: BTreeMap<Id, Open>,
    /// Frames the client may still send, and how many to give back.
    allowed: u32,
    used: u32,
}

impl Default for Intake {
    fn default() -> Self {
        Intake { open: BTreeMap::new(), allowed: CREDITS, used: 0 }
    }
}

impl Intake {
    /// A manifest. The same incident may be announced again after a reconnect: it starts over.
    pub(crate) fn announce(&mut self, manifest: Manifest, message: Vec<u8>) -> Result<Id, Refusal> {
        self.spend()?;
        let incident_id = manifest.incident_id;
        if self.open.len() >= INCIDENTS_OPEN_MAX && !self.open.contains_key(&incident_id) {
            return Err(Refusal::peer(Code::TooManyIncidents));
        }
        let pieces = vec![Vec::new(); manifest.pieces.len()];
        self.open.insert(incident_id, Open { manifest, message, pieces, piece: 0, index: 0 });
        Ok(incident_id)
    }

    pub(crate) fn chunk(&mut self, chunk: Chunk) -> Result<Option<Complete>, Refusal> {
        self.spend()?;
        let mismatch = |what: &str| Refusal::new(Code::EvidenceMismatch, Fault::Peer, what);
        let incident_id = chunk.incident_id;
        let open = self.open.get_mut(&incident_id).ok_or_else(|| mismatch("no manifest"))?;
        let piece = open.manifest.pieces.get(open.piece).ok_or_else(|| mismatch("more than announced"))?;
        let in_order = usize::from(chunk.piece) == open.piece && usize::from(chunk.index) == open.index;
        let digest = piece.chunks.get(open.index).ok_or_else(|| mismatch("more than announced"))?;
        if !in_order || chunk.data.len() != piece.chunk_len(open.index) {
            return Err(mismatch("order or length"));
        }
        if Sha256::digest(&chunk.data).as_slice() != digest.as_slice() {
            return Err(mismatch("hash of a chunk"));
        }
        let received = open.pieces.get_mut(open.piece).ok_or_else(|| mismatch("piece"))?;
        received.extend_from_slice(&chunk.data);
        open.index += 1;
        if open.index == piece.chunks.len() {
            if Sha256::digest(&received).as_slice() != piece.sha256 {
                return Err(mismatch("hash of a picture"));
            }
            (open.piece, open.index) = (open.piece + 1, 0);
        }
        if open.piece < open.manifest.pieces.len() {
            return Ok(None);
        }
        let done = self.open.remove(&incident_id).ok_or_else(|| mismatch("gone"))?;
        Ok(Some(Complete { manifest: done.manifest, message: done.message, pieces: done.pieces }))
    }

    /// Drops what is held of an acknowledged incident, which may be announced again.
    pub(crate) fn forget(&mut self, incident_id: &Id) {
        self.open.remove(incident_id);
    }

    /// Credit to grant for the frames received since the last call.
    pub(crate) fn take_credit(&mut self) -> u32 {
        let frames = std::mem::take(&mut self.used);
        self.allowed += frames;
        frames
    }

    fn spend(&mut self) -> Result<(), Refusal> {
        if self.allowed == 0 {
            return Err(Refusal::peer(Code::NoCredit));
        }
        self.allowed -= 1;
        self.used += 1;
        Ok(())
    }
}
