//! Webcams where there is no Video4Linux: none yet.

use super::CameraFault;
use super::live::{Device, Mailbox};
use super::native::{CameraInfo, Wanted};

/// See the module text.
#[derive(Debug)]
pub struct Webcam {
    wanted: Wanted,
}

impl Webcam {
    pub(super) fn new(wanted: Wanted, _known: CameraInfo) -> Self {
        Self { wanted }
    }
}

impl Device for Webcam {
    fn name(&self) -> String {
        self.wanted.source()
    }

    fn capture(&self, _mailbox: &Mailbox) -> CameraFault {
        CameraFault::Unsupported {
            what: self.name(),
            detail: "cameras are read through Video4Linux, which this system does not have".to_owned(),
            advice: "Feed it through ffmpeg as mjpeg:PATH.".to_owned(),
        }
    }
}
