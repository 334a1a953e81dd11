//! Pictures on their way into the store, counted for the device they come from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sudare_protocol::evidence::Id;

use super::NewBlob;
use super::quota::Quota;
use crate::clock;
use crate::store::disk::read_bounded;
use crate::store::{BlobStore, Durable, OsDisk, StoreError};

/// Name of the file that carries the day's quota over a restart.
pub const QUOTA_FILE: &str = "quota";
const QUOTA_MAX_BYTES: usize = 1 << 20;

/// Where pictures are put. Each thread has one; all of a store share the quota.
#[derive(Debug)]
pub struct Shelf {
    durable: Durable<OsDisk>,
    blobs: BlobStore,
    quota: Arc<Mutex<Quota>>,
    file: PathBuf,
}

impl Shelf {
    /// Reads how much of the day's quota is used; an unreadable file counts as nothing used.
    pub fn open(store: &Path) -> Self {
        let file = store.join(QUOTA_FILE);
        let text = read_bounded(&file, QUOTA_MAX_BYTES).unwrap_or_default();
        let quota = Quota::from_text(&String::from_utf8_lossy(&text)).unwrap_or_default();
        Shelf {
            durable: Durable::new(OsDisk, store),
            blobs: BlobStore::new(store),
            quota: Arc::new(Mutex::new(quota)),
            file,
        }
    }

    /// For another thread.
    pub fn share(&self, store: &Path) -> Self {
        Shelf {
            durable: Durable::new(OsDisk, store),
            blobs: self.blobs.clone(),
            quota: self.quota.clone(),
            file: self.file.clone(),
        }
    }

    /// Stores a picture durably. What is stored already counts once.
    pub fn put(&mut self, new: &NewBlob) -> Result<(), StoreError> {
        if self.blobs.holds(self.durable.disk(), &new.blob) {
            // Written again all the same: the first time may not have reached the disk.
            return self.blobs.put(&mut self.durable, &new.blob, &new.bytes);
        }
        if let Some(device) = &new.device {
            self.count(|quota| quota.take(device, new.blob.size, clock::wall_ms()))
                .map_err(|_| StoreError::Quota)?;
        }
        let stored = self.blobs.put(&mut self.durable, &new.blob, &new.bytes);
        if let (Err(_), Some(device)) = (&stored, &new.device) {
            self.count(|quota| quota.give_back(device, new.blob.size));
        }
        stored
    }

    /// Whether this device may store another incident today.
    pub fn has_room(&self, device: &Id) -> bool {
        let quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        quota.has_room(device, clock::wall_ms())
    }

    /// Changes the quota, and notes it without waiting for the disk: after a power cut some of a day may
    /// be forgotten, which costs space and no evidence.
    fn count<T>(&self, change: impl FnOnce(&mut Quota) -> T) -> T {
        // Whole after every statement, so a panicked holder leaves nothing half done.
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut quota);
        let temporary = self.file.with_extension("tmp");
        let noted = std::fs::write(&temporary, quota.to_text())
            .and_then(|()| std::fs::rename(&temporary, &self.file));
        if let Err(error) = noted {
            tracing::warn!(%error, "the day's quota cannot be noted");
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_protocol::evidence::BlobRef;
    use sudare_protocol::limits::DEVICE_DAY_MAX_BYTES;
    use sudare_protocol::seal::{Identity, Recipients, seal};

    fn blob(id: u8) -> NewBlob {
        let auditors = [Identity::generate().recipient(), Identity::generate().recipient()];
        let sealed = seal(&[id; 100], &[id; 32], &Recipients::parse(&auditors).unwrap()).unwrap();
        let blob = BlobRef {
            blob_id: [id; 16],
            label: 0,
            media: 0,
            sha256: sealed.ciphertext_sha256,
            size: sealed.ciphertext.len() as u64,
            commitment: sealed.commitment,
            header_size: None,
        };
        NewBlob { blob, device: Some([7; 16]), bytes: sealed.ciphertext }
    }

    #[test]
    fn the_same_picture_counts_once_and_another_under_its_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(dir.path());
        let new = blob(1);
        shelf.put(&new).unwrap();
        let used = shelf.quota.lock().unwrap().clone();
        shelf.put(&new).unwrap();
        assert_eq!(*shelf.quota.lock().unwrap(), used);
        let other = NewBlob { blob: BlobRef { blob_id: [1; 16], ..blob(2).blob }, ..blob(2) };
        assert!(matches!(shelf.put(&other), Err(StoreError::BlobExists(_) | StoreError::BlobDiffers(_))));
    }

    #[test]
    fn a_device_that_has_had_its_day_is_refused_and_a_restart_does_not_help() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(dir.path());
        shelf.count(|quota| quota.take(&[7; 16], DEVICE_DAY_MAX_BYTES, clock::wall_ms())).unwrap();
        let mut shelf = Shelf::open(dir.path());
        assert!(matches!(shelf.put(&blob(1)), Err(StoreError::Quota)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "only the quota's file");
        assert!(shelf.put(&NewBlob { device: Some([8; 16]), ..blob(1) }).is_ok());
    }
}
