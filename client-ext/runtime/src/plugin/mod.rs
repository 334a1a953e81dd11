//! What a plugin needs, whichever RDP client loads it.

mod notices;
mod notify;
pub mod session;
pub mod settings;
