//! The page for people: what happened, in Japanese and English, from checked files only.
//!
//! It is a pure function of the files, so that a checker makes it again and compares it word for word.
//! It loads and runs nothing: pictures are inside, there is no script, and its Content-Security-Policy
//! says so to the browser.

mod facts;
mod pictures;
mod proves;
mod timeline;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use sudare_protocol::utc::utc;

use super::Bundle;
use super::contents::Contents;
use super::html::escape;
use crate::summary::messages;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn render(bundle: &Bundle, contents: &Contents) -> String {
    let reason = messages::of_reason(contents.incident.reason_known);
    let short = contents.incident.id.get(..8).unwrap_or_default();
    let style_sha256 = STANDARD.encode(Sha256::digest(STYLE));
    let sections = [
        verdict(contents),
        facts::render(contents),
        pictures::render(bundle, contents),
        timeline::render(contents),
        proves::render(contents),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"ja\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'sha256-{style_sha256}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Sudare {short}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"kicker\">Sudare · インシデント報告 / Incident report</p>\n\
         <h1>{ja}</h1>\n<p lang=\"en\">{en}</p>\n{sections}\
         <footer>{made_by}, {made}. 生成時刻は出力者の時計 / Time by the exporter's clock.</footer>\n\
         </main>\n</body>\n</html>\n",
        ja = escape(&reason.ja),
        en = escape(&reason.en),
        made_by = escape(&contents.facts.made_by),
        made = utc(contents.facts.made_ms),
    )
}

/// What the checks of these files came to, and what the exporter's audit of the whole log said.
fn verdict(contents: &Contents) -> String {
    let entries = contents.entries.len();
    let opened = contents.pictures.iter().filter(|(_, fact)| fact.opened.is_some()).count();
    let mut text = format!(
        "<div class=\"verdict good\"><div><strong>記録 {entries} 件と画像 {opened} 枚は、ログの署名と一致しています。</strong>\
         <span lang=\"en\">{entries} entries and {opened} opened pictures fit what the log's key signed.</span></div></div>\n"
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
             <span lang=\"en\">The incident is not complete: {missing} pictures that were due never came, or it was \
             still going on.</span></div></div>\n"
        );
    }
    text
}
