//! Evidence that no host has acknowledged yet: kept per host, across reconnects and restarts.
//!
//! ```text
//!  sealed ─► disk ─► ClientSession, its Spool ─┐ channel closed      ┌─► session of the next channel to that host
//!                                              └──────► Spools ──────┘
//!  a process that died ─► its folder ─► adopt ──────────────────────►┘
//!  Ack ─► receipt stored ─► file removed
//! ```
//! Evidence is sealed to the auditors of one host's policy, so it waits for that host alone. Without a writable disk
//! it is in memory only.

mod disk;
mod parcel;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sudare_client_core::spool::{HostKey, Spool, SpoolFull};
use sudare_protocol::client::Evidence;
use sudare_protocol::limits::SPOOL_MAX_BYTES;
use sudare_protocol::message::Ack;

use disk::Disk;
pub use disk::{DiskError, Waiting};

/// Evidence for hosts that are not connected; shared by all drivers of a process.
#[derive(Debug, Default)]
pub struct Spools {
    hosts: Mutex<BTreeMap<HostKey, Spool>>,
    /// Locked only by threads that may wait for a disk.
    disk: Mutex<Option<Disk>>,
}

/// Evidence waiting in a device's folder, whichever process put it there.
pub fn waiting(home: &Path) -> Waiting {
    disk::waiting(&home.join("spool"))
}

impl Spools {
    /// Uses `spool/` in the device's folder; `default` uses memory only.
    pub fn at(home: &Path) -> Self {
        Spools { hosts: Mutex::default(), disk: Mutex::new(Some(Disk::new(home))) }
    }

    /// Stores an incident durably, before it is sent. Waits for the disk.
    ///
    /// # Errors
    /// Why it is in the caller's memory only.
    pub fn store(&self, host: &HostKey, evidence: &Evidence) -> Result<(), DiskError> {
        self.with_disk(|disk| disk.store(host, evidence)).unwrap_or(Ok(()))
    }

    /// Takes over what dead processes left for this host, oldest first. Waits for the disk.
    ///
    /// # Errors
    /// Why nothing could be taken over.
    pub fn adopt(&self, host: &HostKey) -> Result<Vec<Evidence>, DiskError> {
        self.with_disk(|disk| disk.adopt(host)).unwrap_or(Ok(Vec::new()))
    }

    /// A host keeps an incident: stores its receipt, then removes its file. Waits for the disk.
    ///
    /// # Errors
    /// Why there is no receipt; the incident will be sent again after a restart.
    pub fn delivered(&self, ack: &Ack, wall_ms: u64) -> Result<(), DiskError> {
        self.with_disk(|disk| disk.delivered(ack, wall_ms)).unwrap_or(Ok(()))
    }

    /// The next `adopt` handles whatever a panicked holder left half done.
    fn with_disk<T>(&self, work: impl FnOnce(&mut Disk) -> T) -> Option<T> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(work)
    }

    /// Keeps what a channel left behind. All hosts together are limited to `SPOOL_MAX_BYTES`.
    pub fn put(&self, host: &HostKey, left: Spool) {
        let mut hosts = self.lock();
        for evidence in left {
            let kept: usize = hosts.values().map(Spool::bytes).sum();
            let fits = kept + evidence.bytes() <= SPOOL_MAX_BYTES;
            let pushed = if fits {
                hosts.entry(host.clone()).or_default().push(evidence).map(|_| ())
            } else {
                Err(SpoolFull)
            };
            if let Err(error) = pushed {
                tracing::error!("{error}");
            }
        }
    }

    /// Removes and returns what waits for this host.
    pub fn take(&self, host: &HostKey) -> Spool {
        self.lock().remove(host).unwrap_or_default()
    }

    /// Incidents that wait for any host.
    pub fn waiting(&self) -> usize {
        self.lock().values().map(Spool::len).sum()
    }

    /// The map is valid after every statement, so a panicked holder does no harm.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<HostKey, Spool>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sudare_protocol::client::chunk_digests;
    use sudare_protocol::message::{Manifest, Moment, Piece};
    use sudare_protocol::reason::Reason;

    pub(crate) fn evidence(id: u8, bytes: usize) -> Evidence {
        let picture = vec![id; bytes];
        let piece = Piece {
            blob_id: [id; 16],
            moment: Moment::At,
            size: bytes as u64,
            sha256: [id; 32],
            commitment: [id; 32],
            chunks: chunk_digests(&picture),
            boot_ms: 0,
            media: 0,
            header_size: None,
            pixelated: Some(true),
        };
        let manifest = Manifest {
            incident_id: [id; 16],
            reason: Reason::Stranger,
            pieces: vec![piece],
            policy_digest: [0; 32],
            decided_boot_ms: 0,
            wall_ms: u64::from(id),
            cosine_milli: None,
            basis: None,
        };
        Evidence { manifest, pieces: vec![picture] }
    }

    pub(crate) fn host(name: &str) -> HostKey {
        HostKey { organisation: [1; 32], host_id: name.to_owned() }
    }

    fn spool(ids: &[u8]) -> Spool {
        let mut spool = Spool::default();
        for id in ids {
            spool.push(evidence(*id, 10)).unwrap();
        }
        spool
    }

    #[test]
    fn evidence_waits_for_its_own_host_only() {
        let spools = Spools::default();
        spools.put(&host("a"), spool(&[1]));
        spools.put(&host("a"), spool(&[2]));
        assert!(spools.take(&host("b")).is_empty());
        let other = HostKey { organisation: [2; 32], ..host("a") };
        assert!(spools.take(&other).is_empty(), "a host of the same name elsewhere");
        let ids: Vec<u8> = spools.take(&host("a")).iter().map(|e| e.manifest.incident_id[0]).collect();
        assert_eq!((ids, spools.waiting()), (vec![1, 2], 0));
    }

    #[test]
    fn memory_is_bounded_over_all_hosts_and_the_oldest_stays() {
        let spools = Spools::default();
        let big = |id| {
            let mut spool = Spool::default();
            spool.push(evidence(id, SPOOL_MAX_BYTES / 2)).unwrap();
            spool
        };
        for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
            spools.put(&host(name), big(id));
        }
        assert_eq!(spools.waiting(), 2);
        assert!(spools.take(&host("c")).is_empty());
        let mut full = big(1);
        full.push(evidence(2, SPOOL_MAX_BYTES / 2)).unwrap();
        assert_eq!(full.push(evidence(3, 1)).err(), Some(SpoolFull));
        full.acknowledge(&[1; 16]);
        assert_eq!(full.len(), 1);
    }
}
