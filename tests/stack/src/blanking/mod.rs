//! The cover of X11 displays under attack: displays, attackers, and a screen observer that reads every pixel.
//!
//! Everything here needs only `DISPLAY` and `XAUTHORITY`, so the same matrix runs on Xvfb and
//! inside an xrdp session.

pub mod attacks;
pub mod blanker;
pub mod desktop;
pub mod display;
pub mod hostile;
pub mod inside;
pub mod latency;
pub mod matrix;
pub mod sampler;
