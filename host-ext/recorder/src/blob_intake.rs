//! Takes pictures into the store, and charges pictures and entries to the daily quota of their device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sudare_base::{clock, files};
use sudare_evidence::report::NewBlob;
use sudare_evidence::report::wire::{NewEntry, Recorded};
use sudare_evidence::store::disk::read_bounded;
use sudare_evidence::store::{BlobStore, Durable, OsDisk, StoreError};
use sudare_protocol::evidence::Id;

use crate::accounting::Accounting;
use crate::quota::Quota;

/// Name of the file that keeps the quotas over a restart.
pub const QUOTA_FILE: &str = "quota";
const QUOTA_MAX_BYTES: usize = 1 << 20;
/// Overhead of a picture's two files: many small pictures must not fill the store either.
const PICTURE_BYTES: u64 = 8 * 1024;
/// A picture that is stored already costs next to nothing: clients resend what was not acknowledged.
const AGAIN_BYTES: u64 = 512;
/// The quota file is written after this many bytes of entries.
const WRITE_EVERY_BYTES: u64 = 64 * 1024;

/// The way into the store. Each thread has one; all of a store share the quota.
#[derive(Debug)]
pub struct BlobIntake {
    durable: Durable<OsDisk>,
    blobs: BlobStore,
    quota: Arc<Mutex<Quota>>,
    file: PathBuf,
    accounting: Accounting,
    /// Charged, and not in the quota file yet.
    unwritten_bytes: u64,
}

/// What entries that are about to be recorded cost each device.
#[derive(Debug)]
pub struct Bill(BTreeMap<Id, u64>);

impl BlobIntake {
    /// Reads how much of each quota is used; an unreadable file counts as nothing used.
    pub fn open(store: &Path) -> Self {
        let file = store.join(QUOTA_FILE);
        let text = read_bounded(&file, QUOTA_MAX_BYTES).unwrap_or_default();
        let quota = Quota::from_text(&String::from_utf8_lossy(&text)).unwrap_or_default();
        BlobIntake {
            durable: Durable::new(OsDisk, store),
            blobs: BlobStore::new(store),
            quota: Arc::new(Mutex::new(quota)),
            file,
            accounting: Accounting::default(),
            unwritten_bytes: 0,
        }
    }

    /// For another thread.
    pub fn share(&self, store: &Path) -> Self {
        BlobIntake {
            durable: Durable::new(OsDisk, store),
            blobs: self.blobs.clone(),
            quota: self.quota.clone(),
            file: self.file.clone(),
            accounting: Accounting::default(),
            unwritten_bytes: 0,
        }
    }

    /// Stores a picture durably. One that is stored already, or was erased, costs next to nothing.
    pub fn put(&mut self, new: &NewBlob) -> Result<(), StoreError> {
        // It is written again all the same: the first time may not have reached the disk.
        let is_there = self.blobs.knows(self.durable.disk(), &new.blob);
        let bytes = if is_there { AGAIN_BYTES } else { new.blob.size.saturating_add(PICTURE_BYTES) };
        if let Some(device) = &new.device {
            self.change(|quota| quota.take(device, bytes, clock::wall_ms()))
                .map_err(|_| StoreError::Quota)?;
        }
        let stored = self.blobs.put(&mut self.durable, &new.blob, &new.bytes);
        if let (Err(_), Some(device)) = (&stored, &new.device) {
            self.change(|quota| quota.give_back(device, bytes));
        }
        stored
    }

    /// What these entries will cost once they are recorded.
    pub fn bill(&mut self, entries: &[NewEntry]) -> Bill {
        Bill(self.accounting.bill(entries))
    }

    /// Charges entries that were recorded under the numbers from `serial` on, unless they had been recorded before.
    pub fn charge(&mut self, bill: &Bill, serial: u64, recorded: &Recorded) {
        if recorded.last_serial < serial || bill.0.is_empty() {
            return;
        }
        self.unwritten_bytes = self.unwritten_bytes.saturating_add(bill.0.values().sum());
        let charge =
            |quota: &mut Quota| bill.0.iter().for_each(|(id, n)| quota.charge(id, *n, clock::wall_ms()));
        if self.unwritten_bytes >= WRITE_EVERY_BYTES {
            self.unwritten_bytes = 0;
            self.change(charge);
        } else {
            charge(&mut self.quota.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Whether this device may store another incident today.
    pub fn has_room(&self, device: &Id) -> bool {
        let quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        quota.has_room(device, clock::wall_ms())
    }

    /// Changes the quota and writes its file without waiting for the disk: a power cut may undo some charges of the
    /// day, which costs space and no evidence.
    fn change<T>(&self, change: impl FnOnce(&mut Quota) -> T) -> T {
        // Whole after every statement, so a panicked holder leaves nothing half done.
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut quota);
        let written = files::replace_unsynced(&self.file, quota.to_text().as_bytes());
        if let Err(error) = written {
            tracing::warn!(%error, "the quota file cannot be written");
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::tests::{device, message, start};
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
    fn the_same_picture_costs_next_to_nothing_and_another_under_its_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut intake = BlobIntake::open(dir.path());
        let new = blob(1);
        intake.put(&new).unwrap();
        let used = used_by(&intake, [7; 16]);
        assert_eq!(used, new.blob.size + PICTURE_BYTES);
        intake.put(&new).unwrap();
        assert_eq!(used_by(&intake, [7; 16]) - used, AGAIN_BYTES);
        let other = NewBlob { blob: BlobRef { blob_id: [1; 16], ..blob(2).blob }, ..blob(2) };
        assert!(matches!(intake.put(&other), Err(StoreError::BlobExists(_) | StoreError::BlobDiffers(_))));
    }

    fn used_by(intake: &BlobIntake, device: Id) -> u64 {
        let left =
            |used: u64| intake.quota.lock().unwrap().clone().take(&device, used, clock::wall_ms()).is_ok();
        // By bisection: the quota answers only yes or no.
        let (mut fits, mut too_much) = (0, DEVICE_DAY_MAX_BYTES + 1);
        while too_much - fits > 1 {
            let middle = fits.midpoint(too_much);
            if left(middle) { fits = middle } else { too_much = middle }
        }
        DEVICE_DAY_MAX_BYTES - fits
    }

    fn recorded(last_serial: u64) -> Recorded {
        Recorded { leaf_index: 0, last_serial, receipt: None }
    }

    #[test]
    fn entries_use_up_the_day_also_over_a_restart_and_what_was_not_recorded_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut intake = BlobIntake::open(dir.path());
        let of_device = |id: u8| NewBlob { device: Some(device()), ..blob(id) };
        let begun = intake.bill(&[start([1; 16])]);
        intake.charge(&begun, 1, &recorded(1));
        let long = vec![message([1; 16], 60_000); 64];
        for _ in 0..60 {
            // Reported before, or for an incident that was complete: nothing was recorded.
            let bill = intake.bill(&long);
            intake.charge(&bill, 2, &recorded(1));
        }
        intake.put(&of_device(1)).unwrap();
        for _ in 0..60 {
            let bill = intake.bill(&long);
            intake.charge(&bill, 2, &recorded(65));
        }
        assert!(matches!(intake.put(&of_device(2)), Err(StoreError::Quota)));
        assert!(matches!(intake.put(&of_device(1)), Err(StoreError::Quota)), "nor again: its entries cost");
        assert!(matches!(BlobIntake::open(dir.path()).put(&of_device(2)), Err(StoreError::Quota)));
        intake.put(&blob(2)).unwrap();
    }

    #[test]
    fn a_device_whose_quota_is_used_up_is_refused_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let intake = BlobIntake::open(dir.path());
        intake.change(|quota| quota.take(&[7; 16], DEVICE_DAY_MAX_BYTES, clock::wall_ms())).unwrap();
        let mut intake = BlobIntake::open(dir.path());
        assert!(matches!(intake.put(&blob(1)), Err(StoreError::Quota)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "only the quota's file");
        assert!(intake.put(&NewBlob { device: Some([8; 16]), ..blob(1) }).is_ok());
    }
}
