//! Figures beside the fastest peer, measured in one run on this machine.
//!
//! Each measures the real thing: the released programs, the RDP loopback, the peer's own code, an
//! xrdp session. What this machine cannot run is reported as not measured, and never as good.

mod big_log;
pub mod build;
mod capture;
pub mod clips;
mod cpu;
mod crypto;
pub mod evidence;
pub mod field;
pub mod fleet;
pub mod gate;
mod latency;
pub mod log;
mod memory;
pub mod plugin;
mod proxy;
mod scenario;
mod table;

pub use capture::capture_ms;
pub use cpu::{Cpu, measure as cpu};
pub use crypto::attest_sign_verify_us;
pub use latency::{Latency, measure as latency};
pub use memory::{client_peak_mb, growth_mb};
pub use table::{Needed, Table, summary};
