//! The sources that `--source` accepts.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sudare_protocol::message::CameraKind;

use super::CameraFault;
use super::native::{self, Wanted};

/// Pictures a second at which a folder plays by default, and to which live sources are thinned.
pub const DEFAULT_FPS: u32 = 10;

/// A source, parsed from the text the user gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// `camera:N`: the N-th video device.
    Camera(u32),
    /// `camera:NAME`: what a camera calls itself, its name below /dev/v4l/by-id, or its path.
    NamedCamera(String),
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
            Self::Camera(index) => kind_of(&Wanted::Number(*index)),
            Self::NamedCamera(name) => kind_of(&Wanted::Name(name.clone())),
            Self::Mjpeg(_) => CameraKind::Stream,
            Self::Folder(_) | Self::Avi(_) | Self::Y4m(_) => CameraKind::Film,
        }
    }

    /// Whether its pictures come by the clock, and not as fast as they are asked for.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Camera(_) | Self::NamedCamera(_) | Self::Mjpeg(_))
    }
}

/// As it is parsed.
impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(number) => write!(f, "camera:{number}"),
            Self::NamedCamera(name) => write!(f, "camera:{name}"),
            Self::Mjpeg(path) => write!(f, "mjpeg:{}", path.display()),
            Self::Folder(path) | Self::Avi(path) | Self::Y4m(path) => path.display().fmt(f),
        }
    }
}

fn kind_of(wanted: &Wanted) -> CameraKind {
    if native::is_virtual(wanted) { CameraKind::Virtual } else { CameraKind::Hardware }
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
        if let Some(camera) = text.strip_prefix("camera:") {
            let is_number = camera.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
            return match camera.parse() {
                Ok(number) => Ok(Self::Camera(number)),
                // A negative number, one that is too large, or nothing at all is no name.
                Err(_) if is_number => Err(unknown()),
                Err(_) => Ok(Self::NamedCamera(camera.to_owned())),
            };
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
        for name in
            ["HD Pro Webcam C920", "/dev/v4l/by-id/usb-046d-video-index0", "usb-046d-video-index0", "x"]
        {
            let spec = format!("camera:{name}").parse();
            assert_eq!(spec, Ok(SourceSpec::NamedCamera(name.to_owned())));
            assert!(spec.is_ok_and(|spec| spec.is_live() && spec.to_string() == format!("camera:{name}")));
        }
        assert_eq!("mjpeg:/run/feed".parse(), Ok(SourceSpec::Mjpeg("/run/feed".into())));
        assert_eq!(folder_text.parse(), Ok(SourceSpec::Folder(folder.path().into())));
        assert_eq!("a/b.AVI".parse(), Ok(SourceSpec::Avi("a/b.AVI".into())));
        assert_eq!("b.y4m".parse(), Ok(SourceSpec::Y4m("b.y4m".into())));
    }

    #[test]
    fn nonsense_is_refused_with_the_list_of_sources() {
        for text in ["", "camera:", "camera:-1", "camera:99999999999", "mjpeg:", "film.mp4"] {
            let fault = text.parse::<SourceSpec>().unwrap_err();
            assert!(fault.to_string().contains("camera:N"), "{text:?} gave {fault}");
        }
        let fault = "/no/such/folder".parse::<SourceSpec>().unwrap_err();
        assert!(matches!(fault, CameraFault::NotFound { .. }));
    }
}
