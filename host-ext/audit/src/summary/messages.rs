//! How entries, reasons and pictures read, in Japanese and English.

use serde::Serialize;
use sudare_protocol::cose;
use sudare_protocol::evidence::event::{Erasure, Liveness, LivenessResult, View};
use sudare_protocol::evidence::{Entry, Event, Label};
use sudare_protocol::hex::hex;
use sudare_protocol::message::{self, kind};
use sudare_protocol::reason::{Reason, State};

use crate::incidents::took;

/// A text in Japanese and English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

impl Text {
    /// A text that differs between the languages.
    pub fn new(ja: impl Into<String>, en: impl Into<String>) -> Self {
        Self { ja: ja.into(), en: en.into() }
    }

    /// A number or id, which reads the same in every language.
    pub fn same(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { ja: text.clone(), en: text }
    }
}

/// Why an incident happened.
pub fn of_reason(reason: Option<Reason>) -> Text {
    match reason {
        Some(reason) => Text::new(reason.japanese(), reason.english()),
        None => Text::new("理由は記録されていません。", "No reason was recorded."),
    }
}

/// What a picture shows, and when it was taken.
pub fn of_label(label: Option<Label>) -> Text {
    let (ja, en) = match label {
        Some(Label::CameraBefore) => ("判定前", "before the decision"),
        Some(Label::CameraAt) => ("判定時", "at the decision"),
        Some(Label::CameraAfter) => ("判定後", "after the decision"),
        Some(Label::CameraBeforePixelated) => {
            ("判定前（周囲の人の顔はモザイク処理）", "before the decision, bystanders pixelated")
        }
        Some(Label::CameraAtPixelated) => {
            ("判定時（周囲の人の顔はモザイク処理）", "at the decision, bystanders pixelated")
        }
        Some(Label::CameraAfterPixelated) => {
            ("判定後（周囲の人の顔はモザイク処理）", "after the decision, bystanders pixelated")
        }
        Some(Label::ScreenshotSuspect) => ("疑いの発生時の画面", "screen at the first suspicion"),
        Some(Label::ScreenshotAtCover) => ("遮蔽直前の画面", "screen right before the cover"),
        None => ("種類不明の画像", "picture of a kind that this version does not know"),
    };
    Text::new(ja, en)
}

/// What an entry says.
pub fn of_entry(entry: &Entry) -> Text {
    let Ok(event) = entry.event() else { return unknown() };
    let reason = of_reason(entry.reason.and_then(Reason::from_number));
    match event {
        Event::LogStart(_) => {
            Text::new("ログの開始（ホストの鍵とログの鍵）", "The log begins, with the keys of host and log")
        }
        Event::HostKeyChange(_) => Text::new("ホストの鍵の変更", "The host changed its key"),
        Event::RecorderStart(_) => Text::new("記録サービスの再開", "The recorder was restarted"),
        Event::SessionStart(_) => {
            Text::new("接続の確立（双方の署名を記録）", "Session established, signed by host and device")
        }
        Event::SessionEnd(_) => Text::new("セッションの終了", "The session ended"),
        Event::ClientMessage(body) => client_message(&body.message),
        Event::Cover(cover) => {
            let time = took(cover.effective_boot_ms.saturating_sub(cover.asked_boot_ms));
            let (seen_ja, seen_en) = if cover.confirmed {
                ("遮蔽を確認", "confirmed")
            } else {
                ("未確認", "not confirmed")
            };
            Text::new(
                format!("画面を遮蔽（{time}、{seen_ja}）：{}", reason.ja),
                format!("Screen covered in {time}, {seen_en}: {}", reason.en),
            )
        }
        Event::Uncover(_) => Text::new("画面を再表示", "The desktop is shown again"),
        Event::IncidentOpen(_) => Text::new(
            format!("インシデントと判定：{}", reason.ja),
            format!("Incident declared: {}", reason.en),
        ),
        Event::PicturesStored(_) => pictures(entry, "画像を保存", "Pictures stored"),
        Event::IncidentComplete(_) => {
            pictures(entry, "インシデントの記録を完結", "Record of the incident completed, pictures")
        }
        Event::PresenceInterval(interval) => presence(interval.state, interval.attestations),
        Event::Gap(gap) => {
            let ms = gap.to_boot_ms.saturating_sub(gap.from_boot_ms);
            Text::new(
                format!("記録のない時間 {ms} ms：{}", reason.ja),
                format!("Nothing was recorded for {ms} ms: {}", reason.en),
            )
        }
        Event::Note(note) => Text::new(note.japanese(), note.english()),
        Event::Liveness(check) => liveness(check),
        Event::Tombstone(tombstone) => erasure(tombstone.blobs.len(), tombstone.cause),
        Event::Approval(_) => Text::new("消去の承認（署名付き）", "A signed approval to erase pictures"),
        Event::View(view) => opening(&view),
        Event::Unknown { .. } => unknown(),
    }
}

fn unknown() -> Text {
    Text::new("この版では読めない記録", "an entry that this version cannot read")
}

fn pictures(entry: &Entry, ja: &str, en: &str) -> Text {
    let count = entry.blobs.len();
    Text::new(format!("{ja}（{count} 枚）"), format!("{en}: {count}"))
}

fn presence(state: u8, attestations: u32) -> Text {
    let state = State::ALL.get(usize::from(state)).map_or("unknown", |state| state.as_str());
    Text::new(
        format!("端末の証明 {attestations} 件：{state}"),
        format!("{attestations} attestations by the device: {state}"),
    )
}

/// How it was checked that somebody alive is there.
fn liveness(check: Liveness) -> Text {
    let (ja, en) = match LivenessResult::from_number(check.result) {
        Some(result) => result.words(),
        None => ("この版では不明な結果", "a result that this version does not know"),
    };
    if check.opened {
        Text::new(
            format!("生体確認（再表示の根拠）：{ja}"),
            format!("Check of liveness, on which the desktop is shown: {en}"),
        )
    } else {
        Text::new(
            format!("生体確認（遮蔽を継続）：{ja}"),
            format!("Check of liveness, after which it stays covered: {en}"),
        )
    }
}

fn erasure(count: usize, cause: u8) -> Text {
    match Erasure::from_number(cause) {
        Some(Erasure::Retention) => Text::new(
            format!("保存期間の満了により画像 {count} 枚を消去"),
            format!("{count} pictures erased at the end of their retention period"),
        ),
        _ => Text::new(
            format!("承認により画像 {count} 枚を消去"),
            format!("{count} pictures erased with two approvals"),
        ),
    }
}

/// An opened picture, with the key that opened it; whose key that is, is recorded elsewhere.
fn opening(view: &View) -> Text {
    let (picture, viewer, purpose) = (hex(&view.blob_id), hex(&view.viewer), view.purpose);
    let picture = picture.get(..8).unwrap_or_default();
    Text::new(
        format!("画像 {picture} の閲覧（閲覧者の鍵 {viewer}、目的番号 {purpose}）"),
        format!("Picture {picture} was opened with key {viewer} for purpose number {purpose}"),
    )
}

/// A client's message, by its type.
fn client_message(signed: &[u8]) -> Text {
    let payload = cose::unverified_payload(signed).ok();
    let number = payload.and_then(|payload| message::split(payload).ok()).map(|(number, _, _)| number);
    let (ja, en) = match number {
        Some(kind::LOCK) => ("遮蔽を要求", "cover the screen"),
        Some(kind::UNLOCK) => ("遮蔽の解除を通知", "the reason for the cover is over"),
        Some(kind::SUSPECT) => ("疑いの通知", "someone else may be looking"),
        Some(kind::MANIFEST) => ("画像一覧の通知", "list of the incident's pictures"),
        Some(kind::ATTEST) => ("状況の証明", "attestation"),
        Some(kind::BYE) => ("終了の通知", "goodbye"),
        Some(kind::ERROR) => ("異常の通知", "error"),
        _ => ("その他", "other"),
    };
    Text::new(format!("端末からの署名付き通知：{ja}"), format!("Signed message from the device: {en}"))
}
