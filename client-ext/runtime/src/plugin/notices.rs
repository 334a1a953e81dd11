//! What the desktop's notifications say: which events, in which words, and not too often; times are arguments.
//!
//! The host's cover says the same; a notification is for the user who looks elsewhere, or whose host does not know
//! this device at all. No names and no pictures.

use std::collections::BTreeMap;

use sudare_client_core::event::Event;
use sudare_protocol::message::Shown;
use sudare_protocol::reason::Reason;

/// The same words are not shown again within this time.
const AGAIN_AFTER_MS: u64 = 60_000;
/// At most this many in that time, whatever the host or a liar on it does.
const SHOWN_MAX: usize = 6;

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) title: String,
    pub(crate) body: String,
}

impl Notice {
    /// The extension could not start.
    pub(crate) fn cannot_start(why: &str) -> Self {
        notice("Sudare を開始できません / Sudare cannot start", why)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Notices {
    live: bool,
    shown: BTreeMap<String, u64>,
}

impl Notices {
    /// What to show because of this event, if anything.
    pub(crate) fn event(&mut self, event: &Event, now_ms: u64) -> Option<Notice> {
        let notice = self.words(event)?;
        self.shown.retain(|_, at_ms| now_ms.saturating_sub(*at_ms) < AGAIN_AFTER_MS);
        if self.shown.len() >= SHOWN_MAX || self.shown.contains_key(&notice.title) {
            return None;
        }
        self.shown.insert(notice.title.clone(), now_ms);
        Some(notice)
    }

    fn words(&mut self, event: &Event) -> Option<Notice> {
        match event {
            Event::Ready { .. } => {
                self.live = true;
                None
            }
            Event::Over { waiting } => {
                self.live = false;
                (*waiting > 0).then(|| kept(*waiting))
            }
            Event::Trouble(text) => {
                Some(notice("カメラで確認できません / Sudare cannot watch the seat", text))
            }
            Event::EnrolAgain => Some(enrol_again()),
            Event::Withdrawn(_) => Some(withdrawn()),
            Event::Notice(_) => Some(reason(Reason::NoConsent)),
            // While the host is connected, only a liar beside it is ever refused.
            Event::Refused { live: false, .. } if self.live => None,
            Event::Refused { refusal, .. } => {
                Some(notice("接続が拒否されました / The connection was refused", &refusal.to_string()))
            }
            Event::Decided(decision) if decision.cover && is_camera(decision.reason) => {
                Some(reason(decision.reason))
            }
            Event::Status(status) if status.shown == Shown::Covered && is_told(status.reason) => {
                Some(reason(status.reason))
            }
            Event::Decided(_)
            | Event::Status(_)
            | Event::Receipt(_)
            | Event::Unproven(_)
            | Event::Break(_)
            | Event::Dropped(_) => None,
        }
    }
}

fn is_camera(reason: Reason) -> bool {
    matches!(reason, Reason::CameraBlocked | Reason::CameraLost | Reason::CameraBusy)
}

/// At the log-on, in a break, and where the operator asked for it, the cover is expected.
fn is_told(reason: Reason) -> bool {
    !matches!(reason, Reason::None | Reason::Starting | Reason::Break | Reason::OperatorAsked)
}

fn reason(reason: Reason) -> Notice {
    let [ja, ja_advice, en, en_advice] = reason.cover_lines();
    notice(&format!("{ja} / {en}"), &format!("{ja_advice}\n{en_advice}"))
}

fn kept(waiting: usize) -> Notice {
    notice(
        "証跡を保持しています / Evidence is kept",
        &format!(
            "未送信の記録が {waiting} 件あり、この PC に保持されています。次の接続で送信されます。\n{waiting} records wait for the host on this computer. They are sent at the next connection."
        ),
    )
}

fn withdrawn() -> Notice {
    notice(
        "同意の撤回を受け付けました / Your consent is withdrawn",
        "このホストは、登録データを消去するか、使用を止めました。デスクトップは表示されません。\nThis host has erased your data, or stopped using them. The desktop is not shown.",
    )
}

/// Told at most once a session, when two sessions in a row were less alike than the template allows.
fn enrol_again() -> Notice {
    notice(
        "顔を登録し直してください / Enrol your face again",
        "登録したときより似なくなっています。sudare enroll で登録し直し、新しいファイルを VDI 管理者に送ってください。\nYou look less like your enrolment than you did. Run sudare enroll again, and send the new file to the VDI admin.",
    )
}

fn notice(title: &str, body: &str) -> Notice {
    Notice { title: title.to_owned(), body: body.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_protocol::error::{Code, Fault, Refusal};
    use sudare_protocol::message::{CertificateCheck, Status};

    fn covered(reason: Reason) -> Event {
        Event::Status(Status { shown: Shown::Covered, reason, boot_ms: 0, incident_id: None })
    }

    #[test]
    fn each_reason_is_told_in_both_languages_and_not_again_at_once() {
        let (mut notices, start_ms) = (Notices::default(), 5_000);
        let said = notices.event(&covered(Reason::CameraBusy), start_ms).unwrap();
        assert!(said.title.contains("使用中") && said.title.contains("Another program"), "{said:?}");
        assert_eq!(said.body.lines().count(), 2);
        assert_eq!(notices.event(&covered(Reason::CameraBusy), start_ms), None);
        assert_eq!(notices.event(&covered(Reason::Break), start_ms), None);
        assert!(notices.event(&covered(Reason::CameraBusy), start_ms + AGAIN_AFTER_MS).is_some());
    }

    #[test]
    fn a_storm_of_reasons_is_cut_off() {
        let (mut notices, start_ms) = (Notices::default(), 5_000);
        let shown =
            Reason::ALL.iter().filter_map(|reason| notices.event(&covered(*reason), start_ms)).count();
        assert_eq!(shown, SHOWN_MAX);
    }

    #[test]
    fn a_template_that_fits_badly_is_told_in_both_languages() {
        let (mut notices, start_ms) = (Notices::default(), 5_000);
        let said = notices.event(&Event::EnrolAgain, start_ms).unwrap();
        assert!(
            said.title.contains("登録し直して") && said.title.contains("Enrol your face again"),
            "{said:?}"
        );
        assert_eq!(said.body.lines().count(), 2);
        assert_eq!(notices.event(&Event::EnrolAgain, start_ms + 1), None);
    }

    #[test]
    fn an_unknown_host_is_told_and_a_liar_beside_the_host_is_not() {
        let refused = || {
            let refusal = Refusal::new(Code::HostUnknown, Fault::Peer, "");
            Event::Refused { refusal, live: false }
        };
        let (mut notices, start_ms) = (Notices::default(), 5_000);
        let said = notices.event(&refused(), start_ms).unwrap();
        assert!(said.body.contains("not signed by this organisation"), "{said:?}");
        let mut notices = Notices::default();
        let certificate = CertificateCheck::NotPossible;
        notices.event(&Event::Ready { host_id: "vdi".into(), certificate, user: None }, start_ms);
        assert_eq!(notices.event(&refused(), start_ms), None);
        assert!(notices.event(&Event::Over { waiting: 2 }, start_ms).unwrap().body.contains("2 records"));
    }
}
