//! What `verify`, `list` and `open` print for people, in Japanese and English.

use sudare_audit::incidents::took;
use sudare_audit::open::Shown;
use sudare_audit::report::Stamped;
use sudare_audit::summary::messages::{Text, of_label, of_reason};
use sudare_audit::{Consent, Incident, Report};
use sudare_base::language::Language::{self, En, Ja};
use sudare_protocol::evidence::Label;
use sudare_protocol::utc::utc;

use crate::cli::not_evidence;

pub(crate) fn report(report: &Report, language: Language) -> Vec<String> {
    let mut lines = vec![match language {
        Ja => format!(
            "エントリー {} 件、インシデント {} 件、署名済みチェックポイント {} 件を検証しました。",
            report.entries, report.incidents, report.checkpoints
        ),
        En => format!(
            "Checked {} entries, {} incidents, {} signed checkpoints.",
            report.entries, report.incidents, report.checkpoints
        ),
    }];
    lines.extend(more_counts(report, language));
    for finding in &report.findings {
        let entry = finding.entry.map(|entry| format!(" [{entry}]")).unwrap_or_default();
        let class = match (finding.class, language) {
            ("integrity", Ja) => "改ざん",
            ("integrity", En) => "INTEGRITY",
            (_, Ja) => "要確認",
            (_, En) => "odd",
        };
        lines.push(format!("  {class}: {}{entry}: {}", finding.kind, finding.detail));
    }
    if report.unlisted_findings > 0 {
        lines.push(match language {
            Ja => format!("  ほかに {} 件", report.unlisted_findings),
            En => format!("  and {} more", report.unlisted_findings),
        });
    }
    lines.extend(not_evidence::lines(report, language));
    lines.push(verdict(report, language));
    lines
}

fn more_counts(report: &Report, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.signatures {
        lines.push(match language {
            Ja => "ハッシュのみ検証しました（各エントリーの署名と画像は未確認）。".to_owned(),
            En => "Only hashes were checked, but no pictures and no signatures of entries or messages."
                .to_owned(),
        });
    }
    if report.erased > 0 {
        lines.push(match language {
            Ja => format!("消去の記録がある画像 {} 枚。", report.erased),
            En => format!("{} pictures were erased, as recorded in the log.", report.erased),
        });
    }
    for by in &report.cosignatures {
        let time = utc(by.time_s.saturating_mul(1000));
        lines.push(match language {
            Ja => format!("証人 {} が {time} に {} 件を確認しています。", by.witness, by.entries),
            En => format!("Witness {} vouches for {} entries, seen {time}.", by.witness, by.entries),
        });
    }
    if let Some(Stamped { tokens, entries, time }) = &report.timestamps {
        lines.push(match language {
            Ja => format!(
                "タイムスタンプ {tokens} 件が有効です。最新のものは、{entries} 件が {time} に存在したことを示します。"
            ),
            En => format!("{tokens} time stamps hold; the newest says that {entries} entries existed at {time}."),
        });
    }
    lines
}

pub(crate) fn verdict(report: &Report, language: Language) -> String {
    let text = match (report.ok, report.integrity, language) {
        (true, _, Ja) => "証跡は完全です。",
        (true, _, En) => "The evidence is intact.",
        (false, true, Ja) => "改ざんは見つかりませんでしたが、確認が必要な点があります。",
        (false, true, En) => "Nothing was changed, but something looks odd: see the findings.",
        (false, false, Ja) => "証跡は完全ではありません。原本を保全し、別の写しと比較してください。",
        (false, false, En) => "The evidence is NOT intact. Keep this copy and compare it with another one.",
    };
    text.to_owned()
}

pub(crate) fn incident(incident: &Incident, language: Language) -> String {
    let short = incident.id.get(..8).unwrap_or(&incident.id);
    let state = match (incident.complete, incident.missing, language) {
        (true, _, Ja) => "完了".to_owned(),
        (true, _, En) => "complete".to_owned(),
        (false, Some(missing), Ja) => format!("画像 {missing} 枚が届いていません"),
        (false, Some(missing), En) => format!("{missing} pictures never arrived"),
        (false, None, Ja) => "未完了".to_owned(),
        (false, None, En) => "not complete".to_owned(),
    };
    let cover = match (incident.cover_ms, language) {
        (Some(ms), Ja) => format!("、{} で遮蔽", took(ms)),
        (Some(ms), En) => format!(", covered in {}", took(ms)),
        (None, _) => String::new(),
    };
    let pictures = incident.pictures.len();
    let reason = of_reason(incident.reason_known);
    let reason = in_language(&reason, language);
    match language {
        Ja => format!(
            "{short}  {}  {} {reason} 画像 {pictures} 枚、{state}{cover}",
            incident.time, incident.reason
        ),
        En => format!(
            "{short}  {}  {}: {reason} {pictures} pictures, {state}{cover}",
            incident.time, incident.reason
        ),
    }
}

pub(crate) fn listed(report: &Report, incidents: usize, language: Language) -> String {
    let count = match language {
        Ja => format!("インシデント {incidents} 件。"),
        En => format!("{incidents} incidents. "),
    };
    format!("{count}{}", log_verdict(report, language))
}

/// What one device had agreed to.
pub(crate) fn consent(consent: &Consent, language: Language) -> String {
    let short = consent.device.get(..8).unwrap_or(&consent.device);
    let (first, last) = (utc(consent.first_wall_ms), utc(consent.last_wall_ms));
    let notice = match (&consent.notice_sha256, consent.version, language) {
        (Some(digest), Some(version), Ja) => format!("お知らせ第{version}版に同意（SHA-256 {digest}）"),
        (Some(digest), Some(version), En) => format!("agreed to notice {version} (SHA-256 {digest})"),
        (_, _, Ja) => "お知らせのないポリシー".to_owned(),
        (_, _, En) => "policy without a notice".to_owned(),
    };
    let sessions = consent.sessions;
    if consent.withdrawn {
        return match language {
            Ja => format!("{short}  同意を撤回（端末の署名あり）、{first}"),
            En => format!("{short}  consent taken back, signed by the device, {first}"),
        };
    }
    match language {
        Ja => format!("{short}  {notice}、{sessions} セッション、{first} から {last} まで"),
        En => format!("{short}  {notice}, {sessions} sessions, {first} to {last}"),
    }
}

pub(crate) fn consents_listed(report: &Report, consents: usize, language: Language) -> String {
    let count = match language {
        Ja => format!("{consents} 件。"),
        En => format!("{consents} lines. "),
    };
    format!("{count}{}", log_verdict(report, language))
}

/// The verdict on the whole log, without its pictures.
pub(crate) fn log_verdict(report: &Report, language: Language) -> &'static str {
    match (report.ok, language) {
        (true, Ja) => "ログは完全です（画像の確認は `verify` で行います）。",
        (true, En) => "The log is intact (`verify` checks the sealed pictures as well).",
        (false, Ja) => "ログに問題があります。`verify` で確認してください。",
        (false, En) => "There are findings: run `verify`.",
    }
}

pub(crate) fn picture(shown: &Shown, language: Language) -> String {
    let label = Label::ALL.iter().find(|label| label.as_str() == shown.picture.label);
    let what = of_label(label.copied());
    let what = in_language(&what, language);
    match (&shown.file, &shown.problem, language) {
        (Some(file), _, Ja) => format!("  {what}: {}（ログの記録と一致）", file.display()),
        (Some(file), _, En) => format!("  {what}: {} (as the log vouches)", file.display()),
        (None, problem, Ja) => format!("  {what}: 開けません: {}", problem.as_deref().unwrap_or_default()),
        (None, problem, En) => format!("  {what}: not opened: {}", problem.as_deref().unwrap_or_default()),
    }
}

pub(crate) fn in_language(text: &Text, language: Language) -> &str {
    match language {
        Ja => &text.ja,
        En => &text.en,
    }
}
