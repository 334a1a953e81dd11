//! What `status` prints for people, in Japanese and English.

use sudare_base::language::Language::{self, En, Ja};
use sudare_witness::status::{LogState, LogStatus, Status};

/// The state of each log, and what needs attention.
pub(crate) fn status(status: &Status, language: Language) -> Vec<String> {
    let log = |log: &LogStatus| {
        let age = log.age_s.unwrap_or(0);
        match (log.state, language) {
            (LogState::Heard, Ja) => format!("  {}: {} 件、{age} 秒前に副署", log.origin, log.size),
            (LogState::Heard, En) => format!("  {}: {} entries, cosigned {age} s ago", log.origin, log.size),
            (LogState::Silent, Ja) => {
                format!("  沈黙: {}: {} 件、最後の副署は {age} 秒前", log.origin, log.size)
            }
            (LogState::Silent, En) => {
                format!("  SILENT: {}: {} entries, last cosigned {age} s ago", log.origin, log.size)
            }
            (LogState::Never, Ja) => format!("  未受信: {}", log.origin),
            (LogState::Never, En) => format!("  NEVER HEARD: {}", log.origin),
        }
    };
    let mut lines: Vec<String> = status.logs.iter().map(log).collect();
    lines.extend(verdicts(status, language));
    lines
}

/// One line for each thing that needs attention, since each has its own remedy, or one that all is well.
fn verdicts(status: &Status, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |ja: String, en: String| {
        lines.push(match language {
            Ja => ja,
            En => en,
        });
    };
    let alarms = status.serious_alarms;
    let all = status.logs.len();
    let silent = status.logs.iter().filter(|log| log.state != LogState::Heard).count();
    if status.logs.is_empty() {
        say(
            "要確認：まだどのログも知りません（`serve` または `check` で登録されます）。".to_owned(),
            "Needs attention: no log is known yet (give logs to `serve` or `check`).".to_owned(),
        );
    }
    if silent > 0 {
        say(
            format!(
                "要確認：{all} 件のうち {silent} 件のログが途絶えているか、未受信です（ホストと sudare-ship を確認してください。`check` だけで使う場合は --silence で間隔を指定します）。"
            ),
            format!(
                "Needs attention: {silent} of {all} logs silent or never heard (look at the host and at sudare-ship; for logs that you only `check`, set the interval with --silence)."
            ),
        );
    }
    if alarms > 0 {
        say(
            format!("要確認：重大な警報 {alarms} 件（alarms.jsonl を読み、別の場所へ移してください）。"),
            format!(
                "Needs attention: {alarms} serious alarms are on record (read alarms.jsonl, then move it away)."
            ),
        );
    }
    if status.alarms_full_or_damaged {
        say(
            "要確認：alarms.jsonl が満杯か、壊れています（読んで、別の場所へ移してください）。".to_owned(),
            "Needs attention: alarms.jsonl is full or damaged (read it, then move it away).".to_owned(),
        );
    }
    if status.ok {
        say(
            "異常はありません。".to_owned(),
            "All logs were heard recently, and none contradicted itself.".to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_alarms_are_told_apart() {
        let status = |state, serious_alarms| Status {
            ok: state == LogState::Heard && serious_alarms == 0,
            witness: String::new(),
            logs: vec![LogStatus { origin: "a".into(), state, size: 3, last_s: Some(1), age_s: Some(9) }],
            serious_alarms,
            alarms_full_or_damaged: false,
        };
        let told = |status: &Status| verdicts(status, En).join(" ");
        assert!(told(&status(LogState::Heard, 0)).contains("none contradicted"));
        let silent = told(&status(LogState::Silent, 0));
        assert!(silent.contains("1 of 1 logs silent") && !silent.contains("alarms"), "{silent}");
        let alarms = told(&status(LogState::Heard, 2));
        assert!(alarms.contains("2 serious alarms") && !alarms.contains("silent"), "{alarms}");
        let nobody = Status { logs: Vec::new(), ok: false, ..status(LogState::Heard, 0) };
        assert!(told(&nobody).contains("no log is known"));
    }
}
