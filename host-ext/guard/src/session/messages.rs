//! The words on a cover: what happened, since when, what to do, and which keys work.

use sudare_protocol::light::turn::{Pose, Side};
use sudare_protocol::reason::Reason;

use crate::decision::Prompt;
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
    /// The operator wants to end the connection since then, and has to say so twice.
    Leave {
        since_ms: u64,
    },
}

/// Whether nothing that the operator can do at this cover lifts it: then another connection is what helps, and in full
/// screen the client may offer no way out.
pub(super) fn may_leave(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoClient
            | Reason::ClientGone
            | Reason::BadMessage
            | Reason::EvidenceNotKept
            | Reason::CoverFault
            | Reason::DeviceRefused
            | Reason::OtherUser
            | Reason::NoConsent
            | Reason::RulesUnclear
            | Reason::LinkLost
    )
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
        Asked::Leave { .. } => {
            lines.push("もう一度 F4 を押すと接続を終了します。デスクトップの作業はそのまま残ります。".into());
            lines.push(
                "Press F4 once more to end this connection. What is open on your desktop stays.".into(),
            );
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
    if info.keys
        && matches!(
            reason,
            Reason::NoClient | Reason::DeviceRefused | Reason::NoConsent | Reason::RulesUnclear
        )
    {
        // No client, so no camera to pause, and nothing was seen that could be a mistake.
        lines.push("[F1] ヘルプ help".into());
    } else if info.keys {
        let (ja, en) = if reason == Reason::Break { ("再開", "resume") } else { ("休憩", "break") };
        lines.push(format!("[F1] ヘルプ   [F2] {ja}   [F3] 誤検知"));
        lines.push(format!("[F1] help   [F2] {en}   [F3] report a mistake"));
    }
    if info.keys && may_leave(reason) {
        lines.push("[F4] 接続を終了（2回）   end this connection (twice)".into());
    }
    CoverText { lines }
}

/// Puts what a check of liveness asks for before everything else.
pub(super) fn with_prompt(prompt: Prompt, mut text: CoverText) -> CoverText {
    let lines: [&str; 2] = match prompt {
        Prompt::Nothing => return text,
        Prompt::Light => [
            "そのまま画面をご覧ください。画面の光で確認しています（約3秒）。",
            "Please keep looking at the screen. Its light shows that you are there (about 3 seconds).",
        ],
        Prompt::Turn(Pose::Front) => ["画面を正面から見てください。", "Please face the screen."],
        Prompt::Turn(Pose::Turned(Side::Left)) => {
            ["← 顔を左へ向けてください。", "← Please turn your head to your left."]
        }
        Prompt::Turn(Pose::Turned(Side::Right)) => {
            ["顔を右へ向けてください。→", "Please turn your head to your right. →"]
        }
        Prompt::Again => [
            "確認できませんでした。動かずに画面をご覧ください。まもなく再試行します。",
            "That did not work. Please hold still and look at the screen; it is tried again in a moment.",
        ],
        Prompt::TooBright => [
            "明るすぎて画面の光を確認できません。カーテンを閉めるか、照明を弱めてください。",
            "The room is too bright for the light of the screen. Please close a curtain or dim the light.",
        ],
        Prompt::Unable => [
            "この端末の Sudare は生体確認に対応していません。更新するか、管理者にご連絡ください。",
            "This client cannot take part in the check that the policy requires. Update it, or contact your VDI administrator.",
        ],
    };
    text.lines.splice(0..0, lines.map(str::to_owned));
    text
}

/// Says after the reason for whom the device is enrolled and who logs on, as this host was told both.
pub(super) fn with_names(names: Option<&str>, mut text: CoverText) -> CoverText {
    if let Some(names) = names {
        let lines = [
            "端末に登録された利用者と、ログオンした利用者が異なります（次の行の名前をご確認ください）。"
                .to_owned(),
            format!("Two users: {names}."),
        ];
        let after = text.lines.len().min(4);
        text.lines.splice(after..after, lines);
    }
    text
}

/// Says after the reason why it cannot be told whose desktop it is, so that the administrator knows where to look.
pub(super) fn with_obstacle(obstacle: Option<&str>, mut text: CoverText) -> CoverText {
    if let Some(obstacle) = obstacle {
        let lines = [
            format!(
                "管理者の方へ: 誰のデスクトップか確認できません（{obstacle}）。journalctl -u sudare-owner をご覧ください。"
            ),
            format!(
                "For the administrator: it cannot be told whose desktop this is ({obstacle}). See journalctl -u sudare-owner."
            ),
        ];
        let after = text.lines.len().min(4);
        text.lines.splice(after..after, lines);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cover_says_why_since_when_and_what_to_do() {
        let keys = SessionInfo { keys: true, ..SessionInfo::default() };
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
        let leaving = cover(Reason::BadMessage, "", &keys, Asked::Leave { since_ms: 0 }).lines;
        assert!(leaving[5].contains("もう一度 F4") && leaving[6].contains("once more"), "{leaving:?}");
        let offered =
            |reason| cover(reason, "", &keys, Asked::Nothing).lines.iter().any(|line| line.contains("[F4]"));
        assert!(offered(Reason::OtherUser) && offered(Reason::NoClient) && !offered(Reason::Stranger));
        assert!(no_keys.iter().all(|line| !line.contains("F4")));
    }

    #[test]
    fn a_refused_device_s_cover_names_both_users() {
        let text = cover(Reason::DeviceRefused, "09:30", &SessionInfo::default(), Asked::Nothing);
        let names = "the device is enrolled for hanako, and the log-on is as CORP\\taro";
        let named = with_names(Some(names), text.clone()).lines;
        assert!(
            named[4].contains("異なります") && named[5].contains("hanako") && named[5].contains("CORP\\taro")
        );
        assert_eq!(with_names(None, text.clone()).lines, text.lines);
    }

    #[test]
    fn a_check_says_first_what_to_do_and_goes_without_a_trace() {
        let text = || cover(Reason::Starting, "09:30", &SessionInfo::default(), Asked::Nothing);
        assert_eq!(with_prompt(Prompt::Nothing, text()).lines, text().lines);
        let turn = with_prompt(Prompt::Turn(Pose::Turned(Side::Right)), text()).lines;
        assert!(turn[0].contains('右') && turn[1].contains("right"));
        assert_eq!(turn[2..], text().lines[..]);
    }
}
