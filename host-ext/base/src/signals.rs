//! What a program is told by signals: to end, or to read its files anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Ctrl-C (SIGINT), SIGTERM and SIGHUP.
#[derive(Debug)]
pub struct Signals(signal_hook::iterator::Signals);

impl Signals {
    /// They are heard from here on: also one that comes before [`Self::until_end`].
    pub fn hear() -> io::Result<Self> {
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).map(Self)
    }

    /// Returns at the first Ctrl-C or SIGTERM. Before that, each SIGHUP (`systemctl reload`) calls `reload`.
    pub fn until_end(mut self, mut reload: impl FnMut()) {
        for signal in self.0.forever() {
            if signal != SIGHUP {
                return;
            }
            reload();
        }
    }
}

/// A SIGHUP from here on is remembered, and does not end this process.
#[derive(Debug, Clone, Default)]
pub struct Reloads(Arc<AtomicBool>);

impl Reloads {
    pub fn hear() -> io::Result<Self> {
        let asked = Self::default();
        signal_hook::flag::register(SIGHUP, asked.0.clone())?;
        Ok(asked)
    }

    /// Whether somebody asked since [`Self::take`].
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same, and it is answered with this.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    /// One test, because all threads of a process share its signals.
    #[test]
    fn a_hangup_asks_for_a_reload_and_only_the_others_end() {
        let (signals, reloads) = (Signals::hear().unwrap(), Reloads::hear().unwrap());
        assert!(!reloads.take());
        let me = getpid();
        kill_process(me, Signal::HUP).unwrap();
        let mut reloaded = 0;
        signals.until_end(|| {
            reloaded += 1;
            kill_process(me, if reloaded < 2 { Signal::HUP } else { Signal::TERM }).unwrap();
        });
        assert_eq!(reloaded, 2);
        assert!(reloads.is_asked() && reloads.take() && !reloads.take());
    }
}
