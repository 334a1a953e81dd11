//! The two numbers that are kept about how well the operator's looks still fit the template: see
//! [`sudare_client_core::face::drift`]. A file that is missing or damaged counts as none, and the next session that is
//! judged writes it anew.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sudare_client_core::face::drift::{Drift, Stored};
use sudare_vision::Vision;

use crate::durable;

const MAX_BYTES: u64 = 64;

/// Watches one session's looks at the operator.
#[derive(Debug)]
pub(crate) struct DriftWatch {
    path: PathBuf,
    /// Templates from before there was such a number have none.
    drift: Option<Drift>,
}

impl DriftWatch {
    pub(crate) fn new(home: &Path, self_cosine: Option<u16>) -> Self {
        let path = path(home);
        let drift = self_cosine.map(|own| Drift::new(own, load(&path)));
        DriftWatch { path, drift }
    }

    /// Takes the newest looks. Returns true at most once: when the operator should enrol again.
    pub(crate) fn take(&mut self, vision: &mut Vision) -> bool {
        let looks = vision.take_own_looks();
        self.note(&looks)
    }

    fn note(&mut self, looks: &[f32]) -> bool {
        let Some(drift) = &mut self.drift else { return false };
        let Some(judged) = looks.iter().find_map(|cosine| drift.look(*cosine)) else { return false };
        if let Err(error) = durable::write(&self.path, judged.stored.to_text().as_bytes()) {
            tracing::warn!(%error, "how well the looks fit the template could not be kept");
        }
        judged.enrol_again
    }
}

/// Forgets what sessions with an earlier template left.
pub fn forget(home: &Path) {
    if let Err(error) = durable::run(&durable::remove(&path(home))) {
        tracing::debug!(%error, "there was nothing to forget");
    }
}

fn path(home: &Path) -> PathBuf {
    home.join("drift")
}

fn load(path: &Path) -> Stored {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.ok().and_then(|_| Stored::from_text(&text)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    use sudare_client_core::face::drift::LOOKS;

    /// A session of such looks: whether the operator was told.
    fn session(home: &Path, cosine: f32) -> bool {
        let mut watch = DriftWatch::new(home, Some(750));
        let told = (0..LOOKS + 10).filter(|_| watch.note(&[cosine])).count();
        assert!(told <= 1);
        told == 1
    }

    #[test]
    fn two_low_sessions_are_told_and_two_numbers_are_all_that_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        assert_eq!([session(home, 0.61), session(home, 0.61), session(home, 0.72)], [false, true, false]);
        let kept = std::fs::read_to_string(path(home)).unwrap();
        assert_eq!(kept, "sudare drift 1\n0.720 0\n");
        assert_eq!(std::fs::metadata(path(home)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(home).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_starts_over_and_a_new_template_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        for damaged in [&b"sudare drift 1\n0.6"[..], b"\xff\xfe\x00", &[b'x'; 4096], b""] {
            std::fs::write(path(home), damaged).unwrap();
            assert_eq!([session(home, 0.61), session(home, 0.61)], [false, true]);
        }
        forget(home);
        forget(home);
        assert!(!session(home, 0.61));
        // A template without the number, and looks that are no numbers.
        assert!(!DriftWatch::new(home, None).note(&[0.1; 500]));
        assert!(!session(home, f32::NAN));
    }

    #[test]
    fn a_folder_that_cannot_be_written_disturbs_nobody() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!session(&dir.path().join("not there"), 0.61));
    }
}
