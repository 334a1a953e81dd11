//! Every limit of the protocol, with the relations between them asserted at compile time.
//!
//! A length, count or rate that a peer chooses is compared with one of these before anything
//! is allocated for it. Units are at the end of the names.

use crate::tlog::tiles::MAX_ENTRY_BYTES;

/// One frame on the channel, without its 4-byte length.
pub const MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// OPEN, which the log keeps verbatim, signature included. Readers skip unknown keys, so without limits of their
/// own such messages could each carry 64 KiB into the log, without end.
pub const OPEN_MAX_BYTES: usize = 4 * 1024;
/// LOCK or UNLOCK; a valid one takes about 170 bytes.
pub const LOCK_MAX_BYTES: usize = 1024;
/// The entry in ACK: that of an incident with the most pictures takes about 3 KiB.
pub const ACK_ENTRY_MAX_BYTES: usize = 48 * 1024;
/// LIT: the longest lists `LIGHT_SAMPLES_MAX` samples.
pub const LIT_MAX_BYTES: usize = 4 * 1024;
/// MANIFEST: the longest lists the chunks of `INCIDENT_MAX_BYTES`.
pub const MANIFEST_MAX_BYTES: usize = 32 * 1024;
/// Payload of one evidence chunk; small enough that a lock waits behind at most one of them.
pub const CHUNK_BYTES: usize = 16 * 1024;
/// Evidence frames (manifests and chunks) that may be in flight without acknowledgement.
pub const CREDITS: u32 = 32;
/// Sealed pictures of one incident.
pub const PIECES_MAX: usize = 8;
/// One sealed picture.
pub const PIECE_MAX_BYTES: usize = 2 * 1024 * 1024;
/// All sealed pictures of one incident.
pub const INCIDENT_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Incidents a client may have announced and not completed.
pub const INCIDENTS_OPEN_MAX: usize = 8;
/// Evidence not yet acknowledged that the client keeps.
pub const SPOOL_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Evidence one device may store in a day.
pub const DEVICE_DAY_MAX_BYTES: u64 = 200 * 1024 * 1024;

/// Operators of one seat, and reference vectors of one operator.
pub const OPERATORS_MAX: usize = 8;
pub const VECTORS_MAX: usize = 6;
/// Looks that one LIT reports.
pub const LIGHT_SAMPLES_MAX: usize = 40;
/// Length of a face embedding.
pub const VECTOR_DIM: usize = 128;
/// Bytes of one operator template before sealing, at most.
pub const TEMPLATE_MAX_BYTES: usize = VECTORS_MAX * (VECTOR_DIM * 4 + 8) + 256;
/// Regions of the camera's picture that one operator marks as "not a person", and what part of it they may take in all.
pub const REGIONS_MAX: usize = 4;
pub const REGIONS_AREA_MAX_PERMILLE: u32 = 250;

/// Users and groups that one enroller record names.
pub const ENROLLER_USERS_MAX: usize = 256;
/// Groups of a policy, and whom one of them names.
pub const GROUPS_MAX: usize = 32;
pub const GROUP_MEMBERS_MAX: usize = 64;
/// Everything for a fleet of hosts in one file.
pub const BUNDLE_MAX_BYTES: usize = 50 * 1024 * 1024;
pub const BUNDLE_DEVICES_MAX: usize = 100_000;
pub const BUNDLE_HOSTS_MAX: usize = 4_096;
pub const BUNDLE_REVOCATIONS_MAX: usize = 16_384;
/// One text of a policy's notice, in one language: a page.
pub const NOTICE_TEXT_MAX_BYTES: usize = 2_048;
/// An enrolment in OPEN: one key and one signature.
pub const ENROLMENT_MAX_BYTES: usize = 256;
/// A withdrawal in OPEN: one key, a time and one signature.
pub const WITHDRAWAL_MAX_BYTES: usize = 256;
/// ENROL, with one sealed template.
pub const ENROL_MAX_BYTES: usize = TEMPLATE_MAX_BYTES + 512;

/// Auditors a policy may name, and the fewest it must.
pub const AUDITORS_MAX: usize = 16;
pub const AUDITORS_MIN: usize = 2;
/// Keys that may approve an erasure; two of them must.
pub const APPROVERS_MAX: usize = 16;
pub const APPROVERS_MIN: usize = 2;
/// Longest time that a policy may have pictures kept: two years.
pub const RETENTION_MAX_HOURS: u32 = 2 * 366 * 24;
/// Texts chosen by a peer: names, versions, advice.
pub const TEXT_MAX_BYTES: usize = 512;
/// Signed records inside HELLO (host record, policy).
pub const RECORD_MAX_BYTES: usize = 16 * 1024;
/// Model digests in OPEN.
pub const MODELS_MAX: usize = 8;

/// Challenges the host remembers; with the shortest interval this spans more than the longest lease.
pub const CHALLENGES_KEPT: usize = 64;
/// Messages per second that a host reads from one client before it treats them as a flood. A working
/// client sends about ten: attestations, and a lock or suspicion now and then.
pub const MESSAGES_PER_SECOND_MAX: u32 = 50;
/// Evidence chunks likewise; credit bounds them further.
pub const CHUNKS_PER_SECOND_MAX: u32 = 2_048;
/// Time from opening the channel to the end of the handshake.
pub const HANDSHAKE_MAX_MS: u64 = 10_000;
/// A gap between two ticks of a decider that shows that the machine slept or stalled.
pub const CLOCK_JUMP_MS: u64 = 2_000;
/// A picture older than this does not count as a view of the seat.
pub const FRAME_STALE_MS: u64 = 1_500;

/// What signing and the envelope add to a body.
const ENVELOPE_MAX_BYTES: usize = crate::cose::OVERHEAD_MAX_BYTES + 32;
/// What an entry of the log adds to the messages in it: ids, times, its signature.
const ENTRY_OVERHEAD_MAX_BYTES: usize = 1024;

const _: () = assert!(CHUNK_BYTES + 64 <= MESSAGE_MAX_BYTES);
const _: () = assert!(PIECE_MAX_BYTES * PIECES_MAX >= INCIDENT_MAX_BYTES);
const _: () = assert!(INCIDENT_MAX_BYTES <= SPOOL_MAX_BYTES);
const _: () = assert!(OPERATORS_MAX * (TEMPLATE_MAX_BYTES + 64) + ENVELOPE_MAX_BYTES <= MESSAGE_MAX_BYTES);
// Version, ids, digests and the optional keys fit beside the vectors.
const _: () = assert!(VECTORS_MAX * (VECTOR_DIM * 4 + 3) + 96 + REGIONS_MAX * 16 <= TEMPLATE_MAX_BYTES);
const _: () = assert!(2 * RECORD_MAX_BYTES + 1024 + ENVELOPE_MAX_BYTES <= MESSAGE_MAX_BYTES);
// What a working client sends fits the limit of its message.
const _: () = assert!(TEXT_MAX_BYTES + MODELS_MAX * 36 + 512 + ENVELOPE_MAX_BYTES <= OPEN_MAX_BYTES);
const _: () = assert!(64 + ENVELOPE_MAX_BYTES <= LOCK_MAX_BYTES);
// An entry, its proof and a checkpoint's note.
const _: () = assert!(
    ACK_ENTRY_MAX_BYTES + 64 * 34 + 4 * TEXT_MAX_BYTES + 64 + ENVELOPE_MAX_BYTES <= MESSAGE_MAX_BYTES
);
const _: () = assert!(
    LIGHT_SAMPLES_MAX * (crate::light::PLACES * 3 * 3 + 12) + 64 + ENVELOPE_MAX_BYTES <= LIT_MAX_BYTES
);
// A manifest lists one SHA-256 per chunk, and the last chunk of a picture may be short.
const _: () = assert!(
    INCIDENT_MAX_BYTES / CHUNK_BYTES * 36 + PIECES_MAX * 256 + MODELS_MAX * 36 + 512 + ENVELOPE_MAX_BYTES
        <= MANIFEST_MAX_BYTES
);
const _: () = assert!(MANIFEST_MAX_BYTES <= MESSAGE_MAX_BYTES);
// Whatever the host accepts and logs fits an entry: HELLO and OPEN together, and a manifest.
const _: () = assert!(
    2 * RECORD_MAX_BYTES + 1024 + ENVELOPE_MAX_BYTES + OPEN_MAX_BYTES + ENTRY_OVERHEAD_MAX_BYTES
        <= MAX_ENTRY_BYTES
);
const _: () = assert!(MANIFEST_MAX_BYTES + ENTRY_OVERHEAD_MAX_BYTES <= MAX_ENTRY_BYTES);
const _: () =
    assert!(CHALLENGES_KEPT as u64 * crate::timings::ATTESTATION_MIN_MS >= crate::timings::LEASE_MAX_MS);
const _: () = assert!(AUDITORS_MIN <= AUDITORS_MAX);
