//! Everything that needs both ends, in one binary: linking once is faster than linking ten times.

mod camera;
mod blanking;
mod docs;
mod handshake;
mod rdp;
mod session_faults;
mod sim;
mod wire;
mod xfreerdp;
mod xrdp;
