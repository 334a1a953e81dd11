//! Receipts of hosts for the evidence that they keep: the employee's own record of every incident.
//!
//! ```text
//! <home>/receipts/<Unix ms>-<incident>.json      0600, at most RECEIPTS_MAX, the oldest are removed first
//! ```
//! A receipt states the incident's place in the host's log and the signed checkpoint that covers it, which proves a
//! log wrong that no longer holds it. It contains no picture and no name but the host's.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sudare_client_core::spool::HostKey;
use sudare_protocol::hex::hex;
use sudare_protocol::message::{Ack, Id};
use sudare_protocol::reason::Reason;

use crate::durable::{self, Step};

pub const RECEIPTS_MAX: usize = 1_000;
/// A checkpoint has at most 2 KiB (see `message::Ack`), and the rest is short.
const RECEIPT_MAX_BYTES: u64 = 16 * 1024;
const ENDING: &str = ".json";

/// One incident that a host keeps. These are the fields of the file and of `sudare receipts --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// 32 hexadecimal digits.
    pub incident: String,
    pub host: String,
    /// Public key of the organisation, 64 hexadecimal digits.
    pub organisation: String,
    /// Stable name of a reason.
    pub reason: String,
    /// Unix time at which the pictures were sealed, and at which the receipt arrived.
    pub sealed_ms: u64,
    pub received_ms: u64,
    /// Place in the host's log.
    pub leaf_index: u64,
    /// The signed note of a checkpoint that covers it.
    pub checkpoint: String,
}

impl Receipt {
    pub(crate) fn new(ack: &Ack, host: &HostKey, reason: Reason, sealed_ms: u64, received_ms: u64) -> Self {
        Receipt {
            incident: hex(&ack.incident_id),
            host: host.host_id.clone(),
            organisation: hex(&host.organisation),
            reason: reason.as_str().to_owned(),
            sealed_ms,
            received_ms,
            leaf_index: ack.leaf_index,
            checkpoint: ack.checkpoint.clone(),
        }
    }

    fn file_name(&self) -> String {
        format!("{:016x}-{}{ENDING}", self.received_ms, self.incident)
    }
}

/// All receipts of this device's user.
#[derive(Debug, Clone)]
pub struct Receipts {
    folder: PathBuf,
}

/// Receipts, newest first, and how many files cannot be read.
#[derive(Debug, Default)]
pub struct Listed {
    pub receipts: Vec<Receipt>,
    pub unreadable: usize,
}

impl Receipts {
    pub fn at(home: &Path) -> Self {
        Receipts { folder: home.join("receipts") }
    }

    /// # Errors
    /// The folder exists but cannot be read.
    pub fn list(&self) -> io::Result<Listed> {
        let mut listed = Listed::default();
        for name in self.names()?.iter().rev() {
            match read(&self.folder.join(name)) {
                Ok(receipt) => listed.receipts.push(receipt),
                Err(_) => listed.unreadable += 1,
            }
        }
        Ok(listed)
    }

    pub(crate) fn has(&self, incident_id: &Id) -> bool {
        let ending = format!("-{}{ENDING}", hex(incident_id));
        self.names().unwrap_or_default().iter().any(|name| name.ends_with(&ending))
    }

    /// The steps that store a receipt durably.
    pub(crate) fn put_steps(&self, receipt: &Receipt) -> io::Result<Vec<Step>> {
        durable::create_folder(&self.folder)?;
        let json = serde_json::to_vec_pretty(receipt)?;
        Ok(durable::put(&self.folder.join(receipt.file_name()), json))
    }

    /// Removes the oldest.
    pub(crate) fn trim(&self) {
        let names = self.names().unwrap_or_default();
        for name in names.iter().rev().skip(RECEIPTS_MAX) {
            if let Err(error) = fs::remove_file(self.folder.join(name)) {
                tracing::warn!(%error, "an old receipt cannot be removed");
            }
        }
    }

    /// Oldest first.
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.take(4 * RECEIPTS_MAX).filter_map(|e| e.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(ENDING)).collect();
        names.sort_unstable();
        Ok(names)
    }
}

fn read(path: &Path) -> io::Result<Receipt> {
    let mut json = Vec::new();
    File::open(path)?.take(RECEIPT_MAX_BYTES).read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(n: u8) -> Receipt {
        let ack = Ack {
            incident_id: [n; 16],
            leaf_index: u64::from(n),
            checkpoint: "note\n".into(),
            entry: None,
            proof: None,
        };
        let host = HostKey { organisation: [1; 32], host_id: "vdi-1".into() };
        Receipt::new(&ack, &host, Reason::Onlooker, 5, 1_000 + u64::from(n))
    }

    #[test]
    fn receipts_are_listed_newest_first_and_a_broken_one_is_counted() {
        let home = tempfile::tempdir().unwrap();
        let receipts = Receipts::at(home.path());
        assert!(receipts.list().unwrap().receipts.is_empty());
        for n in [1, 3, 2] {
            durable::run(&receipts.put_steps(&receipt(n)).unwrap()).unwrap();
        }
        fs::write(home.path().join("receipts/0-x.json"), b"{").unwrap();
        let listed = receipts.list().unwrap();
        assert_eq!((listed.receipts, listed.unreadable), (vec![receipt(3), receipt(2), receipt(1)], 1));
        assert!(receipts.has(&[2; 16]) && !receipts.has(&[4; 16]));
    }

    #[test]
    fn only_so_many_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let receipts = Receipts::at(home.path());
        let folder = home.path().join("receipts");
        fs::create_dir(&folder).unwrap();
        for n in 0..RECEIPTS_MAX + 3 {
            fs::write(folder.join(format!("{n:016x}-x.json")), b"{}").unwrap();
        }
        receipts.trim();
        let names = receipts.names().unwrap();
        assert_eq!((names.len(), names[0].as_str()), (RECEIPTS_MAX, "0000000000000003-x.json"));
    }
}
