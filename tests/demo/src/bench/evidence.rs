//! How long an incident takes until it is durable, beside the bare disk; how many entries a second go in; and
//! what killing everybody costs.
//!
//! The incident takes the guard's own way: the evidence thread seals and stores a screenshot of 200 KB, stores a
//! camera picture of 300 KB, records four entries, and has a receipt, all through the socket of a recorder that
//! runs as its own process. The floor makes the same files of the same sizes last on the same disk, without
//! anything else. Both are measured in turns, so that both have the same disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sudare_base::clock;
use sudare_evidence::report::wire::NewEntry;
use sudare_evidence::report::{EvidenceSink as _, NewEntries, Remote};
use sudare_guard::session::evidence::{Evidence, EvidenceThread, Job, OpenSink, What};
use sudare_protocol::evidence::event::Note;
use sudare_protocol::evidence::{Event, Label};
use sudare_protocol::intake::Complete;
use sudare_protocol::message::{self, kind};
use sudare_protocol::reason::Reason;
use sudare_protocol::rules::EvidenceRules;
use sudare_protocol::seal::{Identity, Recipients};
use sudare_test_kit::PATIENCE;

use super::table::{Needed, Table, summary};
use crate::faults::{self, Place, Plan, Programs, incident};

/// Incidents measured, after others that only warm up and fill the first tile.
const INCIDENTS: usize = 120;
const WARM_UP: usize = 70;
/// A tile on each of two levels and a bundle are then rewritten with each checkpoint.
const TILE_FILES: usize = 3;
const TILE_BYTES: usize = 4 * 1024;
const NOTE_BYTES: usize = 256;
const HEADER_BYTES: usize = 600;
const ENTRY_BYTES: usize = 1_200;
/// Guards that report at the same time, one entry at a time.
const GUARDS: u64 = 64;
const APPENDING: Duration = Duration::from_secs(4);
const KILLS: u32 = 50;

/// Everything about evidence that needs the recorder. `bin` has the programs, `dir` is emptied.
pub fn measure(table: &mut Table, bin: &Path, dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    let programs =
        Programs { recorder: bin.join("sudare-recorder"), sudare_faults: bin.join("sudare-faults") };
    let place = prepare(&dir.join("time"))?;
    let recorder = faults::recorder(&place, &programs)?;
    tell_incidents(table, &place)?;
    tell_appends(table, &place)?;
    drop(recorder);
    tell_faults(table, &prepare(&dir.join("faults"))?, &programs)
}

fn prepare(dir: &Path) -> anyhow::Result<Place> {
    fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    Place::prepare(&dir, &dir.join("evidence"))
}

fn tell_incidents(table: &mut Table, place: &Place) -> anyhow::Result<()> {
    let (ours, floor) = incidents(place)?;
    let (ours, floor) = (summary(ours), summary(floor));
    let at = |value: &serde_json::Value, p: &str| value.get(p).and_then(serde_json::Value::as_f64);
    let ratio = |p: &str| Some(at(&ours, p)? / at(&floor, p)?);
    for (name, value, unit, needed) in [
        ("incident durable, p50", at(&ours, "p50"), "ms", Needed::Nothing),
        ("incident durable, p99", at(&ours, "p99"), "ms", Needed::AtMost(60.0)),
        ("the same files alone, p50", at(&floor, "p50"), "ms", Needed::Nothing),
        ("the same files alone, p99", at(&floor, "p99"), "ms", Needed::Nothing),
        ("incident as a multiple of that, p50", ratio("p50"), "", Needed::AtMost(3.0)),
    ] {
        table.row(name, value, unit, needed);
    }
    table.keep("incident_vs_fsync_floor", ratio("p50"));
    table.keep("incident_durable_ms", ours);
    table.keep("fsync_floor_ms", floor);
    Ok(())
}

fn tell_appends(table: &mut Table, place: &Place) -> anyhow::Result<()> {
    let rate = appends_per_s(place)?;
    table.row("entries appended by 64 guards", Some(rate), "/s", Needed::AtLeast(5_000.0));
    table.keep("append_by_guards_per_s", rate);
    Ok(())
}

fn tell_faults(table: &mut Table, place: &Place, programs: &Programs) -> anyhow::Result<()> {
    let outcome = faults::run(place, programs, Plan { kills: KILLS, seed: 1, pairs: 3 })?;
    let (lost, twice) = (outcome.verdict.lost.len(), outcome.verdict.duplicated.len());
    let count = |n: usize| u32::try_from(n).map(f64::from).ok();
    table.row("kills in the middle of incidents", Some(outcome.kills.into()), "", Needed::AtLeast(50.0));
    table.row("incidents lost by them", count(lost), "", Needed::AtMost(0.0));
    table.row("records duplicated by them", count(twice), "", Needed::AtMost(0.0));
    table.keep("fault_kills", outcome.kills);
    table.keep("fault_lost", lost);
    table.keep("fault_duplicated", twice);
    Ok(())
}

/// Milliseconds of each incident, and of the same files alone.
fn incidents(place: &Place) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let socket = place.recorder_socket();
    faults::await_socket(&socket)?;
    let open: OpenSink = Box::new(move |source| Ok(Box::new(Remote::connect(&socket, source)?)));
    let (_thread, evidence) = EvidenceThread::start(open, clock::random()?, EvidenceRules::default())?;
    let auditors = [Identity::generate().recipient(), Identity::generate().recipient()];
    let recipients = Recipients::parse(&auditors)?;
    let mut floor = Floor::new(&place.dir().join("floor"))?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + INCIDENTS {
        let (mine, disk) = (incident_ms(&evidence, &recipients)?, floor.ms()?);
        if number >= WARM_UP {
            ours.push(mine);
            bare.push(disk);
        }
    }
    Ok((ours, bare))
}

/// From the hand-over of everything to the acknowledgement.
fn incident_ms(evidence: &Evidence, recipients: &Recipients) -> anyhow::Result<f64> {
    let made = incident::incident(clock::random()?, recipients, [0; 32])?;
    let message = message::encode(kind::MANIFEST, 1, &made.manifest);
    let (session_id, incident_id) = ([1; 16], Some(made.manifest.incident_id));
    let (reason, boot_ms, recipients) = (Reason::Stranger, clock::boot_ms(), recipients.clone());
    let shots = vec![(Label::ScreenshotAtCover, incident::screen()?)];
    let complete = Box::new(Complete { manifest: made.manifest, message, pieces: made.pieces });
    let (reply, replies) = channel();
    let begun = Instant::now();
    evidence.keep(Job {
        session_id,
        incident_id,
        what: What::Incident { reason, boot_ms, shots, dropped: 0, recipients },
    });
    evidence.keep(Job { session_id, incident_id, what: What::Pictures { complete, reply } });
    replies.recv_timeout(PATIENCE).context("the incident is not acknowledged")?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// The same durable steps without anything else, see `store::durable`.
struct Floor {
    dir: PathBuf,
    wal: File,
    number: u32,
    noise: Vec<u8>,
}

impl Floor {
    fn new(dir: &Path) -> anyhow::Result<Self> {
        for folder in ["blobs", "headers", "0", "1", "entries"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let wal = File::create(dir.join("wal"))?;
        Ok(Floor { dir: dir.to_owned(), wal, number: 0, noise: vec![0x5a; 300_000] })
    }

    fn ms(&mut self) -> anyhow::Result<f64> {
        self.number += 1;
        let begun = Instant::now();
        for (picture, bytes) in [("screenshot", 200_000), ("camera", 300_000)] {
            let name = format!("{picture}-{}", self.number);
            self.replace("blobs", &name, bytes)?;
            self.replace("headers", &name, HEADER_BYTES)?;
            self.append()?;
        }
        for level in ["0", "1", "entries"].into_iter().take(TILE_FILES) {
            self.replace(level, &self.number.to_string(), TILE_BYTES)?;
        }
        self.replace("", "checkpoint", NOTE_BYTES)?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    fn replace(&self, folder: &str, name: &str, bytes: usize) -> anyhow::Result<()> {
        let folder = self.dir.join(folder);
        let (temporary, path) = (folder.join(format!("{name}.tmp")), folder.join(name));
        let mut file = File::create(&temporary)?;
        file.write_all(self.noise.get(..bytes).unwrap_or_default())?;
        file.sync_data()?;
        fs::rename(&temporary, &path)?;
        Ok(File::open(&folder)?.sync_all()?)
    }

    fn append(&mut self) -> anyhow::Result<()> {
        self.wal.write_all(self.noise.get(..2 * ENTRY_BYTES).unwrap_or_default())?;
        Ok(self.wal.sync_data()?)
    }
}

/// Entries that all guards together have durable in a second.
fn appends_per_s(place: &Place) -> anyhow::Result<f64> {
    let barrier = Arc::new(Barrier::new(usize::try_from(GUARDS)?));
    let mut threads = Vec::new();
    for _ in 0..GUARDS {
        let source = clock::random()?;
        let (mut guard, barrier) = (Remote::connect(&place.recorder_socket(), source)?, barrier.clone());
        threads.push(std::thread::spawn(move || {
            barrier.wait();
            let begun = Instant::now();
            let mut serial = 0;
            while begun.elapsed() < APPENDING {
                serial += 1;
                let entries = vec![note()];
                guard.record(&NewEntries { source, serial, entries, receipt: false, once: None })?;
            }
            Ok::<u32, anyhow::Error>(u32::try_from(serial)?)
        }));
    }
    let mut entries = 0;
    for thread in threads {
        entries += thread.join().map_err(|_| anyhow::anyhow!("a guard panicked"))??;
    }
    Ok(f64::from(entries) / APPENDING.as_secs_f64())
}

fn note() -> NewEntry {
    let (kind, body) = Event::Note(Note { code: 1, value: 0 }).encode();
    NewEntry { session_id: Some([1; 16]), incident_id: None, reason: None, blobs: vec![], kind, body }
}
