//! How often a user name may be tried.
//!
//! Each connection is a process of its own, so what they know together is in a small file, which is gone after a
//! restart of the machine. An attempt counts as failed from its begin on, so that many at once are no way around.
//! Names share places in the file by their hash; names that nobody has are counted like all others.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use sudare_base::clock;

use crate::server::Admission;

/// So many are free.
pub const FREE: u32 = 5;
/// The next one waits this long, and each after it twice as long.
pub const WAIT_MS: u64 = 10_000;
/// But never longer.
pub const WAIT_MAX_MS: u64 = 600_000;
/// After so long without an attempt a name begins anew.
pub const FORGET_MS: u64 = 3_600_000;
/// Places for names.
const PLACES: u64 = 4096;
const PLACE_BYTES: usize = 16;
const PLACE_STEP: u64 = 16;

/// Why attempts cannot be counted.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed log-ons cannot be counted in {path}: {source}. Make its folder, which must belong to the gate's account, \
     or correct `gate_nla_attempts`"
)]
pub struct AttemptsError {
    path: PathBuf,
    source: io::Error,
}

/// What is known of one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    failed: u32,
    last_ms: u64,
}

impl Place {
    /// From when on it may be tried again.
    fn free_at_ms(self) -> u64 {
        let Some(over) = self.failed.checked_sub(FREE) else { return 0 };
        let wait = 1_u64.checked_shl(over).map_or(WAIT_MAX_MS, |times| times.saturating_mul(WAIT_MS));
        self.last_ms.saturating_add(wait.min(WAIT_MAX_MS))
    }

    /// One more. None: not yet.
    fn tried(self, now_ms: u64) -> Option<Self> {
        let forgotten = now_ms.saturating_sub(self.last_ms) >= FORGET_MS || self.last_ms > now_ms;
        let place = if forgotten { Self::default() } else { self };
        (now_ms >= place.free_at_ms())
            .then(|| Self { failed: place.failed.saturating_add(1), last_ms: now_ms })
    }

    fn read(bytes: [u8; PLACE_BYTES]) -> Self {
        let [a, b, c, d, _, _, _, _, last @ ..] = bytes;
        Self { failed: u32::from_le_bytes([a, b, c, d]), last_ms: u64::from_le_bytes(last) }
    }

    fn write(self) -> [u8; PLACE_BYTES] {
        let ([a, b, c, d], [e, f, g, h, i, j, k, l]) =
            (self.failed.to_le_bytes(), self.last_ms.to_le_bytes());
        [a, b, c, d, 0, 0, 0, 0, e, f, g, h, i, j, k, l]
    }
}

/// The file.
#[derive(Debug)]
pub struct Attempts {
    file: File,
    now_ms: fn() -> u64,
}

impl Attempts {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// If neither can be done: nobody logs on then.
    pub fn open(path: &Path) -> Result<Self, AttemptsError> {
        let open = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            // Whole from the start, so that a lost write of a full disk is noticed here.
            file.set_len(PLACES.saturating_mul(PLACE_STEP))?;
            Ok(file)
        };
        let file = open().map_err(|source| AttemptsError { path: path.to_owned(), source })?;
        Ok(Self { file, now_ms: clock::boot_ms })
    }

    fn change(&self, name: &str, change: impl FnOnce(Place) -> Option<Place>) -> io::Result<bool> {
        let hash = Sha256::digest(name.to_lowercase().as_bytes());
        let [a, b, ..]: [u8; 32] = hash.into();
        let at = u64::from(u16::from_le_bytes([a, b])) % PLACES * PLACE_STEP;
        self.file.lock()?;
        let changed = || {
            let mut bytes = [0; PLACE_BYTES];
            self.file.read_exact_at(&mut bytes, at)?;
            match change(Place::read(bytes)) {
                Some(place) => self.file.write_all_at(&place.write(), at).map(|()| true),
                None => Ok(false),
            }
        };
        let result = changed();
        self.file.unlock()?;
        result
    }
}

impl Admission for Attempts {
    fn admit(&mut self, name: &str) -> bool {
        let now_ms = (self.now_ms)();
        // What cannot be counted is not tried.
        self.change(name, |place| place.tried(now_ms)).unwrap_or(false)
    }

    fn succeeded(&mut self, name: &str) {
        // If it fails, the next ones wait too long.
        self.change(name, |_| Some(Place::default())).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_become_longer_and_end_with_success_or_an_hour() {
        let mut place = Place::default();
        let mut now_ms = 5_000;
        for _ in 0..FREE {
            place = place.tried(now_ms).unwrap();
        }
        for wait in [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000] {
            assert_eq!(place.tried(now_ms + wait - 1), None, "{wait}");
            now_ms += wait;
            place = place.tried(now_ms).unwrap();
        }
        assert_eq!(place.tried(now_ms + FORGET_MS).map(|place| place.failed), Some(1));
        assert_eq!(Place::read(place.write()), place);
        let endless = Place { failed: u32::MAX, last_ms: 7 };
        assert_eq!(endless.free_at_ms(), 7 + WAIT_MAX_MS);
    }

    #[test]
    fn processes_count_together_and_each_name_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attempts");
        let open = || Attempts { now_ms: || 1_000_000, ..Attempts::open(&path).unwrap() };
        for _ in 0..FREE {
            assert!(open().admit("Hanako"));
        }
        assert!(!open().admit("hanako") && open().admit("jiro"));
        open().succeeded("HANAKO");
        assert!(open().admit("hanako"));
        std::fs::write(&path, "").unwrap();
        let (kept, _emptied) = (open(), std::fs::write(&path, ""));
        assert!(!{ kept }.admit("saburo"), "what cannot be counted is not tried");
        let nowhere = Attempts::open(&dir.path().join("none/attempts")).unwrap_err().to_string();
        assert!(nowhere.contains("gate_nla_attempts"), "{nowhere}");
    }
}
