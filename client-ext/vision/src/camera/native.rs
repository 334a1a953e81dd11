//! The cameras of this machine: which there are, and which one is meant.

#[cfg(unix)]
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::live::Live;
use super::webcam::Webcam;
use super::{CameraFault, Clock, origin};

/// Where names are kept that stay the same in whatever order cameras are plugged in.
const BY_ID: &str = "/dev/v4l/by-id";

/// A video device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraInfo {
    /// The N of `camera:N`.
    pub index: u32,
    pub name: String,
}

/// Which camera is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `camera:N`
    Number(u32),
    /// `camera:NAME`: what the camera calls itself, or a part of that; a name below /dev/v4l/by-id; or a path.
    Name(String),
}

impl Wanted {
    /// As it is given on a command line.
    #[must_use]
    pub fn source(&self) -> String {
        match self {
            Self::Number(index) => format!("camera:{index}"),
            Self::Name(name) => format!("camera:{name}"),
        }
    }

    /// Which of these it is. One physical camera often has several devices of the same name, of which the first gives
    /// pictures.
    pub(super) fn find(&self, cameras: &[CameraInfo]) -> Option<CameraInfo> {
        let text = match self {
            Self::Number(index) => return cameras.iter().find(|camera| camera.index == *index).cloned(),
            Self::Name(text) => text,
        };
        let path = if text.contains('/') { PathBuf::from(text) } else { Path::new(BY_ID).join(text) };
        if let Some(index) = index_of(&path) {
            return cameras.iter().find(|camera| camera.index == index).cloned();
        }
        let wanted = text.to_lowercase();
        let is_named = |camera: &&CameraInfo| camera.name.to_lowercase() == wanted;
        let holds = |camera: &&CameraInfo| camera.name.to_lowercase().contains(&wanted);
        cameras.iter().find(is_named).or_else(|| cameras.iter().find(holds)).cloned()
    }
}

/// The N of /dev/videoN, behind links.
fn index_of(path: &Path) -> Option<u32> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is_in_dev = real.parent() == Some(Path::new("/dev"));
    number_of(real.file_name()?.to_str()?).filter(|_| is_in_dev)
}

fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("video")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Lists the cameras, lowest number first, without opening any.
#[must_use]
pub fn list() -> Vec<CameraInfo> {
    let mut found = list_in(Path::new("/dev"), is_device);
    for camera in &mut found {
        if let Some(name) = origin::name(camera.index) {
            camera.name = name;
        }
    }
    found
}

/// Whether a camera is a program (such as v4l2loopback), and why it counts as one.
#[must_use]
pub fn why_virtual(index: u32) -> Option<&'static str> {
    origin::why_program(index)
}

/// The same for a camera that is named; one that is not there is not known to be hardware.
#[must_use]
pub fn is_virtual(wanted: &Wanted) -> bool {
    wanted.find(&list()).is_none_or(|camera| why_virtual(camera.index).is_some())
}

/// Prepares a camera; the first `next_frame` opens the device and reports whether it is busy.
///
/// # Errors
/// The camera does not exist.
pub fn open(wanted: Wanted, clock: Clock) -> Result<Live<Webcam>, CameraFault> {
    let cameras = list();
    if let Some(camera) = wanted.find(&cameras) {
        if let Some(why) = why_virtual(camera.index) {
            tracing::info!(camera = camera.index, "this camera seems to be a program: {why}");
        }
        return Ok(Live::new(Webcam::new(wanted, camera), clock));
    }
    let known: Vec<_> = cameras.iter().map(|c| format!("camera:{} ({})", c.index, c.name)).collect();
    let advice = if known.is_empty() {
        "Plug a camera in, or allow it in the settings; this machine has none".to_owned()
    } else {
        format!("This machine has {}", known.join(", "))
    };
    Err(CameraFault::NotFound { what: wanted.source(), advice })
}

/// Whether this is a device, or a link to one. A plain file of that name is no camera.
#[cfg(unix)]
fn is_device(entry: &std::fs::DirEntry) -> bool {
    let Ok(kind) = entry.file_type() else { return false };
    let kind =
        if kind.is_symlink() { entry.path().metadata().map(|data| data.file_type()) } else { Ok(kind) };
    kind.is_ok_and(|kind| kind.is_char_device())
}

#[cfg(not(unix))]
fn is_device(_: &std::fs::DirEntry) -> bool {
    false
}

fn list_in(dev: &Path, is_device: fn(&std::fs::DirEntry) -> bool) -> Vec<CameraInfo> {
    let entries = std::fs::read_dir(dev).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let index = number_of(&name)?;
            is_device(&entry).then_some(CameraInfo { index, name })
        })
        .collect();
    found.sort_by_key(|camera| camera.index);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_device_names_and_plain_files_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["video10", "video2", "video", "video-x", "videocodec", "null", "video99999999999"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found: Vec<_> = list_in(dir.path(), |_| true).into_iter().map(|c| c.index).collect();
        assert_eq!(found, [2, 10]);
        std::os::unix::fs::symlink("/dev/null", dir.path().join("video3")).unwrap();
        let found: Vec<_> = list_in(dir.path(), is_device).into_iter().map(|c| c.index).collect();
        assert_eq!(found, [3], "plain files are no cameras");
    }

    #[test]
    fn an_unknown_camera_says_which_there_are() {
        for wanted in [Wanted::Number(4_000_000), Wanted::Name("no such camera".to_owned())] {
            let source = wanted.source();
            let fault = open(wanted, || 0).err().unwrap();
            assert!(matches!(&fault, CameraFault::NotFound { what, .. } if *what == source), "{fault}");
        }
    }

    #[test]
    fn a_camera_is_found_by_number_name_and_path() {
        let camera = |index, name: &str| CameraInfo { index, name: name.to_owned() };
        let cameras =
            [camera(0, "Integrated Camera"), camera(1, "Integrated Camera"), camera(4, "HD Pro Webcam C920")];
        let find = |text: &str| Wanted::Name(text.to_owned()).find(&cameras).map(|found| found.index);
        assert_eq!(Wanted::Number(4).find(&cameras), Some(cameras[2].clone()));
        assert_eq!(Wanted::Number(3).find(&cameras), None);
        assert_eq!(
            (find("HD Pro Webcam C920"), find("c920"), find("integrated camera")),
            (Some(4), Some(4), Some(0))
        );
        assert_eq!((find("/dev/video4"), find("/dev/video9"), find("/etc/video4")), (Some(4), None, None));
        assert_eq!(find("usb-that-is-not-there-video-index0"), None);
    }
}
