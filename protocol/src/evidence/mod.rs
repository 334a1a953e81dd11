//! What the evidence log holds: one signed [`Entry`] per leaf.
//!
//! ```text
//! leaf = COSE_Sign1( key: log, external_aad: "sudare/v1 log entry", payload: CBOR map )
//!        └ envelope: where in the log, when, which session and incident, which pictures
//!          └ body: what happened, a CBOR map of its own whose form the kind decides ([`Event`])
//! ```
//!
//! An entry never holds a name, prose or a picture: only random ids, numbers, signed messages and
//! salted hashes. Readers skip unknown keys and keep entries of unknown kinds, so both may be added.
//! docs/evidence.md lists everything as tables.

#[macro_use]
mod numbered;
pub mod event;
pub mod note;

use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::cbor;
use crate::cose::{self, CoseError};
use crate::message::Moment;
use crate::tlog::note::{SigningKey, VerifyingKey};
use crate::tlog::tiles::MAX_ENTRY_BYTES;
pub use event::Event;

/// The only version so far; a reader refuses higher ones.
pub const VERSION: u16 = 1;
/// `external_aad` of every entry.
pub const ENTRY_CONTEXT: &[u8] = b"sudare/v1 log entry";
/// Pictures that one entry may list.
pub const BLOBS_MAX: usize = 16;

/// A random id: of a session, an incident, a blob, a boot.
pub type Id = [u8; 16];

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// [`VERSION`].
    #[n(0)]
    pub version: u16,
    /// Index of the leaf, from 0.
    #[n(1)]
    pub seq: u64,
    /// Host's Unix time when it was recorded, for people.
    #[n(2)]
    pub wall_ms: u64,
    /// Host's CLOCK_BOOTTIME when it was recorded; never goes back within a boot.
    #[n(3)]
    pub boot_ms: u64,
    /// Changes when CLOCK_BOOTTIME starts again.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub boot_id: Id,
    /// Session it belongs to.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub session_id: Option<Id>,
    /// Incident it belongs to.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub incident_id: Option<Id>,
    /// What happened, see [`event`].
    #[n(7)]
    pub kind: u16,
    /// Number of a `reason::Reason`.
    #[n(8)]
    pub reason: Option<u8>,
    /// Sealed pictures that this entry vouches for.
    #[n(9)]
    pub blobs: Vec<BlobRef>,
    /// CBOR map of the kind.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub body: Vec<u8>,
    /// Random id of the process that reported it to the recorder; absent for the recorder's own entries.
    #[cbor(n(11), with = "minicbor::bytes")]
    pub source: Option<Id>,
    /// That process's count of its reports, from 1: what it reports again is not recorded again.
    #[n(12)]
    pub serial: Option<u64>,
}

/// A sealed picture, named without showing anything of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BlobRef {
    /// Random; names the two files.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blob_id: Id,
    /// Number of a [`Label`].
    #[n(1)]
    pub label: u8,
    /// Number of a [`Media`].
    #[n(2)]
    pub media: u8,
    /// SHA-256 of the whole age file, header and body.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sha256: [u8; 32],
    /// Length of the whole age file.
    #[n(4)]
    pub size: u64,
    /// SHA-256(picture ‖ salt), see `seal`.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub commitment: [u8; 32],
    /// Bytes of the first part, where it is not the age header itself: with a custodian it is that header
    /// sealed once more.
    #[n(6)]
    pub header_size: Option<u32>,
}

numbered! {
    /// What a picture shows, and when it was taken.
    Label {
        CameraBefore = 0, "camera-before";
        CameraAt = 1, "camera-at";
        CameraAfter = 2, "camera-after";
        ScreenshotSuspect = 3, "screenshot-suspect";
        ScreenshotAtCover = 4, "screenshot-at-cover";
        CameraBeforePixelated = 5, "camera-before-pixelated";
        CameraAtPixelated = 6, "camera-at-pixelated";
        CameraAfterPixelated = 7, "camera-after-pixelated";
    }
}

impl Label {
    /// Of a camera picture of a manifest.
    pub fn of_camera(moment: Moment, pixelated: bool) -> Self {
        match (moment, pixelated) {
            (Moment::Before, false) => Self::CameraBefore,
            (Moment::At, false) => Self::CameraAt,
            (Moment::After, false) => Self::CameraAfter,
            (Moment::Before, true) => Self::CameraBeforePixelated,
            (Moment::At, true) => Self::CameraAtPixelated,
            (Moment::After, true) => Self::CameraAfterPixelated,
        }
    }
}

numbered! {
    /// Form of a picture, numbered as in the protocol's manifest.
    Media {
        Jpeg = 0, "image/jpeg";
        Png = 1, "image/png";
        Salt = 2, "application/x-sudare-salt";
    }
}

impl Label {
    /// True for what the client's camera took; the host takes the others itself.
    pub fn is_camera(self) -> bool {
        !matches!(self, Self::ScreenshotSuspect | Self::ScreenshotAtCover)
    }

    /// Whether faces of bystanders can be recognised.
    pub fn is_full(self) -> bool {
        matches!(self, Self::CameraBefore | Self::CameraAt | Self::CameraAfter)
    }
}

impl Media {
    /// Usual file name extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Salt => "salt",
        }
    }
}

/// When something was recorded; read from the clocks by the recorder, never by this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Unix time.
    pub wall_ms: u64,
    /// CLOCK_BOOTTIME.
    pub boot_ms: u64,
    /// Which boot it counts from.
    pub boot_id: Id,
}

/// Why an entry cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Longer than a bundle can carry.
    #[error(
        "the entry would be {0} bytes long, more than {MAX_ENTRY_BYTES}. The message in it is too long: refuse it from the client"
    )]
    TooLong(usize),
    /// Too many pictures.
    #[error("the entry lists {0} pictures, more than {BLOBS_MAX}. Spread them over several entries")]
    TooManyBlobs(usize),
    /// Signature or envelope.
    #[error("the entry's signature is not accepted: {0}")]
    Cose(#[from] CoseError),
    /// Signed, but not decodable.
    #[error("the entry is signed but cannot be decoded as a log entry. A faulty or foreign program wrote it")]
    Malformed,
    /// From a later version.
    #[error("the entry has version {0}, but this program reads version {VERSION}. Use a newer sudare-audit")]
    Version(u16),
}

impl Entry {
    /// Signs the entry with the log key and returns the bytes of the leaf.
    pub fn sign(&self, log: &SigningKey) -> Result<Vec<u8>, EntryError> {
        if self.blobs.len() > BLOBS_MAX {
            return Err(EntryError::TooManyBlobs(self.blobs.len()));
        }
        let payload = minicbor::to_vec(self).map_err(|_| EntryError::Malformed)?;
        let leaf = cose::sign1(log, ENTRY_CONTEXT, &payload);
        if leaf.len() > MAX_ENTRY_BYTES { Err(EntryError::TooLong(leaf.len())) } else { Ok(leaf) }
    }

    /// Reads a leaf after checking that `log` signed it.
    pub fn open(leaf: &[u8], log: &VerifyingKey) -> Result<Self, EntryError> {
        Self::decode(cose::verify1(log, ENTRY_CONTEXT, leaf)?)
    }

    /// Reads a leaf without checking its signature: when that is checked elsewhere, or to go on after
    /// a wrong one has been reported.
    pub fn open_unverified(leaf: &[u8]) -> Result<Self, EntryError> {
        Self::decode(cose::unverified_payload(leaf)?)
    }

    /// What happened.
    pub fn event(&self) -> Result<Event, EntryError> {
        Event::decode(self.kind, &self.body)
    }

    fn decode(payload: &[u8]) -> Result<Self, EntryError> {
        let entry: Self = cbor::read(payload).map_err(|_| EntryError::Malformed)?;
        if entry.blobs.len() > BLOBS_MAX {
            return Err(EntryError::Malformed);
        }
        if entry.version > VERSION {
            return Err(EntryError::Version(entry.version));
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn log() -> SigningKey {
        SigningKey::from_bytes(&[4; 32])
    }

    fn example() -> Entry {
        let (kind, body) = Event::Uncover(event::Uncover { boot_ms: 5 }).encode();
        let blob = BlobRef {
            blob_id: [1; 16],
            label: 1,
            media: 0,
            sha256: [2; 32],
            size: 3,
            commitment: [4; 32],
            header_size: None,
        };
        Entry {
            version: VERSION,
            seq: 7,
            wall_ms: 1,
            boot_ms: 2,
            boot_id: [3; 16],
            session_id: Some([5; 16]),
            incident_id: None,
            kind,
            reason: Some(3),
            blobs: vec![blob],
            body,
            source: None,
            serial: None,
        }
    }

    #[test]
    fn an_entry_survives_signing_and_reading() {
        let leaf = example().sign(&log()).unwrap();
        let entry = Entry::open(&leaf, &log().verifying_key()).unwrap();
        assert_eq!(entry, example());
        assert_eq!(entry.event().unwrap(), Event::Uncover(event::Uncover { boot_ms: 5 }));
        let other = SigningKey::from_bytes(&[5; 32]).verifying_key();
        assert!(matches!(Entry::open(&leaf, &other), Err(EntryError::Cose(CoseError::WrongKey))));
    }

    #[test]
    fn a_key_of_a_later_version_is_skipped_and_a_later_version_is_refused() {
        let mut payload = minicbor::to_vec(example()).unwrap();
        // The map header counts the pairs; one more pair is {99: "later"}.
        payload[0] += 1;
        payload.extend(minicbor::to_vec(99u8).unwrap());
        payload.extend(minicbor::to_vec("later").unwrap());
        let leaf = cose::sign1(&log(), ENTRY_CONTEXT, &payload);
        assert_eq!(Entry::open(&leaf, &log().verifying_key()).unwrap(), example());
        let later = Entry { version: 2, ..example() }.sign(&log()).unwrap();
        assert_eq!(Entry::open(&later, &log().verifying_key()), Err(EntryError::Version(2)));
    }

    #[test]
    fn what_a_bundle_cannot_carry_is_refused() {
        let long = Entry { body: vec![0; MAX_ENTRY_BYTES], ..example() };
        assert!(matches!(long.sign(&log()), Err(EntryError::TooLong(_))));
        let blob = example().blobs.remove(0);
        let many = Entry { blobs: vec![blob; BLOBS_MAX + 1], ..example() };
        assert_eq!(many.sign(&log()), Err(EntryError::TooManyBlobs(BLOBS_MAX + 1)));
    }

    #[test]
    fn numbers_and_names_lead_back() {
        for label in Label::ALL {
            assert_eq!(Label::from_number(label.number()), Some(*label));
        }
        for media in Media::ALL {
            assert_eq!(Media::from_number(media.number()), Some(*media));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in any::<u16>()) {
            prop_assert!(Entry::open_unverified(&bytes).is_err());
            let signed = cose::sign1(&log(), ENTRY_CONTEXT, &bytes);
            drop(Entry::open(&signed, &log().verifying_key()));
            drop(Event::decode(kind, &bytes));
        }
    }
}
