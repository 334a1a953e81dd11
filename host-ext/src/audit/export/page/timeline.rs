//! What happened when, entry by entry, seen from the decision.

use sudare_protocol::evidence::{Entry, Event};

use crate::audit::export::contents::Contents;
use crate::audit::export::html::{escape, heading};
use crate::audit::export::words::Words;
use crate::audit::incidents::utc;

pub(super) fn render(contents: &Contents) -> String {
    let zero = contents.entries.iter().find(|entry| is_opening(entry, contents));
    let rows: String = contents.entries.iter().map(|entry| row(entry, zero, contents)).collect();
    format!(
        "{}<table>\n<thead><tr><th>時刻 / Time</th><th>出来事 / What happened</th>\
         <th>記録 / Entry</th><th>検証 / Check</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n\
         <p class=\"soft\">秒は判定（T）からの差。色の付いた行がこのインシデントの記録です。 / \
         <span lang=\"en\">Seconds count from the decision (T). Entries of the incident itself are tinted.</span></p>\n",
        heading("経過", "Timeline")
    )
}

fn is_opening(entry: &Entry, contents: &Contents) -> bool {
    is_of(entry, contents) && matches!(entry.event(), Ok(Event::IncidentOpen(_)))
}

fn is_of(entry: &Entry, contents: &Contents) -> bool {
    entry.incident_id.is_some_and(|id| crate::store::blobs::hex(&id) == contents.incident.id)
}

fn row(entry: &Entry, zero: Option<&Entry>, contents: &Contents) -> String {
    let event = entry.event().ok();
    let words = event.as_ref().map_or_else(Words::unknown, |event| Words::of_event(event, entry));
    let class = if is_of(entry, contents) { " class=\"mine\"" } else { "" };
    let time = zero.filter(|zero| zero.boot_id == entry.boot_id).and_then(|zero| {
        let from = moment(zero, zero.event().ok().as_ref())?;
        since(from, moment(entry, event.as_ref())?)
    });
    let time = time.unwrap_or_else(|| utc(entry.wall_ms));
    format!(
        "<tr{class}><td>{time}</td><td>{}<br><small lang=\"en\">{}</small></td>\
         <td class=\"mono\">{}</td><td class=\"mark\">✓</td></tr>\n",
        escape(&words.0),
        escape(&words.1),
        entry.seq
    )
}

/// When it happened, which may be before it was recorded.
fn moment(entry: &Entry, event: Option<&Event>) -> Option<u64> {
    Some(match event? {
        Event::Cover(cover) => cover.effective_boot_ms,
        Event::Uncover(uncover) => uncover.boot_ms,
        Event::IncidentOpen(open) => open.boot_ms,
        Event::SessionEnd(end) => end.boot_ms,
        _ => entry.boot_ms,
    })
}

fn since(from_ms: u64, to_ms: u64) -> Option<String> {
    let (sign, ms) = if to_ms >= from_ms { ('+', to_ms - from_ms) } else { ('−', from_ms - to_ms) };
    // What is hours away is told by the clock on the wall.
    (ms < 3_600_000).then(|| format!("T {sign}{}.{:03} s", ms / 1000, ms % 1000))
}
