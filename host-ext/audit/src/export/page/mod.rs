//! The page of an incident: what happened, in Japanese and English, made from verified files only.
//!
//! To add a section, write a module here with a function `section` and put it into [`SECTIONS`].
//!
//! The page is a pure function of the files, so that `verify-export` can make it again and compare. It loads and runs
//! nothing: pictures are embedded, there is no script, and its Content-Security-Policy tells the browser so.

mod facts;
mod pictures;
mod proves;
mod timeline;
mod verdict;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use sudare_protocol::utc::utc;

use super::bundle::Bundle;
use super::contents::Contents;
use crate::html::{self, escape};
use crate::summary::messages;

/// One section of the page, as HTML.
type Section = fn(&Bundle, &Contents) -> String;

/// What stands on the page, from top to bottom.
const SECTIONS: [Section; 5] =
    [verdict::section, facts::section, pictures::section, timeline::section, proves::section];

/// The whole page.
pub(super) fn render(bundle: &Bundle, contents: &Contents) -> String {
    let reason = messages::of_reason(contents.incident.reason_known);
    let short = contents.incident.id.get(..8).unwrap_or_default();
    let style = html::STYLE;
    let style_sha256 = STANDARD.encode(Sha256::digest(style));
    let sections = SECTIONS.map(|section| section(bundle, contents)).concat();
    format!(
        "<!doctype html>\n<html lang=\"ja\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'sha256-{style_sha256}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Sudare {short}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n\
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
