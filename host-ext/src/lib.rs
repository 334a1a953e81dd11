//! Placeholder while the workspace is set up.

pub mod channel;
pub mod cover;
pub mod desktop;
pub mod tls;
pub mod guard;
pub mod log;
pub mod store;
