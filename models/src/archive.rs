//! Taking files out of the archives of the package registry.
//!
//! The archive itself has been hashed before, so these bounds guard against our own mistakes in
//! the manifest as much as against the archive's author.

use std::io::{self, Cursor, Read as _};
use std::path::Path;

use flate2::read::GzDecoder;
use zip::ZipArchive;

use crate::bounded;

/// An sdist that unpacks to more than this is not read to its end.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;

/// Reads one member of a wheel (a zip file), of at most `bytes_max` bytes.
pub(crate) fn wheel_member(wheel: &[u8], member: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(wheel)).map_err(io::Error::from)?;
    let file = archive.by_name(member).map_err(io::Error::from)?;
    let size = file.size();
    bounded::read(file, size, bytes_max)
}

/// Reads the regular files directly in `folder` of an sdist (a gzipped tar file) for which
/// `wanted` names a size limit. The names returned are plain file names.
pub(crate) fn sdist_files(
    sdist: &[u8],
    folder: &str,
    wanted: impl Fn(&str) -> Option<u64>,
) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut archive = tar::Archive::new(GzDecoder::new(sdist).take(UNPACKED_BYTES_MAX));
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        if !entry.header().entry_type().is_file() || path.parent() != Some(Path::new(folder)) {
            continue;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some(bytes_max) = wanted(name) {
            let size = entry.size();
            files.push((name.to_owned(), bounded::read(entry, size, bytes_max)?));
        }
    }
    Ok(files)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    /// A wheel with these members.
    pub(crate) fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in members {
            writer.start_file(*path, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// An sdist with these members.
    pub(crate) fn sdist(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (path, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *content).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_member_is_read() {
        let wheel = wheel(&[("a/b.onnx", b"model")]);
        assert_eq!(wheel_member(&wheel, "a/b.onnx", 5).unwrap(), b"model");
        assert!(wheel_member(&wheel, "a/c.onnx", 5).is_err());
    }

    #[test]
    fn a_member_that_swells_is_cut_short() {
        let bomb = wheel(&[("bomb", &vec![0; 8 << 20])]);
        assert!(bomb.len() < 16 << 10, "it should be small while packed");
        let error = wheel_member(&bomb, "bomb", 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_member_that_lies_about_its_size_is_cut_short() {
        let mut bomb = wheel(&[("bomb", &vec![0; 1 << 20])]);
        // The uncompressed size in the local header (offset 22) and in the central directory (24).
        let central = bomb.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        for at in [22, central + 24] {
            bomb[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
        }
        assert!(wheel_member(&bomb, "bomb", 1000).is_err());
    }

    #[test]
    fn every_truncated_wheel_is_an_error() {
        let wheel = wheel(&[("m", b"0123456789")]);
        for end in 0..wheel.len() {
            assert!(wheel_member(&wheel[..end], "m", 10).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn only_wanted_files_of_the_folder_are_taken() {
        let sdist =
            sdist(&[("p/t/a.jpg", b"a"), ("p/t/b.png", b"b"), ("p/t/x/c.jpg", b"c"), ("p/d.jpg", b"d")]);
        let files = sdist_files(&sdist, "p/t", |name| name.ends_with(".jpg").then_some(1)).unwrap();
        assert_eq!(files, [("a.jpg".to_owned(), b"a".to_vec())]);
        assert!(sdist_files(&sdist[..sdist.len() / 2], "p/t", |_| Some(1)).is_err());
        assert!(sdist_files(&sdist, "p/t", |_| Some(0)).is_err());
    }
}
