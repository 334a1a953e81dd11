//! Everything that differs between operating systems, behind one set of names.
//!
//! ```text
//!  clock ─────────► boottime_ms, cpu_ms
//!  battery ───────► power_supplies
//!  device ────────► boot_id, config_folder
//!  durable, spool ► private, create_private_folder, sync_folder
//!  plugin ────────► notify
//!  seat ──────────► runtime_folder, private_folder, SeatListener, SeatStream
//! ```
//! The rest of the client names no system: no mode bits, no D-Bus, no system call. A new system is one more file here.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    SeatListener, SeatStream, boot_id, boottime_ms, config_folder, cpu_ms, create_private_folder, is_alive,
    is_private_folder, notify, power_supplies, private, private_folder, runtime_folder, sync_folder,
};
#[cfg(windows)]
pub(crate) use windows::{
    SeatListener, SeatStream, boot_id, boottime_ms, config_folder, cpu_ms, create_private_folder, is_alive,
    is_private_folder, notify, power_supplies, private, private_folder, runtime_folder, sync_folder,
};
