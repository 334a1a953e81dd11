//! A log of any length, as a busy host would write it, made on all cores without a single sync.
//!
//! ```text
//! session = 64 entries: session-start, 11 client messages, covers, presence, one incident, session-end
//! incident = two screenshots and six camera pictures with their manifest; a tombstone when their time is over
//! bundle  = 4 sessions, made by themselves, so that threads can share the work
//! ```
//! Every signature is true: of entries, handshakes, client messages, host record and policy. Pictures that are
//! not erased are in the store, but are not real pictures: the cost of an audit depends on their number only.

use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::{fs, thread};

use anyhow::Context as _;
use sudare_evidence::store::blobs::{BlobPaths, describe};
use sudare_protocol::client::chunk_digests;
use sudare_protocol::evidence::event::{
    BlobId, ClientMessage, Cover, Erasure, IncidentComplete, IncidentOpen, LogStart, PicturesStored,
    PresenceInterval, SessionEnd, SessionStart, Tombstone, Uncover,
};
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id, Label, Media, VERSION};
use sudare_protocol::message::{
    self, CertificateCheck, Hello, Lock, Manifest, Moment, Open, Piece, Unlock, kind,
};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{Policy, Signed};
use sudare_protocol::seal::Sealed;
use sudare_protocol::session::{HELLO_CONTEXT, OPEN_CONTEXT, transcript};
use sudare_protocol::tlog::merkle::{HashTile, Tree, leaf_hash};
use sudare_protocol::tlog::tiles::{self, TILE_WIDTH};
use sudare_protocol::tlog::{Checkpoint, TileContent, TilePath, VerifierKey};
use sudare_protocol::{SigningKey, cose};
use sudare_test_kit::pair;

/// Name of the log.
pub(super) const ORIGIN: &str = "sudare.example/log/big";
const SESSION_ENTRIES: u64 = 64;
const BOOT: Id = [0xb0; 16];
/// All pictures are kept as long as the policy keeps the ones that show nobody, and go then.
const KEPT_MS: u64 = 336 * 60 * 60 * 1000;
/// Of a picture's header, and of its body.
const HALF_BYTES: usize = 32;

/// The log's key.
pub(super) fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

/// The line that auditors have.
pub(super) fn verifier() -> anyhow::Result<VerifierKey> {
    Ok(VerifierKey::new(ORIGIN, log_key().verifying_key())?)
}

/// Writes a log of at least `entries` entries into `dir`, one each `entry_ms`; returns how many they are.
pub(super) fn write(dir: &Path, entries: u64, entry_ms: u64) -> anyhow::Result<u64> {
    let bundles = entries.div_ceil(TILE_WIDTH as u64);
    let maker = Maker::new(entry_ms)?;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut tree = Tree::new();
    thread::scope(|scope| -> anyhow::Result<()> {
        let made: Vec<Receiver<anyhow::Result<Vec<Vec<u8>>>>> = (0..threads)
            .map(|first| {
                let (give, take) = mpsc::sync_channel(2);
                let maker = &maker;
                let mine = (0..bundles).skip(first).step_by(threads);
                scope.spawn(move || mine.into_iter().all(|bundle| give.send(maker.bundle(bundle)).is_ok()));
                take
            })
            .collect();
        for (bundle, from) in (0..bundles).zip(made.iter().cycle()) {
            let leaves = from.recv().context("a thread is gone")??;
            write_bundle(dir, bundle, &leaves, &mut tree)?;
        }
        Ok(())
    })?;
    for tile in tree.partial_tiles() {
        write_tile(dir, &tile)?;
    }
    let sessions = tree.size() / SESSION_ENTRIES;
    for session in sessions.saturating_sub(maker.kept_sessions)..sessions {
        pictures(session).iter().try_for_each(|picture| put_picture(dir, picture))?;
    }
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: tree.size(), root: tree.root() };
    fs::write(dir.join("checkpoint"), checkpoint.sign(&log_key())?.note())?;
    Ok(tree.size())
}

fn write_bundle(dir: &Path, index: u64, leaves: &[Vec<u8>], tree: &mut Tree) -> anyhow::Result<()> {
    let mut bundle = Vec::new();
    for leaf in leaves {
        tiles::push_entry(&mut bundle, leaf)?;
        for tile in tree.push(leaf_hash(leaf)) {
            write_tile(dir, &tile)?;
        }
    }
    put(dir, TilePath { content: TileContent::Entries, index, width: TILE_WIDTH }, &bundle)
}

fn write_tile(dir: &Path, tile: &HashTile) -> anyhow::Result<()> {
    let path =
        TilePath { content: TileContent::Hashes(tile.level), index: tile.index, width: tile.hashes.len() };
    put(dir, path, &tile.hashes.concat())
}

fn put(dir: &Path, path: TilePath, bytes: &[u8]) -> anyhow::Result<()> {
    put_file(&dir.join(path.to_string()), bytes)
}

fn put_picture(dir: &Path, picture: &Picture) -> anyhow::Result<()> {
    let paths = BlobPaths::of(dir, &picture.blob.blob_id);
    let (header, body) = picture.bytes.split_at(HALF_BYTES);
    put_file(&paths.header, header)?;
    put_file(&paths.body, body)
}

fn put_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::create_dir_all(path.parent().context("it lies in a folder")?)?;
    Ok(fs::write(path, bytes)?)
}

/// What all sessions have in common.
struct Maker {
    host_record: Vec<u8>,
    policy: Signed<Policy>,
    entry_ms: u64,
    /// Pictures of so many sessions are in the store.
    kept_sessions: u64,
}

impl Maker {
    fn new(entry_ms: u64) -> anyhow::Result<Self> {
        let host_key = pair::host_key().verifying_key().to_bytes();
        let record = pair::host_record("vdi-1", host_key);
        let policy = Signed::sign(&pair::organisation_key(), &pair::policy())?;
        Ok(Self {
            host_record: Signed::sign(&pair::organisation_key(), &record)?,
            policy: Signed::verify(&pair::organisation_key().verifying_key(), &policy, pair::WALL_MS)?,
            entry_ms,
            kept_sessions: KEPT_MS.div_ceil(SESSION_ENTRIES * entry_ms),
        })
    }

    fn bundle(&self, index: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        let per_bundle = TILE_WIDTH as u64 / SESSION_ENTRIES;
        let sessions = index * per_bundle..(index + 1) * per_bundle;
        let all = sessions.map(|session| self.session(session)).collect::<Result<Vec<_>, _>>()?;
        Ok(all.concat())
    }

    fn session(&self, number: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        let id = session_id(number);
        let start = self.handshake(id);
        let transcript = transcript(&start.hello, &start.open);
        let mut leaves = Vec::new();
        let mut serial = 0;
        for place in 0..SESSION_ENTRIES {
            let seq = number * SESSION_ENTRIES + place;
            let incident = self.incident(number, place, &transcript);
            let event = match (seq, place, &incident) {
                (_, _, Some((_, event, _))) => event.clone(),
                (0, ..) => self.log_start(),
                (1, ..) | (_, 0, _) => Event::SessionStart(start.clone()),
                (_, 63, _) => Event::SessionEnd(SessionEnd { boot_ms: seq }),
                _ => ordinary(seq, place, &transcript),
            };
            serial += u64::from(seq > 0);
            let mut entry = self.plain(seq, id, &event);
            (entry.source, entry.serial) = if seq == 0 { (None, None) } else { (Some(id), Some(serial)) };
            if let Some((of, _, blobs)) = incident {
                (entry.session_id, entry.incident_id) = (Some(session_id(of)), Some(incident_id(of)));
                entry.blobs = blobs;
            }
            leaves.push(entry.sign(&log_key())?);
        }
        Ok(leaves)
    }

    /// What stands at this place of a session about an incident: about that of which session, and with which
    /// pictures.
    fn incident(&self, number: u64, place: u64, transcript: &[u8; 32]) -> Option<(u64, Event, Vec<BlobRef>)> {
        let all = || pictures(number).into_iter().map(|picture| picture.blob);
        let is_screen = |blob: &BlobRef| Label::from_number(blob.label).is_some_and(|of| !of.is_camera());
        match place {
            2 => Some((number, Event::IncidentOpen(IncidentOpen { boot_ms: number }), vec![])),
            3 => Some((number, Event::PicturesStored(PicturesStored {}), all().filter(is_screen).collect())),
            8 => {
                let manifest = message::encode(kind::MANIFEST, place, &self.manifest(number));
                Some((number, signed(transcript, &manifest), vec![]))
            }
            9 => Some((number, Event::IncidentComplete(IncidentComplete { missing: 0 }), all().collect())),
            10 => {
                let old = number.checked_sub(self.kept_sessions)?;
                let blobs = pictures(old).iter().map(|picture| BlobId(picture.blob.blob_id)).collect();
                let cause = Erasure::Retention.number();
                let event = Event::Tombstone(Tombstone { blobs, cause, approvals_sha256: None });
                Some((old, event, vec![]))
            }
            _ => None,
        }
    }

    fn manifest(&self, number: u64) -> Manifest {
        Manifest {
            incident_id: incident_id(number),
            reason: Reason::Stranger,
            pieces: pictures(number).iter().filter_map(Picture::piece).collect(),
            policy_digest: self.policy.digest(),
            decided_boot_ms: number,
            wall_ms: pair::WALL_MS,
            cosine_milli: None,
            basis: None,
        }
    }

    fn plain(&self, seq: u64, session_id: Id, event: &Event) -> Entry {
        let (kind, body) = event.encode();
        Entry {
            version: VERSION,
            seq,
            wall_ms: pair::WALL_MS + seq * self.entry_ms,
            boot_ms: seq * self.entry_ms,
            boot_id: BOOT,
            session_id: (seq > 0).then_some(session_id),
            incident_id: None,
            kind,
            reason: Some(Reason::None.number()),
            blobs: vec![],
            body,
            source: None,
            serial: None,
        }
    }

    fn log_start(&self) -> Event {
        let host_key = pair::host_key().verifying_key().to_bytes();
        let log_key = log_key().verifying_key().to_bytes();
        Event::LogStart(LogStart { host_key, log_key, host_record: self.host_record.clone() })
    }

    fn handshake(&self, session_id: Id) -> SessionStart {
        let hello = Hello {
            versions: vec![1],
            host_nonce: [1; 32],
            session_id,
            boot_id: BOOT,
            host_record: self.host_record.clone(),
            policy: self.policy.bytes().to_vec(),
            tls_cert_sha256: pair::CERTIFICATE,
            tls_exporter: None,
            organisation: None,
            enrol_key: None,
            wall_ms: pair::WALL_MS,
            credits: 32,
        };
        let open = Open {
            version: 1,
            client_nonce: [2; 32],
            device_id: pair::DEVICE_ID,
            session_id,
            boot_id: [0xb1; 16],
            policy_digest: self.policy.digest(),
            template_key: [3; 32],
            certificate: CertificateCheck::Same,
            software: "test".into(),
            models: vec![],
            wall_ms: pair::WALL_MS,
            key_assurance: None,
            measures: None,
            enrolment: None,
            consent: None,
            withdrawal: None,
        };
        let (host, device) = (pair::host_key(), pair::device_key());
        SessionStart {
            hello: cose::sign1(&host, HELLO_CONTEXT, &message::encode(kind::HELLO, 0, &hello)),
            open: cose::sign1(&device, OPEN_CONTEXT, &message::encode(kind::OPEN, 0, &open)),
            device_key: device.verifying_key().to_bytes(),
            device_record_sha256: [0xdd; 32],
            subject_id: Some(session_id),
        }
    }
}

/// What happens in the middle of a session.
fn ordinary(seq: u64, place: u64, transcript: &[u8; 32]) -> Event {
    match place % 12 {
        4 => {
            let lock = Lock { reason: Reason::Stranger, incident_id: [1; 16], boot_ms: seq };
            signed(transcript, &message::encode(kind::LOCK, place, &lock))
        }
        5 => Event::Cover(Cover {
            asked_boot_ms: seq,
            effective_boot_ms: seq,
            confirmed: true,
            cause_seq: Some(seq),
        }),
        6 => signed(transcript, &message::encode(kind::UNLOCK, place, &Unlock { boot_ms: seq })),
        7 => Event::Uncover(Uncover { boot_ms: seq }),
        _ => Event::PresenceInterval(PresenceInterval {
            from_boot_ms: seq,
            to_boot_ms: seq,
            state: 1,
            attestations: 120,
            nonce_age_max_ms: 700,
        }),
    }
}

fn signed(transcript: &[u8; 32], payload: &[u8]) -> Event {
    let message = cose::sign1(&pair::device_key(), transcript, payload);
    Event::ClientMessage(ClientMessage { message })
}

/// A picture of an incident, as far as the log goes.
struct Picture {
    blob: BlobRef,
    bytes: Vec<u8>,
    taken: Option<(Moment, bool)>,
}

impl Picture {
    fn piece(&self) -> Option<Piece> {
        let (moment, pixelated) = self.taken?;
        let BlobRef { blob_id, media, sha256, size, commitment, header_size, .. } = self.blob;
        Some(Piece {
            blob_id,
            moment,
            size,
            sha256,
            commitment,
            chunks: chunk_digests(&self.bytes),
            boot_ms: 0,
            media,
            header_size,
            pixelated: Some(pixelated),
        })
    }
}

/// Those of the one incident of a session.
fn pictures(session: u64) -> Vec<Picture> {
    let screens = [Label::ScreenshotSuspect, Label::ScreenshotAtCover].map(|label| (label, None));
    let taken = [Moment::Before, Moment::At, Moment::After].map(|moment| [(moment, true), (moment, false)]);
    let camera = taken
        .concat()
        .into_iter()
        .map(|(moment, pixelated)| (Label::of_camera(moment, pixelated), Some((moment, pixelated))));
    let all = screens.into_iter().chain(camera);
    let picture = |((label, taken), n): ((Label, Option<(Moment, bool)>), u8)| {
        let blob_id = id(0xb0 | n, session);
        let sealed = Sealed::received(blob_id.repeat(2 * HALF_BYTES / blob_id.len()), [n; 32]);
        let blob = describe(blob_id, label, Media::Jpeg, &sealed);
        Picture { blob, bytes: sealed.ciphertext, taken }
    };
    all.zip(0..).map(picture).collect()
}

fn session_id(number: u64) -> Id {
    id(0x5e, number)
}

fn incident_id(number: u64) -> Id {
    id(0x1d, number)
}

fn id(mark: u8, number: u64) -> Id {
    let mut id = [mark; 16];
    id.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_audit::Walk;
    use sudare_evidence::reader::Store;

    #[test]
    fn a_big_log_is_true_in_every_part() {
        let dir = tempfile::tempdir().unwrap();
        // Pictures of six sessions are kept.
        assert_eq!(write(dir.path(), 1_000, 60 * 60 * 1000).unwrap(), 1_024);
        let store = Store::open(dir.path()).unwrap();
        let organisation = pair::organisation_key().verifying_key();
        let walk = Walk::new(&store, &verifier().unwrap(), &[]).with_organisation(Some(organisation));
        let report = walk.verify().unwrap();
        assert!(report.ok, "{:?}", report.findings);
        assert_eq!((report.entries, report.incidents), (1_024, 16));
        assert_eq!(report.erased, 10 * 8);
        assert_eq!(fs::read_dir(dir.path().join("headers")).unwrap().count(), 6 * 8);
    }
}
