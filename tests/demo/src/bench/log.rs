//! The evidence log: how fast it takes entries, and how fast and with how much memory it is audited.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sudare_evidence::log::{Draft, LogKeys, LogWriter};
use sudare_evidence::store::OsDisk;
use sudare_protocol::evidence::event::{LogStart, Uncover};
use sudare_protocol::evidence::{Event, Stamp};
use sudare_test_kit::pair;

use super::table::Needed;
use super::{Table, big_log};

/// Entries of the log that is audited.
const ENTRIES: u64 = 1_000_000;
/// Between two of them: some 500 pictures a day, of which those of two weeks are there.
const ENTRY_MS: u64 = 20_000;
/// Reports that wait for the same sync when a busy recorder drains its queue.
const GROUP: usize = 64;
/// How long entries are appended, with a checkpoint every second.
const APPENDING: Duration = Duration::from_secs(4);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Debug)]
pub struct LogFigures {
    pub append_per_s: f64,
    pub verify_hash_entries_per_s: f64,
    pub verify_signed_entries_per_s: f64,
    /// Of the audit of all signatures.
    pub verify_peak_mb: f64,
}

/// Measures in `dir`, which is emptied and should lie on the disk that evidence is kept on. `sudare_audit` is the
/// released program.
pub fn measure(dir: &Path, sudare_audit: &Path) -> anyhow::Result<LogFigures> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    let append_per_s = append(&dir.join("appended"))?;
    let store = dir.join("audited");
    let entries = big_log::write(&store, ENTRIES, ENTRY_MS)?;
    let key = dir.join("log.vkey");
    std::fs::write(&key, big_log::verifier()?.to_string())?;
    let organisation = dir.join("organisation.pub");
    let line = sudare_protocol::keyfile::public_line(&pair::organisation_key().verifying_key());
    std::fs::write(&organisation, line)?;
    let audit = |more: &[&str]| -> anyhow::Result<Audit> {
        let mut command = Command::new(sudare_audit);
        command.arg("verify").arg(&store).arg("--key").arg(&key).arg("--org-key").arg(&organisation);
        run(command.arg("--json").args(more), entries)
    };
    // The first run reads the files from disk, which is not what we measure.
    audit(&["--hash-only"])?;
    let (hashes, signed) = (audit(&["--hash-only"])?, audit(&[])?);
    std::fs::remove_dir_all(&store)?;
    Ok(LogFigures {
        append_per_s,
        verify_hash_entries_per_s: hashes.entries_per_s,
        verify_signed_entries_per_s: signed.entries_per_s,
        verify_peak_mb: signed.peak_mb,
    })
}

impl LogFigures {
    /// Rows and keys.
    pub fn tell(&self, table: &mut Table) {
        let rows = [
            ("append_per_s", "log: entries appended", self.append_per_s, "/s", Needed::AtLeast(5_000.0)),
            (
                "verify_hash_entries_per_s",
                "log: audit of hashes",
                self.verify_hash_entries_per_s,
                "/s",
                Needed::AtLeast(250_000.0),
            ),
            (
                "verify_signed_entries_per_s",
                "log: audit of signatures",
                self.verify_signed_entries_per_s,
                "/s",
                Needed::AtLeast(15_000.0),
            ),
            (
                "verify_peak_mb",
                "log: peak memory of the audit",
                self.verify_peak_mb,
                "MB",
                Needed::AtMost(200.0),
            ),
        ];
        for (key, name, value, unit, needed) in rows {
            table.row(name, Some(value), unit, needed);
            table.keep(key, value);
        }
    }
}

/// The keys of the table, for a run that leaves this out.
pub const KEYS: [&str; 4] =
    ["append_per_s", "verify_hash_entries_per_s", "verify_signed_entries_per_s", "verify_peak_mb"];

/// Groups of reports, each under one sync, and a checkpoint every second.
fn append(dir: &Path) -> anyhow::Result<f64> {
    let keys = LogKeys {
        origin: big_log::ORIGIN.into(),
        log: big_log::log_key(),
        host_key: pair::host_key().verifying_key().to_bytes(),
    };
    let (mut writer, _) = LogWriter::open(OsDisk, dir, keys, [7; 16])?;
    let stamp = Stamp { wall_ms: pair::WALL_MS, boot_ms: 1, boot_id: [0; 16] };
    let (host_key, log_key) = (writer.host_key(), writer.log_key().to_bytes());
    writer.append(Draft::of(Event::LogStart(LogStart { host_key, log_key, host_record: vec![] })), stamp)?;
    let reports: Vec<(Draft, Stamp)> = (0..GROUP as u64)
        .map(|n| {
            (Draft { session_id: Some([1; 16]), ..Draft::of(Event::Uncover(Uncover { boot_ms: n })) }, stamp)
        })
        .collect();
    let (started, mut checkpointed, before) = (Instant::now(), Instant::now(), writer.size());
    while started.elapsed() < APPENDING {
        writer.append_all(reports.clone())?;
        if checkpointed.elapsed() >= CHECKPOINT_EVERY {
            writer.checkpoint()?;
            checkpointed = Instant::now();
        }
    }
    writer.checkpoint()?;
    let appended = u32::try_from(writer.size() - before)?;
    Ok(f64::from(appended) / started.elapsed().as_secs_f64())
}

struct Audit {
    entries_per_s: f64,
    peak_mb: f64,
}

/// Runs an audit that must find nothing.
fn run(command: &mut Command, entries: u64) -> anyhow::Result<Audit> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().context("sudare-audit cannot be started")?;
    let status = format!("/proc/{}/status", child.id());
    // The peak only grows, so the last reading before the end is it.
    let mut peak_kb = 0;
    while child.try_wait()?.is_none() {
        peak_kb = peak(&status).unwrap_or(0).max(peak_kb);
        thread::sleep(Duration::from_millis(5));
    }
    let seconds = started.elapsed().as_secs_f64();
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the audit found something or failed: {told}");
    let report: Value = serde_json::from_str(&told)?;
    ensure!(report["ok"] == true && report["entries"] == entries, "the audit is of something else: {told}");
    ensure!(peak_kb > 0, "the audit was over before its memory was read");
    Ok(Audit {
        entries_per_s: f64::from(u32::try_from(entries)?) / seconds,
        peak_mb: f64::from(peak_kb) / 1024.0,
    })
}

fn peak(status: &str) -> Option<u32> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
