//! What happened when, entry by entry, in seconds from the decision.

use serde::Serialize;
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::utc::utc;

use crate::summary::messages::{self, Text};

/// Times are counted from the decision up to this distance; beyond it, the time of day is given.
const FROM_DECISION_MAX_MS: u64 = 3_600_000;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Index in the log.
    pub entry: u64,
    /// `T +0.038 s` from the decision, or the time of day by the host's clock.
    pub time: String,
    /// Whether it belongs to the incident itself, rather than to what happened around it.
    pub own: bool,
    /// What it says.
    pub what: Text,
}

/// The timeline of entries in log order.
pub(crate) fn timeline(entries: &[Entry], incident_id: Id) -> Vec<Moment> {
    let own = |entry: &Entry| entry.incident_id == Some(incident_id);
    let is_decision = |entry: &&Entry| own(entry) && matches!(entry.event(), Ok(Event::IncidentOpen(_)));
    let zero = entries.iter().find(is_decision);
    let moment = |entry: &Entry| {
        let zero = zero.filter(|zero| zero.boot_id == entry.boot_id);
        let time = zero.and_then(|zero| since(happened_ms(zero), happened_ms(entry)));
        Moment {
            entry: entry.seq,
            time: time.unwrap_or_else(|| utc(entry.wall_ms)),
            own: own(entry),
            what: messages::of_entry(entry),
        }
    };
    entries.iter().map(moment).collect()
}

/// When it happened, which may be earlier than when it was recorded.
fn happened_ms(entry: &Entry) -> Option<u64> {
    Some(match entry.event().ok()? {
        Event::Cover(cover) => cover.effective_boot_ms,
        Event::Uncover(uncover) => uncover.boot_ms,
        Event::IncidentOpen(open) => open.boot_ms,
        Event::Liveness(check) => check.boot_ms,
        Event::SessionEnd(end) => end.boot_ms,
        _ => entry.boot_ms,
    })
}

fn since(from_ms: Option<u64>, to_ms: Option<u64>) -> Option<String> {
    let (from_ms, to_ms) = (from_ms?, to_ms?);
    let (sign, ms) = if to_ms >= from_ms { ('+', to_ms - from_ms) } else { ('−', from_ms - to_ms) };
    (ms < FROM_DECISION_MAX_MS).then(|| format!("T {sign}{}.{:03} s", ms / 1000, ms % 1000))
}
