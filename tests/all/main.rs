//! Everything that needs both ends, in one binary: linking once is faster than linking ten times.

mod audit;
mod booted;
mod camera;
mod docs;
mod faults;
mod handshake;
mod hardening;
mod health;
mod log_peers;
mod output;
mod packages;
mod pairing;
mod plugin;
mod rdp;
mod session_faults;
mod shipping;
mod siem;
mod sim;
mod window;
mod wire;
mod witness;
mod xfreerdp;
mod xrdp;
