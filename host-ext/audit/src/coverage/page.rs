//! The report as a page for people. It is made from the report alone, so that a verifier can make it again and
//! compare. It loads and runs nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use sudare_protocol::utc::utc;

use super::class::Class;
use super::report::{Report, Sums};
use crate::html::{self, escape, heading};

/// Styles of this page alone.
const STYLE: &str = include_str!("style.css");
const NOTE_BEGIN: &str = "<pre id=\"note\">";
const NOTE_END: &str = "</pre>";
/// Width and height of the plot in its own units.
const PLOT: (u64, u64) = (1000, 46);

/// The whole page.
pub(super) fn render(report: &Report, note: &str) -> String {
    let style = [html::STYLE, STYLE].concat();
    let style_sha256 = STANDARD.encode(Sha256::digest(&style));
    let body = match &report.sums {
        Some(sums) => [plot(sums), times(sums), exceptions(sums)].concat(),
        None => suppressed(report),
    };
    format!(
        "<!doctype html>\n<html lang=\"ja\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style_sha256}'; \
         base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Sudare {month}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"kicker\">Sudare · 画面保護の実施報告 / Report on screen protection</p>\n\
         <h1>{site} — {month}</h1>\n\
         <p lang=\"en\">About the site's sessions as a whole; nothing here is about a person.</p>\n\
         {summary}{body}{meaning}{check}<p class=\"soft\">署名付きの原文 / <span lang=\"en\">The signed text</span></p>\n\
         {NOTE_BEGIN}{note}{NOTE_END}\n</main>\n</body>\n</html>\n",
        site = escape(&report.site),
        month = escape(&report.month),
        summary = summary(report),
        meaning = meaning(),
        check = heading("検証の方法", "How to verify it")
            + "<pre>sudare-audit coverage --verify report.html --signer coverage.pub</pre>\n",
        note = escape(note),
    )
}

/// The signed note in a page.
pub(super) fn note(page: &str) -> Option<String> {
    let (_, rest) = page.split_once(NOTE_BEGIN)?;
    let (note, _) = rest.split_once(NOTE_END)?;
    let note = note.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    Some(note.replace("&amp;", "&"))
}

fn summary(report: &Report) -> String {
    let (class, ja, en) = if report.integrity {
        ("good", "もとになったログに改ざんは見つかりませんでした。", "The logs it was made from are intact.")
    } else {
        ("bad", "もとになったログに問題が見つかりました。", "The logs it was made from are NOT intact.")
    };
    let milli = |value: u64| format!("{}.{} %", value / 10, value % 10);
    let attested = report.attested_milli.map_or_else(|| "–".to_owned(), milli);
    let devices =
        report.devices.map_or_else(|| "3 未満 / fewer than 3".to_owned(), |devices| devices.to_string());
    format!(
        "<div class=\"verdict {class}\"><div><strong>{ja}</strong><span lang=\"en\">{en}</span></div></div>\n\
         <dl class=\"facts\">\n\
         <div><dt>表示時間のうち端末の証明があった割合 / <span lang=\"en\">Visible time attested by devices</span></dt>\
         <dd class=\"big\">{attested}</dd></div>\n\
         <div><dt>端末の数 / <span lang=\"en\">Devices</span></dt><dd class=\"big\">{devices}</dd></div>\n\
         <div><dt>対象のログ / <span lang=\"en\">Logs</span></dt><dd>{logs} · <span class=\"mono\">{basis}</span></dd></div>\n\
         <div><dt>期間・時間帯・作成 / <span lang=\"en\">Month, time zone, time made</span></dt><dd>{month} · {zone} · {made}</dd></div>\n\
         </dl>\n",
        logs = report.logs,
        basis = escape(report.basis_sha256.get(..16).unwrap_or_default()),
        month = escape(&report.month),
        zone = escape(&report.zone),
        made = utc(report.made_ms),
    )
}

fn suppressed(report: &Report) -> String {
    format!(
        "<div class=\"verdict warn\"><div><strong>端末が 3 台未満のため、時間と件数は記載しません。</strong>\
         <span lang=\"en\">{} has fewer than three devices. Hours and counts are left out, because they would reveal \
         how a person works.</span></div></div>\n",
        escape(&report.site)
    )
}

/// The parts of the bar: texts, colour class, minutes.
fn parts(sums: &Sums) -> Vec<(&'static str, &'static str, &'static str, u64)> {
    let mut parts = vec![
        ("表示（証明あり）", "visible, attested", "attested", sums.attested_minutes),
        (
            "表示（証明の記録なし）",
            "visible, no attestation in the log",
            "unattested",
            sums.unattested_minutes,
        ),
    ];
    for covered in &sums.covered {
        let (ja, en, class) = match covered.class {
            Class::OperatorNotConfirmed => {
                ("遮蔽：操作者を確認できない", "covered: operator not confirmed", "c1")
            }
            Class::SomebodyElse => ("遮蔽：ほかの人・撮影", "covered: someone else, a phone", "c2"),
            Class::Camera => ("遮蔽：カメラ", "covered: camera", "c3"),
            Class::Connection => ("遮蔽：接続・端末", "covered: connection, device", "c4"),
            Class::System => ("遮蔽：システム", "covered: system", "c5"),
        };
        parts.push((ja, en, class, covered.minutes));
    }
    parts
}

fn plot(sums: &Sums) -> String {
    let parts = parts(sums);
    let total: u64 = parts.iter().map(|part| part.3).sum();
    let (width, height) = PLOT;
    let mut from = 0;
    let mut bars = String::new();
    for (ja, en, class, minutes) in &parts {
        let to = from + minutes;
        let at = |minutes: u64| (minutes * width).checked_div(total).unwrap_or(0);
        let (x, end) = (at(from), at(to));
        if end > x {
            bars += &format!(
                "<rect class=\"{class}\" x=\"{x}\" y=\"0\" width=\"{}\" height=\"{height}\"><title>{ja} / {en}: {minutes} min</title></rect>",
                end - x
            );
        }
        from = to;
    }
    format!(
        "{}<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{total} min\" preserveAspectRatio=\"none\">{bars}</svg>\n",
        heading("時間の内訳", "Where the time went")
    )
}

fn times(sums: &Sums) -> String {
    let rows: String = parts(sums)
        .into_iter()
        .map(|(ja, en, class, minutes)| {
            format!(
                "<tr><td><i class=\"key {class}\"></i>{ja}<br><small lang=\"en\">{en}</small></td><td>{}</td></tr>\n",
                hours(minutes)
            )
        })
        .collect();
    let p99 = sums.cover_p99_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
    format!(
        "<table class=\"sums\"><thead><tr><th>区分 / Class</th><th>時間 / Time</th></tr></thead><tbody>\n{rows}</tbody></table>\n\
         <p class=\"soft\">遮蔽 {covers} 回、判定から遮蔽まで 99 % が {p99} 以内、証跡のあるインシデント {incidents} 件 / \
         <span lang=\"en\">{covers} covers, 99 % of them within {p99} of the decision; {incidents} incidents with evidence</span></p>\n",
        covers = sums.covers,
        incidents = sums.incidents,
    )
}

fn exceptions(sums: &Sums) -> String {
    let e = &sums.exceptions;
    let gaps = format!("{} · {}", e.gaps, hours(e.gap_minutes));
    let rows: String = [
        (
            "強制または記録のない時間（ホストが記録）",
            "gaps in enforcement or recording, as recorded by the host",
            gaps,
        ),
        (
            "表示を確認できなかった遮蔽",
            "covers that were not confirmed on the screen",
            e.unconfirmed_covers.to_string(),
        ),
        (
            "画像がそろわなかったインシデント",
            "incidents with missing pictures",
            e.incomplete_incidents.to_string(),
        ),
        (
            "終了の記録がないセッション（ホスト停止など）",
            "sessions without a recorded end (host stopped)",
            e.unended_sessions.to_string(),
        ),
        ("受け入れられなかった証跡", "evidence that was refused", e.refused_evidence.to_string()),
        ("誤検知との申告", "covers that operators reported as wrong", e.wrong_covers.to_string()),
        (
            "記録ファイル末尾の破損からの復旧",
            "recoveries from a damaged end of a log file",
            e.damaged_ends.to_string(),
        ),
    ]
    .into_iter()
    .map(|(ja, en, value)| {
        format!("<tr><td>{ja}<br><small lang=\"en\">{en}</small></td><td>{value}</td></tr>\n")
    })
    .collect();
    format!("{}<table class=\"sums\"><tbody>\n{rows}</tbody></table>\n", heading("例外", "Exceptions"))
}

fn meaning() -> String {
    heading("この報告の意味", "What this means, and what it does not")
        + "<ul><li>画面は、端末が操作者本人だけを確認している間だけ表示されます（リース）。証明の記録がない表示時間は例外として数えます。\
           <span lang=\"en\">The desktop is visible only while the device attests that the operator is alone. Visible time \
           without attestations in the log is counted separately.</span></li>\n\
           <li>証明されるのは端末の鍵による申告であり、カメラが見たものそのものではありません。\
           <span lang=\"en\">Attestations prove a device's key, not what a camera saw.</span></li>\n\
           <li>個人・端末・日ごとの数値は含みません。勤怠や生産性の評価には使用できません。\
           <span lang=\"en\">There are no figures about a person, a device or a day. The report cannot be used to judge attendance or \
           productivity.</span></li></ul>\n"
}

fn hours(minutes: u64) -> String {
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}
