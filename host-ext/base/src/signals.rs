//! Waits until a program is told to end.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Returns at the first Ctrl-C (SIGINT) or SIGTERM.
pub fn wait_for_end() -> io::Result<()> {
    Signals::new([SIGINT, SIGTERM])?.forever().next();
    Ok(())
}
