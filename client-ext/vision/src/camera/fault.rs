//! Why no frame came, who is at fault, and what to do about it.

use thiserror::Error;

/// A reason why a source gave no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CameraFault {
    /// The text given as `--source` names nothing we know.
    #[error(
        "{text:?} is not a source. Give camera:N, mjpeg:PATH, a folder of JPEG pictures, an .avi (MJPEG) or a .y4m file."
    )]
    NotASource { text: String },
    /// There is no such camera or file.
    #[error("{what} does not exist. {advice}")]
    NotFound { what: String, advice: String },
    /// The camera works, but another program has it.
    #[error(
        "{what} is in use by another program. Close the programs that show a camera picture (video calls, browser tabs) and it continues by itself."
    )]
    Busy { what: String },
    /// The operating system refuses us.
    #[error(
        "this user may not open {what}. Add the user to the group `video` (usermod -aG video NAME, then log in again), or allow the file to be read."
    )]
    Denied { what: String },
    /// The device went away, or the program that feeds a stream ended.
    #[error("{what} was unplugged or its feed ended. Plug it in again; it continues by itself.")]
    Unplugged { what: String },
    /// The device is there but sends nothing.
    #[error(
        "{what} has sent no picture for {silent_ms} ms. Unplug the camera and plug it in again, or restart what feeds it."
    )]
    Stalled { what: String, silent_ms: u64 },
    /// The device sends the same picture again and again, which no live sensor does.
    #[error(
        "{what} has sent the very same picture for {same_ms} ms. A live camera never does: restart it, and end programs that replace the camera picture."
    )]
    Frozen { what: String, same_ms: u64 },
    /// The data is not what it claims to be.
    #[error(
        "{what} is damaged at frame {frame}: {detail}. The {frame} frames before it are good; make or copy the file again."
    )]
    Damaged { what: String, frame: u64, detail: String },
    /// The file was read to its end.
    #[error("{what} has ended.")]
    Ended { what: String },
    /// We can read it, but not this kind of it.
    #[error("{what} cannot be used: {detail}. {advice}")]
    Unsupported { what: String, detail: String, advice: String },
    /// The camera driver failed in a way we have no name for.
    #[error(
        "{what}: the camera driver failed ({detail}). Unplug the camera and plug it in again; if it stays, try another camera."
    )]
    Driver { what: String, detail: String },
}

impl CameraFault {
    /// Whether the source will never yield another frame.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NotASource { .. } | Self::Damaged { .. } | Self::Ended { .. } | Self::Unsupported { .. }
        )
    }

    /// A fault of the operating system, told apart by its error kind.
    #[must_use]
    pub fn from_io(what: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let what = what.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound { what, advice: "Check the path.".to_owned() },
            ErrorKind::PermissionDenied => Self::Denied { what },
            ErrorKind::ResourceBusy => Self::Busy { what },
            _ => Self::Driver { what, detail: error.to_string() },
        }
    }
}
