//! The facts: who, what, when, how fast, and how far the statements can be trusted.

use crate::export::bundle::Bundle;
use crate::export::contents::Contents;
use crate::html::{escape, heading};
use crate::summary::{self, Fact, Text};

pub(super) fn section(_: &Bundle, contents: &Contents) -> String {
    let facts = summary::facts(&contents.incident, &contents.sessions, &contents.checkpoint);
    let rows: String = facts.iter().map(row).collect();
    format!("{}<dl class=\"facts\">\n{rows}</dl>\n", heading("概要", "Summary"))
}

fn row(Fact { name, value }: &Fact) -> String {
    let value = escape(&both(value));
    format!("<div><dt>{} / <span lang=\"en\">{}</span></dt><dd>{value}</dd></div>\n", name.ja, name.en)
}

fn both(text: &Text) -> String {
    if text.ja == text.en { text.ja.clone() } else { format!("{} / {}", text.ja, text.en) }
}
