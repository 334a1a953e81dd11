//! The files of an export in memory: written to a zip, and read back from one within bounds.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sudare_evidence::store::disk::open_regular;
use sudare_protocol::evidence::Id;
use sudare_protocol::hex::hex;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::error::ExportError;
use super::litter;

/// Files of one export.
pub const FILES_MAX: usize = 1200;
/// Bytes of all files of one export, unpacked.
pub const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Files that are in every export.
pub const ALWAYS: [&str; 6] = ["README.txt", "checkpoint", LIST, "index.html", "proof.json", "verify.py"];
/// The list of all other files.
pub const LIST: &str = "files.sha256";

/// Names and contents. Nothing is ever unpacked to the disk, so no name can lead outside a folder.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
    extra: Vec<String>,
    /// Who opened which picture while this export was made; not part of it.
    viewers: BTreeMap<Id, String>,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle({} files)", self.files.len())
    }
}

impl Bundle {
    /// Adds or replaces a file.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes);
    }

    /// Remembers which age recipient opened a picture.
    pub(super) fn opened_by(&mut self, picture: Id, viewer: String) {
        self.viewers.insert(picture, viewer);
    }

    /// The age recipient that opened a picture while this export was made.
    pub fn viewer(&self, picture: &Id) -> Option<&str> {
        self.viewers.get(picture).map(String::as_str)
    }

    /// A file's bytes.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// What [`LIST`] must contain.
    pub fn list(&self) -> String {
        let listed = self.files.iter().filter(|(name, _)| *name != LIST);
        listed.map(|(name, bytes)| format!("{}  {name}\n", hex(&Sha256::digest(bytes)))).collect()
    }

    /// Writes a new private file; an existing one is not replaced.
    pub fn write(&self, path: &Path) -> Result<(), ExportError> {
        let failed = |source| ExportError::File { path: path.to_owned(), action: "written", source };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let written = self.zip(&file).and_then(|()| file.sync_all());
        if let Err(source) = written {
            // Half a zip would look like a damaged one.
            drop(fs::remove_file(path));
            return Err(failed(source));
        }
        Ok(())
    }

    fn zip(&self, file: impl Write + Seek) -> std::io::Result<()> {
        let mut zip = ZipWriter::new(file);
        for (name, bytes) in &self.files {
            // age files and pictures do not compress.
            let packed = name.starts_with("sealed/") || name.starts_with("opened/");
            let method = if packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method))?;
            zip.write_all(bytes)?;
        }
        zip.finish().map(|_| ()).map_err(std::io::Error::from)
    }

    /// Files that lie beside those of the export, which systems and file managers leave. None of them was read.
    pub fn extra(&self) -> &[String] {
        &self.extra
    }

    /// Reads an export from an untrusted source: the zip, one that was made again from its files, or their folder.
    pub fn read(path: &Path) -> Result<Self, ExportError> {
        let about = fs::metadata(path).map_err(unreadable(path))?;
        if about.is_dir() {
            return Self::read_folder(path);
        }
        if !about.is_file() {
            return Err(refused("it is neither a file nor a folder"));
        }
        let file = File::open(path).map_err(unreadable(path))?;
        let mut zip =
            ZipArchive::new(file).map_err(|e| ExportError::Refused(format!("it is not a zip: {e}")))?;
        if zip.len() > litter::MEMBERS_MAX {
            return Err(refused(TOO_MANY));
        }
        let names = (0..zip.len()).map(|at| (zip.name_for_index(at).unwrap_or_default().to_owned(), at));
        let (ours, extra) = litter::sort(names.collect());
        let mut bundle = Self { extra, ..Self::default() };
        let mut left = BYTES_MAX;
        for (name, at) in ours {
            bundle.check_name(&name)?;
            let member = zip.by_index(at).map_err(|e| ExportError::Refused(format!("file {at}: {e}")))?;
            bundle.take(name, member, &mut left)?;
        }
        Ok(bundle)
    }

    fn read_folder(path: &Path) -> Result<Self, ExportError> {
        let (ours, extra) = litter::sort(litter::files(path)?);
        let mut bundle = Self { extra, ..Self::default() };
        let mut left = BYTES_MAX;
        for (name, file) in ours {
            bundle.check_name(&name)?;
            let opened = open_regular(&file).map_err(unreadable(&file))?;
            bundle.take(name, opened, &mut left)?;
        }
        Ok(bundle)
    }

    /// Zip libraries differ in which of two members of the same name they read.
    fn check_name(&self, name: &str) -> Result<(), ExportError> {
        if self.files.len() >= FILES_MAX {
            return Err(refused(TOO_MANY));
        }
        if is_ours(name) && !self.files.contains_key(name) {
            return Ok(());
        }
        let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
        Err(ExportError::Refused(format!("it holds `{shown}`, which no export has")))
    }

    fn take(&mut self, name: String, file: impl Read, left: &mut u64) -> Result<(), ExportError> {
        let mut bytes = Vec::new();
        let read = file.take(left.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| ExportError::Refused(format!("{name}: {e}")))?;
        *left =
            left.checked_sub(bytes.len() as u64).ok_or_else(|| refused("it is larger than any export"))?;
        self.files.insert(name, bytes);
        Ok(())
    }
}

const TOO_MANY: &str = "it holds more files than any export";

pub(super) fn refused(why: &str) -> ExportError {
    ExportError::Refused(why.to_owned())
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> ExportError {
    move |source| ExportError::File { path: path.to_owned(), action: "read", source }
}

/// Whether an export may hold a file of this name.
fn is_ours(name: &str) -> bool {
    let digits =
        |text: &str, max| (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let entry = |name: &str| name.strip_suffix(".cose").is_some_and(|number| digits(number, 20));
    let sealed = |name: &str| {
        let id = name.strip_suffix(".age");
        id.is_some_and(|id| id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    let opened = |name: &str| {
        let parts = name.rsplit_once('.').and_then(|(stem, end)| Some((stem.split_once('-')?, end)));
        parts.is_some_and(|((number, label), end)| {
            let plain = label.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            digits(number, 2)
                && plain
                && (1..=40).contains(&label.len())
                && ["jpg", "png", "bin"].contains(&end)
        })
    };
    match name.split_once('/') {
        None => ALWAYS.contains(&name),
        Some(("entries", name)) => entry(name),
        Some(("sealed", name)) => sealed(name),
        Some(("opened", name)) => opened(name),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fixed_and_lead_nowhere() {
        let id = "0af".repeat(10) + "bb";
        for name in ["proof.json", "entries/0.cose", &format!("sealed/{id}.age"), "opened/12-camera-at.jpg"] {
            assert!(is_ours(name), "{name}");
        }
        for name in [
            "",
            "/checkpoint",
            "../checkpoint",
            "entries/../checkpoint",
            "entries/.cose",
            "entries/1.cose/x",
            "entries/123456789012345678901.cose",
            "sealed/..age",
            "opened/1-.jpg",
            "opened/1-a/../b.jpg",
            "opened/100-camera-at.jpg",
            "opened/1-camera-at.exe",
            "opened\\1-a.jpg",
            "other/1",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn a_zip_gives_back_its_files_and_a_foreign_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut bundle = Bundle::default();
        bundle.put("checkpoint", b"note".to_vec());
        bundle.put("entries/7.cose", vec![7; 500]);
        let path = dir.path().join("a.zip");
        bundle.write(&path).unwrap();
        assert_eq!(Bundle::read(&path).unwrap(), bundle);
        assert!(bundle.write(&path).is_err(), "nothing is overwritten");
        bundle.put("../evil", vec![]);
        let path = dir.path().join("b.zip");
        bundle.write(&path).unwrap();
        assert!(matches!(Bundle::read(&path), Err(ExportError::Refused(_))));
        fs::write(&path, b"PK no zip").unwrap();
        assert!(matches!(Bundle::read(&path), Err(ExportError::Refused(_))));
    }
}
