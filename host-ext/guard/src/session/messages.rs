//! The words on a cover: what happened, since when, what to do, and which keys work.

use sudare_protocol::reason::Reason;

use crate::screen::CoverText;
use crate::transport::SessionInfo;

/// What the operator last asked of the cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Asked {
    #[default]
    Nothing,
    Help,
    /// The operator reported the cover as a mistake, and the report is on its way to the log.
    Reported,
}

/// The lines of a cover; `since` is the host's local time, such as "21:05".
pub(super) fn cover(reason: Reason, since: &str, info: &SessionInfo, asked: Asked) -> CoverText {
    let mut lines: Vec<String> = reason.cover_lines().map(str::to_owned).to_vec();
    lines.push(format!("{since} から / Since {since}"));
    match asked {
        Asked::Nothing => {}
        Asked::Reported => {
            lines.push("報告を記録しました。 Your report has been recorded.".into());
        }
        Asked::Help => {
            lines.push(
                "カメラの映像はこの端末内で処理され、インシデント時の画像だけが暗号化されて記録されます。"
                    .into(),
            );
            lines.push(
                "Camera video is processed on this device. Only pictures of an incident are recorded, and encrypted."
                    .into(),
            );
            lines.push("ご不明な点は管理者へ。 Questions? Ask your VDI administrator.".into());
        }
    }
    if info.keys && matches!(reason, Reason::NoClient | Reason::DeviceRefused) {
        // No client, so no camera to pause, and nothing was seen that could be a mistake.
        lines.push("[F1] ヘルプ help".into());
    } else if info.keys {
        let (ja, en) = if reason == Reason::Break { ("再開", "resume") } else { ("休憩", "break") };
        lines.push(format!("[F1] ヘルプ   [F2] {ja}   [F3] 誤検知"));
        lines.push(format!("[F1] help   [F2] {en}   [F3] report a mistake"));
    }
    CoverText { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cover_says_why_since_when_and_what_to_do() {
        let keys = SessionInfo { user: None, keys: true };
        for reason in Reason::ALL.iter().copied().filter(|r| *r != Reason::None) {
            let text = cover(reason, "09:30", &keys, Asked::Nothing).lines;
            assert!(text.len() >= 6, "{reason:?}");
            assert!(text[4].contains("09:30") && text[5].contains("[F1]"));
        }
        assert!(!cover(Reason::NoClient, "", &keys, Asked::Nothing).lines[5].contains("[F2]"));
        let no_keys = cover(Reason::Stranger, "09:30", &SessionInfo::default(), Asked::Nothing).lines;
        assert!(no_keys.iter().all(|line| !line.contains("[F")), "keys that do nothing are not offered");
        assert!(cover(Reason::Break, "", &keys, Asked::Nothing).lines[6].contains("resume"));
        assert!(cover(Reason::Stranger, "", &keys, Asked::Reported).lines[5].contains("recorded"));
    }
}
