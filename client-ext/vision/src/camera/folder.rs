//! A folder of JPEG pictures, played in the order of their names.

use std::path::{Path, PathBuf};

use sudare_client_core::frame::Frame;

use super::spec::DEFAULT_FPS;
use super::{CameraFault, FrameSource, SourceOptions, picture};

/// More pictures than this in one folder are a mistake (a day at 1 fps).
const MAX_PICTURES: usize = 100_000;

/// See the module text.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    pictures: Vec<PathBuf>,
    fps: u32,
    next: usize,
}

impl Folder {
    /// Lists the pictures; they are read one by one later.
    ///
    /// # Errors
    /// The folder cannot be read, or holds no JPEG.
    pub fn open(path: &Path, options: SourceOptions) -> Result<Self, CameraFault> {
        let what = path.display().to_string();
        let entries = std::fs::read_dir(path).map_err(|e| CameraFault::from_io(&what, &e))?;
        let mut pictures = Vec::new();
        for entry in entries {
            let file = entry.map_err(|e| CameraFault::from_io(&what, &e))?.path();
            if is_jpeg(&file) && file.is_file() {
                pictures.push(file);
            }
        }
        if pictures.is_empty() || pictures.len() > MAX_PICTURES {
            let detail = format!("it holds {} JPEG pictures", pictures.len());
            let advice = format!("Give a folder of 1 to {MAX_PICTURES} files named *.jpg");
            return Err(CameraFault::Unsupported { what, detail, advice });
        }
        pictures.sort();
        Ok(Self { path: path.to_owned(), pictures, fps: options.fps.unwrap_or(DEFAULT_FPS).max(1), next: 0 })
    }
}

impl FrameSource for Folder {
    fn describe(&self) -> String {
        format!("{}: {} pictures at {} fps", self.path.display(), self.pictures.len(), self.fps)
    }

    fn next_frame(&mut self) -> Result<Frame, CameraFault> {
        let what = self.path.display().to_string();
        let Some(path) = self.pictures.get(self.next) else { return Err(CameraFault::Ended { what }) };
        let seq = u64::try_from(self.next).unwrap_or(u64::MAX);
        let mut frame = picture::load(path).map_err(|e| CameraFault::Damaged {
            what,
            frame: seq,
            detail: e.to_string(),
        })?;
        self.next += 1;
        frame.seq = seq;
        frame.t_ms = seq.saturating_mul(1000) / u64::from(self.fps);
        Ok(frame)
    }
}

/// By its name. Hidden files are not the user's: macOS, for one, leaves a `._1.jpg` beside each `1.jpg`.
fn is_jpeg(path: &Path) -> bool {
    if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
        return false;
    }
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    extension.eq_ignore_ascii_case("jpg") || extension.eq_ignore_ascii_case("jpeg")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::jpeg::tests::gradient;

    #[test]
    fn pictures_come_in_order_with_media_time() {
        let dir = tempfile::tempdir().unwrap();
        for (name, width) in [("02.jpg", 20), ("01.jpg", 10), ("03.JPEG", 30), ("notes.txt", 1)] {
            std::fs::write(dir.path().join(name), gradient(width, 8)).unwrap();
        }
        // What other systems leave behind.
        std::fs::write(dir.path().join("._01.jpg"), b"\0\x05\x16\x07").unwrap();
        std::fs::create_dir(dir.path().join("00.jpg")).unwrap();
        let mut folder = Folder::open(dir.path(), SourceOptions { fps: Some(5) }).unwrap();
        let seen: Vec<_> =
            std::iter::from_fn(|| folder.next_frame().ok()).map(|f| (f.width, f.t_ms, f.seq)).collect();
        assert_eq!(seen, [(10, 0, 0), (20, 200, 1), (30, 400, 2)]);
        assert!(matches!(folder.next_frame(), Err(CameraFault::Ended { .. })));
    }

    #[test]
    fn a_damaged_picture_says_which() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("1.jpg"), gradient(10, 8)).unwrap();
        std::fs::write(dir.path().join("2.jpg"), &gradient(10, 8)[..300]).unwrap();
        let mut folder = Folder::open(dir.path(), SourceOptions::default()).unwrap();
        folder.next_frame().unwrap();
        let fault = folder.next_frame().unwrap_err();
        assert!(fault.is_final() && fault.to_string().contains("2.jpg"), "{fault}");
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let fault = Folder::open(dir.path(), SourceOptions::default()).unwrap_err();
        assert!(matches!(fault, CameraFault::Unsupported { .. }), "{fault}");
    }
}
