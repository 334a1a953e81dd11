//! The verdict at the top of the page: on these files, and on the whole log at the time of the export.

use crate::export::bundle::Bundle;
use crate::export::contents::Contents;
use crate::html::escape;

pub(super) fn section(_: &Bundle, contents: &Contents) -> String {
    let entries = contents.entries.len();
    let opened = contents.pictures.iter().filter(|(_, fact)| fact.opened.is_some()).count();
    let mut text = format!(
        "<div class=\"verdict good\"><div><strong>記録 {entries} 件と画像 {opened} 枚は、ログの署名と一致しています。</strong>\
         <span lang=\"en\">{entries} entries and {opened} opened pictures match what the log's key signed.</span></div></div>\n"
    );
    let audit = &contents.facts.audit;
    if !audit.ok {
        let class = if audit.integrity { "warn" } else { "bad" };
        let findings = escape(&audit.findings.join(", "));
        text += &format!(
            "<div class=\"verdict {class}\"><div><strong>出力時のログ全体の監査で指摘がありました：{findings}</strong>\
             <span lang=\"en\">The exporter's audit of the whole log had findings: {findings}.</span></div></div>\n"
        );
    }
    if !contents.incident.complete {
        let missing = contents.incident.missing.unwrap_or_default();
        text += &format!(
            "<div class=\"verdict warn\"><div><strong>このインシデントは完結していません（届かなかった画像 {missing} 枚）。</strong>\
             <span lang=\"en\">The incident is not complete: {missing} announced pictures never arrived, or it was \
             still going on.</span></div></div>\n"
        );
    }
    text
}
