//! What a plugin needs, whichever RDP client loads it.
//!
//! ```text
//!  client's entry point ─ arguments ─► connection::start ─► Inbox ◄─ channels
//!                          settings ◄──┘  └─► driver ─ Event ─► notices ─► notify
//! ```

pub mod connection;
mod notices;
mod notify;
pub mod settings;
