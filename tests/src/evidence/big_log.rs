//! A log of any length, as a busy host would write it, made on all cores without a single sync.
//!
//! ```text
//! session = 64 entries: session-start, 10 client messages, covers, presence, one incident, session-end
//! bundle  = 4 sessions, made by themselves, so that threads can share the work
//! ```
//! Every signature is true: of entries, handshakes, client messages, host record and policy.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::Context as _;
use sudare_protocol::evidence::event::{
    ClientMessage, Cover, IncidentComplete, IncidentOpen, LogStart, PresenceInterval, SessionEnd,
    SessionStart, Uncover,
};
use sudare_protocol::evidence::{Entry, Event, Id, VERSION};
use sudare_protocol::message::{self, CertificateCheck, Hello, Lock, Open, Unlock, kind};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{HostRecord, Policy, Signed};
use sudare_protocol::session::{HELLO_CONTEXT, OPEN_CONTEXT, transcript};
use sudare_protocol::tlog::merkle::{HashTile, Tree, leaf_hash};
use sudare_protocol::tlog::tiles::{self, TILE_WIDTH};
use sudare_protocol::tlog::{Checkpoint, TileContent, TilePath, VerifierKey};
use sudare_protocol::{SigningKey, cose};

use crate::pair;

/// Name of the log.
pub const ORIGIN: &str = "sudare.example/log/big";
const SESSION_ENTRIES: u64 = 64;
const BOOT: Id = [0xb0; 16];

/// The log's key.
pub fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

/// The line that auditors have.
pub fn verifier() -> anyhow::Result<VerifierKey> {
    Ok(VerifierKey::new(ORIGIN, log_key().verifying_key())?)
}

/// Writes a log of at least `entries` entries into `dir`; returns how many they are.
pub fn write(dir: &Path, entries: u64) -> anyhow::Result<u64> {
    let bundles = entries.div_ceil(TILE_WIDTH as u64);
    let maker = Maker::new()?;
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
    let path: PathBuf = dir.join(path.to_string());
    fs::create_dir_all(path.parent().context("a tile lies in a folder")?)?;
    Ok(fs::write(path, bytes)?)
}

/// What all sessions have in common.
struct Maker {
    host_record: Vec<u8>,
    policy: Signed<Policy>,
}

impl Maker {
    fn new() -> anyhow::Result<Self> {
        let host_key = pair::host_key().verifying_key().to_bytes();
        let record =
            HostRecord { host_id: "vdi-1".into(), host_key, not_before_ms: 0, not_after_ms: u64::MAX };
        let policy = Signed::sign(&pair::organisation_key(), &pair::policy())?;
        Ok(Self {
            host_record: Signed::sign(&pair::organisation_key(), &record)?,
            policy: Signed::verify(&pair::organisation_key().verifying_key(), &policy, pair::WALL_MS)?,
        })
    }

    fn bundle(&self, index: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        let per_bundle = TILE_WIDTH as u64 / SESSION_ENTRIES;
        let sessions = index * per_bundle..(index + 1) * per_bundle;
        let all = sessions.map(|session| self.session(session)).collect::<Result<Vec<_>, _>>()?;
        Ok(all.concat())
    }

    fn session(&self, number: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        let id = id(0x5e, number);
        let start = self.handshake(id);
        let transcript = transcript(&start.hello, &start.open);
        let mut leaves = Vec::new();
        let mut serial = 0;
        for place in 0..SESSION_ENTRIES {
            let seq = number * SESSION_ENTRIES + place;
            let event = match (seq, place) {
                (0, _) => self.log_start(),
                (1, _) | (_, 0) => Event::SessionStart(start.clone()),
                (_, 63) => Event::SessionEnd(SessionEnd { boot_ms: seq }),
                _ => ordinary(seq, place, &transcript),
            };
            serial += u64::from(seq > 0);
            let mut entry = plain(seq, id, &event);
            (entry.source, entry.serial) = if seq == 0 { (None, None) } else { (Some(id), Some(serial)) };
            if matches!(event, Event::IncidentOpen(_) | Event::IncidentComplete(_)) {
                entry.incident_id = Some(self::id(0x1d, number));
            }
            leaves.push(entry.sign(&log_key())?);
        }
        Ok(leaves)
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
    let signed = |payload: Vec<u8>| {
        let message = cose::sign1(&pair::device_key(), transcript, &payload);
        Event::ClientMessage(ClientMessage { message })
    };
    match place % 12 {
        2 if place == 2 => Event::IncidentOpen(IncidentOpen { boot_ms: seq }),
        3 if place == 3 => Event::IncidentComplete(IncidentComplete { missing: 0 }),
        4 => {
            let lock = Lock { reason: Reason::Stranger, incident_id: [1; 16], boot_ms: seq };
            signed(message::encode(kind::LOCK, place, &lock))
        }
        5 => Event::Cover(Cover {
            asked_boot_ms: seq,
            effective_boot_ms: seq,
            confirmed: true,
            cause_seq: Some(seq),
        }),
        6 => signed(message::encode(kind::UNLOCK, place, &Unlock { boot_ms: seq })),
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

fn plain(seq: u64, session_id: Id, event: &Event) -> Entry {
    let (kind, body) = event.encode();
    Entry {
        version: VERSION,
        seq,
        wall_ms: pair::WALL_MS + seq,
        boot_ms: seq,
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

fn id(mark: u8, number: u64) -> Id {
    let mut id = [mark; 16];
    id.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_host_ext::audit::{Store, Walk};

    #[test]
    fn a_big_log_is_true_in_every_part() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write(dir.path(), 1_000).unwrap(), 1_024);
        let store = Store::open(dir.path()).unwrap();
        let organisation = pair::organisation_key().verifying_key();
        let walk = Walk::new(&store, &verifier().unwrap(), &[]).with_organisation(Some(organisation));
        let report = walk.verify().unwrap();
        assert!(report.ok, "{:?}", report.findings);
        assert_eq!((report.entries, report.incidents), (1_024, 16));
    }
}
