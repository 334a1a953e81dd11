//! The files that `verify` does not vouch for, in words: grouped by what they are.

use std::collections::BTreeMap;

use sudare_audit::Report;
use sudare_audit::summary::messages::Text;
use sudare_base::language::Language::{self, En, Ja};
use sudare_evidence::reader::{CHECKPOINT, COSIGNED};

use crate::cli::messages::in_language;

/// Unknown files that are named; the JSON names them all.
const NAMED_MAX: usize = 20;

/// One line for each group, or nothing.
pub(crate) fn lines(report: &Report, language: Language) -> Vec<String> {
    let count = report.not_evidence.len() as u64 + report.unlisted_not_evidence;
    if count == 0 {
        return Vec::new();
    }
    let mut lines = vec![match language {
        Ja => format!("次の {count} 個のファイルは証跡ではありません（変更されても検証では分かりません）。"),
        En => format!("{count} files are not evidence: a change in them would not be noticed."),
    }];
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in &report.not_evidence {
        groups.entry(path.split('/').next().unwrap_or_default()).or_default().push(path);
    }
    for (top, paths) in groups {
        match what(top) {
            Some(what) => {
                let what = in_language(&what, language);
                let inside = paths.iter().filter(|path| path.len() > top.len()).count();
                let shown = if inside > 0 { format!("{top}/ ({inside})") } else { top.to_owned() };
                lines.push(format!("  {shown}: {what}"));
            }
            None => lines.extend(unknown(&paths, language)),
        }
    }
    lines
}

fn unknown(paths: &[&str], language: Language) -> Vec<String> {
    let what = match language {
        Ja => "証跡の一部ではない不明なファイル",
        En => "unknown, not part of an evidence store",
    };
    let mut lines: Vec<String> =
        paths.iter().take(NAMED_MAX).map(|path| format!("  {path}: {what}")).collect();
    if let Some(more) = paths.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        lines.push(match language {
            Ja => format!("  ほかに {more} 個"),
            En => format!("  and {more} more of them"),
        });
    }
    lines
}

/// What the files under this name are.
fn what(top: &str) -> Option<Text> {
    let (ja, en) = match top {
        "completed" => (
            "完了の控え。ログから作り直せます",
            "which entry completes an incident; can be rebuilt from the log",
        ),
        "quota" => ("端末ごとの当日の使用量。作り直せます", "bytes of each device today; can be rebuilt"),
        "wal" => (
            "レコーダーの作業ファイル。署名済みの分はログにあり、作り直せます",
            "the recorder's working file; what is under the checkpoint is in the log, and can be rebuilt",
        ),
        "wal.torn" => ("確認応答されなかった書きかけ", "a torn end that was never acknowledged"),
        "lock" => ("空のロックファイル。作り直せます", "the recorder's lock; can be rebuilt"),
        "erased" => {
            ("消去の印。ログに消去の記録がないもの", "marks of erasures that the log does not record")
        }
        "headers" | "blobs" => (
            "どの記録にも載っていない画像、または今回は検証していない画像",
            "pictures that no entry lists, or that were not checked this time",
        ),
        "tile" => ("チェックポイントより後のもの", "not under the checkpoint"),
        "timestamps" => (
            "タイムスタンプ。--timestamps と --tsa-cert で検証します",
            "time stamps; checked with --timestamps and --tsa-cert",
        ),
        CHECKPOINT | COSIGNED => (
            "渡された鍵では検証できない証人の署名を含みます。--witness で検証します",
            "has signatures of witnesses that were not checked; give their keys with --witness",
        ),
        _ => return None,
    };
    Some(Text::new(ja, en))
}
