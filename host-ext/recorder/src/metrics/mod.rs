//! Figures for those who keep a host running: how often sessions were covered and why, how fast, and how evidence is kept.
//!
//! ```text
//!  ledger: entries that are in the log ─┐
//!  committer: its turns and failures  ──┼─► tally (pure) ─► text (OpenMetrics) ─► serve: GET /metrics
//!  guard_connection: who is connected ──┘                      ▲
//!                                          readings: disk, what is valid until when
//! ```
//! They are no evidence: they begin at 0 with each start of the recorder, and nobody signs them. No label holds a name
//! or an id of a user, a device, a session or a host, and there is none whose values anybody but us chooses.

pub(crate) mod places;
mod readings;
mod serve;
mod sessions;
mod tally;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use places::{Bound, bind};
pub use readings::Facts;
pub use serve::serve;
pub use text::{METRICS, Metric};

pub(crate) use sessions::Sessions;
pub(crate) use tally::{LogSize, Tally};

/// The one tally of a recorder; who has it may count.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Tally>>);

impl Metrics {
    /// Numbers are whole after every statement, so a panicked holder leaves nothing half done.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
