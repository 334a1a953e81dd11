//! Why a source gave no frame, who is at fault, and what to do about it.

use thiserror::Error;

/// Why a source gave no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CameraFault {
    /// The text given as `--source` is not a source.
    #[error(
        "{text:?} is not a source. Use camera:N, camera:NAME, mjpeg:PATH, a folder of JPEG pictures, an .avi (MJPEG) or a .y4m file"
    )]
    NotASource { text: String },
    /// The camera or file does not exist.
    #[error("{what} does not exist. {advice}")]
    NotFound { what: String, advice: String },
    /// Another program has the camera open.
    #[error(
        "{what} is in use by another program. Close the programs that use it (video calls, browser tabs); Sudare then continues by itself"
    )]
    Busy { what: String },
    /// The operating system denied access.
    #[error(
        "this user may not open {what}. Add the user to the group `video` (usermod -aG video NAME, then log in again), or make the file readable"
    )]
    Denied { what: String },
    /// The device went away, or the program that feeds a stream ended.
    #[error("{what} was unplugged or its feed ended. Plug it in again; Sudare then continues by itself")]
    Unplugged { what: String },
    /// The device is connected but sends nothing.
    #[error(
        "{what} has sent no picture for {silent_ms} ms. Unplug the camera and plug it in again, or restart the program that feeds it"
    )]
    Stalled { what: String, silent_ms: u64 },
    /// The device repeats the same picture, which no live sensor does.
    #[error(
        "{what} has sent the very same picture for {same_ms} ms. Restart the camera, and end programs that replace its picture; a live camera never repeats itself"
    )]
    Frozen { what: String, same_ms: u64 },
    /// A recording is played over and over in a camera's place.
    #[error(
        "{what} has shown the same {period_ms} ms of pictures again and again. End the program that plays a recording as a camera, or choose another camera; a live camera never repeats itself"
    )]
    Looped { what: String, period_ms: u64 },
    /// Pictures come, and cannot be read.
    #[error(
        "{what} sends pictures, but they cannot be read: {detail}. Unplug the camera and plug it in again, or use another port or cable; if that does not help, try another camera"
    )]
    Unreadable { what: String, detail: String },
    /// The data is malformed.
    #[error(
        "{what} is damaged at frame {frame}: {detail}. Create or copy the file again; the {frame} frames before that one are good"
    )]
    Damaged { what: String, frame: u64, detail: String },
    /// The file was read to its end.
    #[error("{what} has ended")]
    Ended { what: String },
    /// The format is known, but this variant is not supported.
    #[error("{what} cannot be used: {detail}. {advice}")]
    Unsupported { what: String, detail: String, advice: String },
    /// The camera driver failed in some other way.
    #[error(
        "{what}: the camera driver failed ({detail}). Unplug the camera and plug it in again; if that does not help, try another camera"
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

    /// Classifies an error of the operating system by its kind.
    #[must_use]
    pub fn from_io(what: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let what = what.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound { what, advice: "Check the path".to_owned() },
            ErrorKind::PermissionDenied => Self::Denied { what },
            ErrorKind::ResourceBusy => Self::Busy { what },
            _ => Self::Driver { what, detail: error.to_string() },
        }
    }
}
