//! Sources of pictures: a webcam, a folder of JPEGs, a film, a live MJPEG stream.
//!
//! Every [`FrameSource`] returns upright RGB8 frames with a time stamp. There are two kinds:
//!
//! * **File sources** ([`folder`], [`avi`], [`y4m`]) use media time, run as fast as the reader asks, and end with
//!   [`CameraFault::Ended`].
//! * **Live sources** ([`native`], [`mjpeg`]) use CLOCK_BOOTTIME, skip frames the reader is too slow for, and monitor
//!   themselves: no new frame in [`live::STALL_MS`] is [`CameraFault::Stalled`]; pictures that cannot be read, stand
//!   still or come again are faults of their own. After a fault the reader simply asks again; the source reopens its
//!   device when it can.

pub mod avi;
mod encoded;
pub mod exif;
pub mod fault;
pub mod folder;
mod formats;
pub mod jpeg;
pub mod live;
pub mod mjpeg;
pub mod native;
mod origin;
pub mod picture;
pub mod replay;
pub mod spec;
pub mod trial;
#[cfg(target_os = "linux")]
mod webcam;
#[cfg(not(target_os = "linux"))]
#[path = "no_webcam.rs"]
mod webcam;
pub mod y4m;
pub mod yuv;

use sudare_client_core::frame::Frame;

pub use fault::CameraFault;
pub use spec::{SourceOptions, SourceSpec};

/// The largest side of a frame from a live source or a film. Larger claims of a driver are rejected.
pub const MAX_FRAME_SIDE_PX: u32 = 4096;
/// The most pixels of such a frame.
pub const MAX_FRAME_PIXELS: u64 = MAX_FRAME_SIDE_PX as u64 * MAX_FRAME_SIDE_PX as u64;

/// Something that yields frames.
pub trait FrameSource: Send {
    /// One line for people: the source and, once known, its size and rate.
    fn describe(&self) -> String;

    /// Waits for the next frame.
    ///
    /// # Errors
    /// A [`CameraFault`]. After one with [`CameraFault::is_final`] there will be no more frames; after any other
    /// the caller may ask again, which also paces the attempts to reopen.
    fn next_frame(&mut self) -> Result<Frame, CameraFault>;
}

/// Reads CLOCK_BOOTTIME in milliseconds. An argument, because only the runtime reads clocks.
pub type Clock = fn() -> u64;

/// Opens a source.
///
/// # Errors
/// The reason why it cannot be opened. Live sources report a missing or busy device here, at once.
pub fn open(
    spec: &SourceSpec,
    options: SourceOptions,
    clock: Clock,
) -> Result<Box<dyn FrameSource>, CameraFault> {
    Ok(match spec {
        SourceSpec::Camera(index) => Box::new(native::open(native::Wanted::Number(*index), clock)?),
        SourceSpec::NamedCamera(name) => Box::new(native::open(native::Wanted::Name(name.clone()), clock)?),
        SourceSpec::Mjpeg(path) => Box::new(mjpeg::open(path, clock)?),
        SourceSpec::Folder(path) => Box::new(folder::Folder::open(path, options)?),
        SourceSpec::Avi(path) => Box::new(replay::Film::new(avi::Avi::open(path)?, options)),
        SourceSpec::Y4m(path) => Box::new(replay::Film::new(y4m::Y4m::open(path)?, options)),
    })
}
