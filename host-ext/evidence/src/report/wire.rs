//! The messages between a guard and the recorder, one CBOR array per packet.
//!
//! ```text
//! guard                                            recorder
//!   Hello{version, source} ─────────────────────►
//!                        ◄───────────────────────  Welcome{version, last_serial, log_vkey}
//!   Blob{…} · Chunk × n ────────────────────────►  both files durable
//!                        ◄───────────────────────  Stored
//!   Report{serial, entries, receipt, once} ─────►  in the write-ahead file, synced
//!                        ◄───────────────────────  Recorded{serial, leaf_index, size, checkpoint}
//!   Room{device} ───────────────────────────────►
//!                        ◄───────────────────────  Room{is_left}
//!   State ──────────────────────────────────────►
//!                        ◄───────────────────────  State{size, shipped, behind_ms}
//!                        ◄───────────────────────  Refused{code, text}   instead of any answer
//! ```
//! Packets of a `SOCK_SEQPACKET` socket: the kernel keeps their boundaries and says who sent them. A guard waits for the
//! answer to one request before it sends the next. Both belong to one installation, so versions must be equal.
//! `sudare-audit` speaks the same protocol when it erases or opens evidence; its kinds of entries are accepted from root
//! and from the recorder's own user only (see the recorder's `role`).

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sudare_protocol::cbor;
use sudare_protocol::evidence::{BlobRef, Id};

/// Version of these messages; both sides must have the same.
pub const VERSION: u16 = 2;
/// Longest packet; it fits into the kernel's default buffer.
pub const PACKET_MAX_BYTES: usize = 192 * 1024;
/// Bytes of a picture in one packet.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Entries in one report.
pub const ENTRIES_MAX: usize = 64;
/// Far beyond any real count; sums of smaller numbers cannot overflow.
pub const SERIAL_MAX: u64 = u64::MAX / 2;
/// Longest advice in a refusal.
const TEXT_MAX_BYTES: usize = 1024;

/// From a guard.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// The first packet. `source` is random for each guard process.
    #[n(0)]
    Hello {
        #[n(0)]
        version: u16,
        #[cbor(n(1), with = "minicbor::bytes")]
        source: Id,
    },
    /// A sealed picture, whose bytes follow in chunks.
    #[n(1)]
    Blob {
        /// The device whose daily quota is charged.
        #[cbor(n(0), with = "minicbor::bytes")]
        device: Option<Id>,
        #[n(1)]
        blob: BlobRef,
    },
    #[n(2)]
    Chunk {
        #[cbor(n(0), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    #[n(3)]
    Report {
        #[n(0)]
        report: Report,
    },
    #[n(4)]
    State,
    /// Whether a device may store another incident today; asked before the desktop is shown to it.
    #[n(5)]
    Room {
        #[cbor(n(0), with = "minicbor::bytes")]
        device: Id,
    },
}

/// Entries that are recorded together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// Number of the first entry, counted by the source from 1; the others follow.
    #[n(0)]
    pub serial: u64,
    #[n(1)]
    pub entries: Vec<NewEntry>,
    /// The answer must hold a checkpoint over them.
    #[n(2)]
    pub receipt: bool,
    /// The incident that these entries complete: recorded once, whoever reports it.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub once: Option<Id>,
}

/// An entry before it has its position and time. Fields as in `evidence::Entry`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NewEntry {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub session_id: Option<Id>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub incident_id: Option<Id>,
    #[n(2)]
    pub reason: Option<u8>,
    #[n(3)]
    pub blobs: Vec<BlobRef>,
    #[n(4)]
    pub kind: u16,
    #[cbor(n(5), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// From the recorder.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// `last_serial`: the source's last entry in the log. `log_vkey`: the public line of that log.
    #[n(0)]
    Welcome {
        #[n(0)]
        version: u16,
        #[n(1)]
        last_serial: u64,
        #[n(2)]
        log_vkey: String,
    },
    #[n(1)]
    Stored,
    #[n(2)]
    Recorded {
        #[n(0)]
        recorded: Recorded,
    },
    #[n(3)]
    State {
        #[n(0)]
        state: State,
    },
    #[n(4)]
    Refused {
        #[n(0)]
        why: Why,
        #[n(1)]
        text: String,
    },
    #[n(5)]
    Room {
        #[n(0)]
        is_left: bool,
    },
}

/// Entries that are durable.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Recorded {
    /// Leaf of the last entry.
    #[n(0)]
    pub leaf_index: u64,
    /// The source's last serial number in the log; smaller than that of the last entry if the incident had
    /// been completed before.
    #[n(1)]
    pub last_serial: u64,
    /// If the report asked for a receipt: the checkpoint's note, and how many entries it covers.
    #[n(2)]
    pub receipt: Option<Receipt>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    #[n(0)]
    pub size: u64,
    #[n(1)]
    pub note: String,
    /// The last entry of the report as the log's key signed it, and its inclusion proof under the note.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub entry: Option<Vec<u8>>,
    #[n(3)]
    pub proof: Option<Vec<ByteVec>>,
}

/// The recorder's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct State {
    /// Entries in the log.
    #[n(0)]
    pub size: u64,
    /// Entries that the remote store has; absent without a shipper.
    #[n(1)]
    pub shipped: Option<u64>,
    /// Age of the oldest entry that it lacks, 0 if it has all.
    #[n(2)]
    pub behind_ms: Option<u64>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Why {
    /// The store cannot store anything at present; the same request may work later.
    #[n(0)]
    Store,
    /// The content can never be stored.
    #[n(1)]
    Content,
    /// The device has used up its daily quota.
    #[n(2)]
    Quota,
    /// The packets are malformed, out of order, or of another version.
    #[n(3)]
    Packet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a packet between guard and recorder cannot be read. Both must have the same version: restart both after an update"
)]
pub struct Garbled;

/// The bytes of a packet.
pub fn encode<T: Encode<()>>(packet: &T) -> Result<Vec<u8>, Garbled> {
    let bytes = minicbor::to_vec(packet).map_err(|_| Garbled)?;
    if bytes.len() > PACKET_MAX_BYTES { Err(Garbled) } else { Ok(bytes) }
}

/// Reads a request within its bounds.
pub fn decode_request(bytes: &[u8]) -> Result<Request, Garbled> {
    let request: Request = decode(bytes)?;
    match &request {
        Request::Chunk { bytes } if bytes.is_empty() || bytes.len() > CHUNK_BYTES => Err(Garbled),
        Request::Report { report }
            if !(1..=SERIAL_MAX).contains(&report.serial)
                || report.entries.is_empty()
                || report.entries.len() > ENTRIES_MAX =>
        {
            Err(Garbled)
        }
        _ => Ok(request),
    }
}

/// Reads an answer.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, Garbled> {
    decode(bytes)
}

/// A refusal, with as much of its advice as fits.
pub fn refused(why: Why, text: &str) -> Answer {
    let mut text = text.to_owned();
    while text.len() > TEXT_MAX_BYTES {
        text.pop();
    }
    Answer::Refused { why, text }
}

fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, Garbled> {
    cbor::read(bytes).map_err(|_| Garbled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> NewEntry {
        NewEntry {
            session_id: Some([1; 16]),
            incident_id: None,
            reason: Some(2),
            blobs: vec![],
            kind: 8,
            body: vec![0xa0],
        }
    }

    fn report(serial: u64, entries: usize) -> Request {
        Request::Report {
            report: Report { serial, entries: vec![entry(); entries], receipt: true, once: Some([2; 16]) },
        }
    }

    #[test]
    fn packets_survive_coding() {
        let blob = BlobRef {
            blob_id: [1; 16],
            label: 1,
            media: 0,
            sha256: [2; 32],
            size: 3,
            commitment: [4; 32],
            header_size: Some(5),
        };
        let requests = [
            Request::Hello { version: VERSION, source: [3; 16] },
            Request::Blob { device: None, blob },
            Request::Chunk { bytes: vec![7; CHUNK_BYTES] },
            report(1, ENTRIES_MAX),
            Request::State,
            Request::Room { device: [6; 16] },
        ];
        for request in requests {
            assert_eq!(decode_request(&encode(&request).unwrap()), Ok(request));
        }
        let receipt = Some(Receipt {
            size: 9,
            note: "note".into(),
            entry: Some(vec![1]),
            proof: Some(vec![vec![2; 32].into()]),
        });
        let answers = [
            Answer::Welcome { version: VERSION, last_serial: 4, log_vkey: "log/a+00000000+AA".into() },
            Answer::Stored,
            Answer::Recorded { recorded: Recorded { leaf_index: 8, last_serial: 3, receipt } },
            Answer::State { state: State { size: 9, shipped: Some(7), behind_ms: Some(1500) } },
            Answer::Room { is_left: true },
            refused(Why::Quota, &"é".repeat(2000)),
        ];
        for answer in answers {
            assert_eq!(decode_answer(&encode(&answer).unwrap()), Ok(answer));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for request in [
            report(0, 1),
            report(u64::MAX, 2),
            report(1, 0),
            report(1, ENTRIES_MAX + 1),
            Request::Chunk { bytes: vec![] },
        ] {
            assert_eq!(decode_request(&encode(&request).unwrap()), Err(Garbled));
        }
        assert_eq!(encode(&Request::Chunk { bytes: vec![0; PACKET_MAX_BYTES] }), Err(Garbled));
        let mut longer = encode(&Request::State).unwrap();
        longer.push(0);
        assert_eq!(decode_request(&longer), Err(Garbled));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            drop(decode_request(&bytes));
            drop(decode_answer(&bytes));
        }
    }
}
