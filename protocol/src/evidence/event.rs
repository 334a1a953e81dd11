//! The kinds of entries and the body of each.
//!
//! Numbers are never reused. 40 to 59 are about stored evidence: erased, approved, viewed.

use minicbor::{Decode, Encode};

use super::{EntryError, Id};
use crate::cbor;
use crate::cose::KeyId;

macro_rules! events {
    ($($number:literal $variant:ident $name:literal $doc:literal;)*) => {
        /// What happened.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            $(#[doc = $doc] $variant($variant),)*
            /// A kind of a later version, kept as it is.
            Unknown {
                /// Its number.
                kind: u16,
                /// Its body, unread.
                body: Vec<u8>,
            },
        }

        /// (number, name, sentence) of each kind, for documents and their test.
        pub const KINDS: &[(u16, &str, &str)] = &[$(($number, $name, $doc),)*];

        impl Event {
            /// Number and body.
            pub fn encode(&self) -> (u16, Vec<u8>) {
                match self {
                    $(Self::$variant(body) => ($number, to_vec(body)),)*
                    Self::Unknown { kind, body } => (*kind, body.clone()),
                }
            }

            /// Reads the body of a kind; unknown kinds are kept unread.
            pub fn decode(kind: u16, body: &[u8]) -> Result<Self, EntryError> {
                match kind {
                    $($number => from_slice(body).map(Self::$variant),)*
                    _ => Ok(Self::Unknown { kind, body: body.to_vec() }),
                }
            }

            /// The stable name of the kind.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                    Self::Unknown { .. } => "unknown",
                }
            }
        }
    };
}

events! {
    1 LogStart "log-start" "The first entry of a log: which keys it begins with.";
    2 HostKeyChange "host-key-change" "Another host key signs HELLO from here on.";
    3 RecorderStart "recorder-start" "The recorder started again on an existing log.";
    4 SessionStart "session-start" "A handshake was completed: both messages, so that later signatures can be checked.";
    5 SessionEnd "session-end" "The session or its channel ended.";
    6 ClientMessage "client-message" "A signed message of the client, exactly as received.";
    7 Cover "cover" "The session was covered.";
    8 Uncover "uncover" "The session was shown again.";
    9 IncidentOpen "incident-open" "An incident began, of which evidence is kept.";
    10 PicturesStored "pictures-stored" "Sealed pictures of an incident are in durable storage.";
    11 IncidentComplete "incident-complete" "Nothing more is expected; the entry lists all pictures of the incident.";
    12 PresenceInterval "presence-interval" "What the client attested over a time, rolled up.";
    13 Gap "gap" "A period without enforcement or without a record.";
    14 Note "note" "Anything else, as a number.";
    15 Liveness "liveness" "A check whether somebody alive is there, or what let the desktop open without one.";
    40 Tombstone "tombstone" "Pictures were erased, so their files may be missing.";
    41 Approval "approval" "Somebody signed an approval of an erasure, which needs two.";
    42 View "view" "A picture was shown to somebody.";
}

/// Body of kind 1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LogStart {
    /// Ed25519 key that signs HELLO from here on.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub host_key: [u8; 32],
    /// Ed25519 key of the checkpoints and of every entry.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub log_key: [u8; 32],
    /// The host record signed by the organisation; empty if there is none.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub host_record: Vec<u8>,
}

/// Body of kind 2.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HostKeyChange {
    /// Ed25519 key that signs HELLO from here on.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub host_key: [u8; 32],
    /// The new host record signed by the organisation; empty if there is none.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub host_record: Vec<u8>,
}

/// Body of kind 3.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecorderStart {
    /// Bytes at the end of the write-ahead file that were never acknowledged and were set aside.
    #[n(0)]
    pub torn_bytes: u64,
    /// Acknowledged entries that were not yet under a checkpoint when the last run ended.
    #[n(1)]
    pub recovered_entries: u64,
    /// Entries under the checkpoint that the write-ahead file should have held too: after a
    /// power cut, or because somebody cut it short.
    #[n(2)]
    pub wal_behind: u64,
}

/// Body of kind 4. The device record holds a user's name, so only its hash is here.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SessionStart {
    /// The signed HELLO as sent; it holds the host record and the policy.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub hello: Vec<u8>,
    /// The signed OPEN as received.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub open: Vec<u8>,
    /// Ed25519 key of the device, from its record.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub device_key: [u8; 32],
    /// SHA-256 of the signed device record.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub device_record_sha256: [u8; 32],
    /// Random id that stands for the person; the mapping is kept elsewhere and can be deleted.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub subject_id: Option<Id>,
}

/// Body of kind 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SessionEnd {
    /// When it ended, host's CLOCK_BOOTTIME.
    #[n(0)]
    pub boot_ms: u64,
}

/// Body of kind 6.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ClientMessage {
    /// COSE_Sign1 of the device under the transcript of the session.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub message: Vec<u8>,
}

/// Body of kind 7; times are the host's CLOCK_BOOTTIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cover {
    /// When the host learnt that it must cover.
    #[n(0)]
    pub asked_boot_ms: u64,
    /// When the cover was on the screen.
    #[n(1)]
    pub effective_boot_ms: u64,
    /// Whether that was seen (the black frame was written, pixels were read back), not only asked for.
    #[n(2)]
    pub confirmed: bool,
    /// Index of the entry that caused it, such as the client's lock message.
    #[n(3)]
    pub cause_seq: Option<u64>,
}

/// Body of kind 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Uncover {
    /// When the desktop was shown again, host's CLOCK_BOOTTIME.
    #[n(0)]
    pub boot_ms: u64,
}

/// Body of kind 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct IncidentOpen {
    /// When the decision was made, host's CLOCK_BOOTTIME.
    #[n(0)]
    pub boot_ms: u64,
}

/// Body of kind 10: empty, the pictures are in the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PicturesStored {}

/// Body of kind 11; the envelope lists all pictures of the incident, which binds them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct IncidentComplete {
    /// Pictures that were due and will not come (the client went away, the camera gave none).
    #[n(0)]
    pub missing: u16,
}

/// Body of kind 12; times are the host's CLOCK_BOOTTIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PresenceInterval {
    /// First attestation.
    #[n(0)]
    pub from_boot_ms: u64,
    /// Last attestation.
    #[n(1)]
    pub to_boot_ms: u64,
    /// Number of a `reason::State`, the same all the time.
    #[n(2)]
    pub state: u8,
    /// How many were accepted.
    #[n(3)]
    pub attestations: u32,
    /// Oldest nonce among them.
    #[n(4)]
    pub nonce_age_max_ms: u32,
}

/// Body of kind 13; times are the host's CLOCK_BOOTTIME, the cause is the envelope's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Gap {
    /// Last moment before it.
    #[n(0)]
    pub from_boot_ms: u64,
    /// First moment after it.
    #[n(1)]
    pub to_boot_ms: u64,
}

/// Body of kind 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Note {
    /// What it is about.
    #[n(0)]
    pub code: u16,
    /// What goes with it.
    #[n(1)]
    pub value: u64,
}

/// Body of kind 15; written only where the policy asks for a check by light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Liveness {
    /// When it was over, or the desktop was opened because of it, host's CLOCK_BOOTTIME.
    #[n(0)]
    pub boot_ms: u64,
    /// Number of a [`LivenessResult`].
    #[n(1)]
    pub result: u8,
    /// Whether the desktop was opened because of it; the entry after it says when.
    #[n(2)]
    pub opened: bool,
}

numbered! {
    /// What a check of liveness showed.
    LivenessResult {
        Lit = 0, "lit";
        Turned = 1, "turned";
        NotMeasurable = 2, "not-measurable";
        Unable = 3, "unable";
        Flat = 4, "flat";
        DoesNotFollow = 5, "does-not-follow";
        DidNotTurn = 6, "did-not-turn";
        Late = 7, "late";
    }
}

impl LivenessResult {
    /// What it means, in Japanese and English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Lit => {
                ("顔が画面の光に追従", "the face followed the light of the screen as a living one does")
            }
            Self::Turned => ("指示どおりに顔を回転", "the head was turned as the cover asked"),
            Self::NotMeasurable => ("画面の光を測定できず", "the light of the screen could not be measured"),
            Self::Unable => {
                ("端末が確認に非対応、または応答なし", "the client cannot take part in the check")
            }
            Self::Flat => {
                ("平面のように追従（写真の疑い）", "what followed the light is flat, as a picture is")
            }
            Self::DoesNotFollow => {
                ("顔が画面の光に追従せず", "the face did not follow the light of the screen")
            }
            Self::DidNotTurn => ("指示どおりに顔を回転せず", "the head was not turned as the cover asked"),
            Self::Late => ("応答が時間内になし", "the answer came too late or not at all"),
        }
    }
}

/// Pictures that one tombstone may name; more of them take more tombstones.
pub const TOMBSTONE_BLOBS_MAX: usize = 1024;

/// Body of kind 40. A picture named here may be missing without being a finding.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Tombstone {
    /// The pictures, at most [`TOMBSTONE_BLOBS_MAX`].
    #[n(0)]
    pub blobs: Vec<BlobId>,
    /// Number of an [`Erasure`].
    #[n(1)]
    pub cause: u8,
    /// SHA-256 of the signed approvals, for an approved erasure.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub approvals_sha256: Option<[u8; 32]>,
}

/// The id of a picture as a CBOR byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct BlobId(#[cbor(n(0), with = "minicbor::bytes")] pub Id);

numbered! {
    /// Why pictures were erased.
    Erasure {
        Retention = 0, "retention";
        Approved = 1, "approved";
    }
}

/// Body of kind 41.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Approval {
    /// The approval as signed by the approver.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub signed: Vec<u8>,
}

/// Body of kind 42, recorded before the picture is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct View {
    /// Number of the purpose that was given.
    #[n(0)]
    pub purpose: u16,
    /// Which picture.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub blob_id: Id,
    /// Who was shown it: first bytes of SHA-256 over the age recipient (`age1…`) as text.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub viewer: KeyId,
}

fn to_vec(body: &impl Encode<()>) -> Vec<u8> {
    // Writing CBOR to a `Vec` cannot fail; an empty body would be refused by every reader.
    minicbor::to_vec(body).unwrap_or_default()
}

fn from_slice<T: for<'b> Decode<'b, ()>>(body: &[u8]) -> Result<T, EntryError> {
    cbor::read(body).map_err(|_| EntryError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_is_kept_byte_for_byte() {
        let event = Event::decode(4000, b"\xa1\x00\x01").unwrap();
        assert_eq!(event.name(), "unknown");
        assert_eq!(event.encode(), (4000, b"\xa1\x00\x01".to_vec()));
    }

    #[test]
    fn bodies_survive_encoding() {
        let events = [
            Event::LogStart(LogStart { host_key: [1; 32], log_key: [2; 32], host_record: vec![3] }),
            Event::PicturesStored(PicturesStored {}),
            Event::Cover(Cover { asked_boot_ms: 1, effective_boot_ms: 2, confirmed: true, cause_seq: None }),
            Event::Note(Note { code: 1, value: u64::MAX }),
            Event::Liveness(Liveness { boot_ms: 9, result: LivenessResult::Lit.number(), opened: true }),
            Event::Tombstone(Tombstone {
                blobs: vec![BlobId([1; 16]), BlobId([2; 16])],
                cause: Erasure::Approved.number(),
                approvals_sha256: Some([3; 32]),
            }),
            Event::Approval(Approval { signed: vec![1, 2] }),
            Event::View(View { purpose: 3, blob_id: [4; 16], viewer: [5; 8] }),
        ];
        for event in events {
            let (kind, body) = event.encode();
            assert_eq!(Event::decode(kind, &body).unwrap(), event);
            assert!(Event::decode(kind, &body[..body.len() - 1]).is_err());
        }
    }

    #[test]
    fn kinds_have_different_numbers_and_names() {
        for (i, a) in KINDS.iter().enumerate() {
            assert!(KINDS[i + 1..].iter().all(|b| a.0 != b.0 && a.1 != b.1));
        }
    }
}
