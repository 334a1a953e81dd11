//! The timeline: what happened when, entry by entry, in seconds from the decision.

use crate::export::bundle::Bundle;
use crate::export::contents::Contents;
use crate::html::{escape, heading};
use crate::summary::{self, Moment};

pub(super) fn section(_: &Bundle, contents: &Contents) -> String {
    let (incident_id, _) = contents.incident.ids();
    let rows: String = summary::timeline(&contents.entries, incident_id).iter().map(row).collect();
    format!(
        "{}<table>\n<thead><tr><th>時刻 / Time</th><th>出来事 / What happened</th>\
         <th>記録 / Entry</th><th>検証 / Check</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n\
         <p class=\"soft\">秒は判定（T）からの差。色の付いた行がこのインシデントの記録です。 / \
         <span lang=\"en\">Seconds count from the decision (T). Entries of the incident itself are tinted.</span></p>\n",
        heading("経過", "Timeline")
    )
}

fn row(moment: &Moment) -> String {
    let class = if moment.own { " class=\"mine\"" } else { "" };
    format!(
        "<tr{class}><td>{}</td><td>{}<br><small lang=\"en\">{}</small></td>\
         <td class=\"mono\">{}</td><td class=\"mark\">✓</td></tr>\n",
        moment.time,
        escape(&moment.what.ja),
        escape(&moment.what.en),
        moment.entry
    )
}
