//! What the export proves, what it does not prove, and how anybody can verify it.

use crate::export::bundle::Bundle;
use crate::export::contents::Contents;
use crate::html::{escape, heading};

type Lines = &'static [(&'static str, &'static str)];

const PROVES: Lines = &[
    (
        "これらの記録が、この順序でログに存在し、ログの鍵で署名されたこと。",
        "These entries are in the log, in this order, and were signed by the log's key.",
    ),
    (
        "端末の通知が、ホストの受け入れた端末の鍵により、この接続の中で署名されたこと。",
        "The device's messages were signed within this connection, by the key of the device that the host had accepted.",
    ),
    (
        "表示した画像が、記録の時点で封印された画像そのものであること。",
        "Each opened picture is, bit for bit, the one that was sealed when the entry was recorded.",
    ),
    (
        "証人の副署がある場合、その時刻にはこの記録が既に存在したこと。",
        "If a witness cosigned: that all of this existed at the time of the cosignature.",
    ),
];

const DOES_NOT: Lines = &[
    (
        "画像に写っている人が誰であるか。Sudare は本人以外を識別しません。",
        "Who is seen in a picture. Sudare identifies nobody but the operator.",
    ),
    (
        "カメラが実際に見たもの。証明されるのは端末の鍵であり、カメラではありません。",
        "What a camera saw: a key is proven, not a camera. Whoever controls the private PC can sign pictures that no camera took.",
    ),
    (
        "実時刻。時計はホストと端末のものです（副署・時刻証明がある場合を除く）。",
        "The time of day: the clocks are the host's and the device's, unless a cosignature or a time-stamp token confirms it.",
    ),
    (
        "ほかに何も起きていないこと。この出力は一件分であり、記録の欠落は示せません。",
        "That nothing else happened. This is one incident; it cannot show what a host never recorded.",
    ),
    ("表示された人が画面の内容を読んだこと。", "That the person in the picture read what was on the screen."),
];

pub(super) fn section(_: &Bundle, contents: &Contents) -> String {
    let key = escape(&contents.facts.origin);
    format!(
        "{}<div class=\"two\">{}{}</div>\n{}\
         <p>鍵 <code>log.vkey</code>（{key}）は、このファイルとは別の経路で入手してください。 / \
         <span lang=\"en\">Obtain the key of <code>{key}</code> by another way than this file.</span></p>\n\
         <pre>python3 verify.py incident.zip --key log.vkey          # Python 3.8+, no package, offline\n\
         sudare-audit verify-export incident.zip --key log.vkey  # also makes this page again: --page FILE</pre>\n",
        heading("証明できること・できないこと", "What this proves, and what it does not"),
        list("証明できること", "It proves", PROVES),
        list("証明できないこと", "It does not prove", DOES_NOT),
        heading("検証の方法", "How to verify it"),
    )
}

fn list(ja: &str, en: &str, lines: Lines) -> String {
    let items: String =
        lines.iter().map(|(ja, en)| format!("<li>{ja}<span lang=\"en\">{en}</span></li>\n")).collect();
    format!("<section><h3>{ja} / <span lang=\"en\">{en}</span></h3><ul>\n{items}</ul></section>\n")
}
