//! One leaf by itself: hash, signature, content. It does not depend on other leaves, so several
//! threads can examine leaves at once; [`super::LogCheck`] then takes them in order.

use super::findings::FindingKind;
use crate::cose::CoseError;
use crate::evidence::{Entry, EntryError, Event};
use crate::tlog::merkle::{Hash, leaf_hash};
use crate::tlog::note::VerifyingKey;

/// How much of a log is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything: the signature of each entry, handshake and client message.
    Signatures,
    /// Only the tree under the signed checkpoint, and what the entries say. Enough to know that
    /// nothing was changed since the checkpoint was signed, and many times faster.
    Hashes,
}

/// A leaf that was examined.
#[derive(Debug)]
pub struct Leaf {
    pub(super) hash: Hash,
    /// A wrongly signed entry is read all the same, so that one edit does not hide what follows from it.
    pub(super) entry: Option<(Entry, Result<Event, EntryError>)>,
    pub(super) problem: Option<(FindingKind, EntryError)>,
}

impl Leaf {
    /// Examines the bytes of a leaf; `log` is the key that must have signed it.
    pub fn examine(bytes: &[u8], log: &VerifyingKey, depth: Depth) -> Self {
        let opened = match depth {
            Depth::Signatures => Entry::open(bytes, log),
            Depth::Hashes => Entry::open_unverified(bytes),
        };
        let (entry, problem) = match opened {
            Ok(entry) => (Some(entry), None),
            Err(error) => (Entry::open_unverified(bytes).ok(), Some((kind_of(&error), error))),
        };
        let entry = entry.map(|entry| {
            let event = entry.event();
            (entry, event)
        });
        Self { hash: leaf_hash(bytes), entry, problem }
    }
}

fn kind_of(error: &EntryError) -> FindingKind {
    match error {
        EntryError::Version(_) => FindingKind::NewerVersion,
        EntryError::Cose(CoseError::WrongKey | CoseError::BadSignature) => FindingKind::EntrySignature,
        _ => FindingKind::EntryDamaged,
    }
}
