//! The sources that `--source` accepts.

use std::path::PathBuf;
use std::str::FromStr;

use sudare_protocol::message::CameraKind;

use super::{CameraFault, native};

/// Pictures a second at which a folder plays by default, and to which live sources are thinned.
pub const DEFAULT_FPS: u32 = 10;

/// A source, parsed from the text the user gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// `camera:N`: the N-th video device.
    Camera(u32),
    /// `mjpeg:PATH`: JPEGs one after the other, live, usually from a FIFO that `ffmpeg -f mjpeg` writes.
    Mjpeg(PathBuf),
    /// A folder of JPEG pictures, played in the order of their names.
    Folder(PathBuf),
    /// A Motion-JPEG AVI.
    Avi(PathBuf),
    /// Uncompressed YUV4MPEG2.
    Y4m(PathBuf),
}

impl SourceSpec {
    /// The kind of camera, for the record.
    #[must_use]
    pub fn kind(&self) -> CameraKind {
        match self {
            Self::Camera(index) if native::is_virtual(*index) => CameraKind::Virtual,
            Self::Camera(_) => CameraKind::Hardware,
            Self::Mjpeg(_) => CameraKind::Stream,
            Self::Folder(_) | Self::Avi(_) | Self::Y4m(_) => CameraKind::Film,
        }
    }
}

/// How a source is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// Folders: pictures a second ([`DEFAULT_FPS`] when `None`). Films: at most this many frames of each second are
    /// shown (all when `None`). Live sources ignore it.
    pub fps: Option<u32>,
}

impl FromStr for SourceSpec {
    type Err = CameraFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || CameraFault::NotASource { text: text.to_owned() };
        if let Some(number) = text.strip_prefix("camera:") {
            return number.parse().map(Self::Camera).map_err(|_| unknown());
        }
        if let Some(path) = text.strip_prefix("mjpeg:") {
            return if path.is_empty() { Err(unknown()) } else { Ok(Self::Mjpeg(path.into())) };
        }
        let path = PathBuf::from(text);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("avi") => Ok(Self::Avi(path)),
            Some("y4m") => Ok(Self::Y4m(path)),
            // A path that does not exist is the commoner mistake, and deserves the clearer sentence.
            _ if !text.is_empty() && !path.exists() && text.contains(['/', '\\']) => {
                Err(CameraFault::NotFound { what: text.to_owned(), advice: "Check the path".to_owned() })
            }
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_told_by_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let folder_text = folder.path().to_str().unwrap();
        assert_eq!("camera:3".parse(), Ok(SourceSpec::Camera(3)));
        assert_eq!("mjpeg:/run/feed".parse(), Ok(SourceSpec::Mjpeg("/run/feed".into())));
        assert_eq!(folder_text.parse(), Ok(SourceSpec::Folder(folder.path().into())));
        assert_eq!("a/b.AVI".parse(), Ok(SourceSpec::Avi("a/b.AVI".into())));
        assert_eq!("b.y4m".parse(), Ok(SourceSpec::Y4m("b.y4m".into())));
    }

    #[test]
    fn nonsense_is_refused_with_the_list_of_sources() {
        for text in ["", "camera:", "camera:-1", "camera:x", "mjpeg:", "film.mp4"] {
            let fault = text.parse::<SourceSpec>().unwrap_err();
            assert!(fault.to_string().contains("camera:N"), "{text:?} gave {fault}");
        }
        let fault = "/no/such/folder".parse::<SourceSpec>().unwrap_err();
        assert!(matches!(fault, CameraFault::NotFound { .. }));
    }
}
