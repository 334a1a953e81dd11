//! A picture that is ready to be drawn. Personal data: `Debug` shows sizes only.

use std::path::Path;

use sudare_client_core::evidence::Picture;
use sudare_client_core::frame::Frame;
use sudare_client_runtime::seat::message::{SeenFace, SeenPicture};
use sudare_client_runtime::seat::picture;
use sudare_vision::camera::jpeg;

/// Wide enough to see how one sits.
const WIDTH_MAX: u32 = 480;
/// Of a picture that comes over a socket.
const SIDE_MAX: u32 = 1_024;

#[derive(Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) size: [usize; 2],
    pub(crate) rgb: Vec<u8>,
    pub(crate) faces: Vec<SeenFace>,
    pub(crate) phones: Vec<[f32; 4]>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shown({}x{}, {} faces)", self.size[0], self.size[1], self.faces.len())
    }
}

impl Shown {
    /// From a plugin; `None` if it is no picture.
    pub(crate) fn of_seat(seen: SeenPicture) -> Option<Self> {
        let jpeg = picture::jpeg_of(&seen)?;
        let decoded = jpeg::decode(&jpeg, SIDE_MAX, u64::from(SIDE_MAX) * u64::from(SIDE_MAX)).ok()?;
        let size = [usize::try_from(decoded.width).ok()?, usize::try_from(decoded.height).ok()?];
        Some(Shown { size, rgb: decoded.rgb, faces: seen.faces, phones: seen.phones })
    }

    /// From our own camera, before anything has looked at it.
    pub(crate) fn of_frame(frame: &Frame) -> Option<Self> {
        let small = picture::shrink(frame, WIDTH_MAX)?;
        let size = [usize::try_from(small.width).ok()?, usize::try_from(small.height).ok()?];
        Some(Shown { size, rgb: small.rgb, faces: Vec::new(), phones: Vec::new() })
    }

    /// From our own camera, with what the models saw.
    pub(crate) fn of_picture(seen: &Picture) -> Option<Self> {
        let (faces, phones) = picture::marks(seen);
        Some(Shown { faces, phones, ..Self::of_frame(&seen.frame)? })
    }
}

/// The operator file that the window makes and looks for.
pub(crate) fn operator_file(home: &Path) -> std::path::PathBuf {
    home.join("me.operator")
}
