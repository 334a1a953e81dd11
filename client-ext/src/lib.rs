//! Placeholder while the workspace is set up.
pub mod presence;
pub mod camera;
pub mod vision;
#[cfg(feature = "ironrdp")]
pub mod channel;
pub mod operator;
pub mod enroll;
pub mod watch;
