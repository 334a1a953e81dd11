//! The statements about an incident: who, what, when, how fast, and how far they can be trusted.

use serde::Serialize;
use sudare_protocol::hex::hex;
use sudare_protocol::message::{self, CameraKind, CertificateCheck, KeyKept};
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::SignedCheckpoint;
use sudare_protocol::utc::utc;

use super::messages::Text;
use super::sessions::Sessions;
use crate::incidents::{Incident, took};

/// One statement about an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub name: Text,
    /// What is known.
    pub value: Text,
}

/// What is known about an incident, from its verified entries.
pub(crate) fn facts(incident: &Incident, sessions: &Sessions, checkpoint: &SignedCheckpoint) -> Vec<Fact> {
    let mut facts = Facts(Vec::new());
    general(incident, &mut facts);
    log(checkpoint, &mut facts);
    people(incident, sessions, &mut facts);
    assurance(incident, sessions, &mut facts);
    facts.0
}

struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, ja: &str, en: &str, value: Text) {
        self.0.push(Fact { name: Text::new(ja, en), value });
    }
}

fn general(incident: &Incident, facts: &mut Facts) {
    facts.add("インシデント番号", "Incident", Text::same(&incident.id));
    facts.add("発生時刻（ホストの時計、UTC）", "Time, by the host's clock (UTC)", Text::same(&incident.time));
    let number =
        incident.reason_known.map_or_else(String::new, |reason| format!(" ({})", Reason::number(reason)));
    facts.add("理由コード", "Reason code", Text::same(format!("{}{number}", incident.reason)));
    let latency = incident.cover_ms.map_or_else(not_recorded, |ms| Text::same(took(ms)));
    facts.add("ホストの判定から遮蔽まで", "From the host's decision to the cover", latency);
}

fn log(checkpoint: &SignedCheckpoint, facts: &mut Facts) {
    facts.add("ログ", "Log", Text::same(&checkpoint.checkpoint().origin));
    let size = checkpoint.size();
    facts.add("チェックポイント", "Checkpoint", Text::new(format!("{size} 件"), format!("{size} entries")));
    facts.add("ルートハッシュ", "Root hash", Text::same(hex(&checkpoint.root())));
    let signatures = checkpoint.note().lines().filter(|line| line.starts_with('\u{2014}')).count();
    let witnesses = match signatures.saturating_sub(1) {
        0 => Text::new("なし", "none in this copy"),
        others => Text::new(
            format!("{others}（--witness で検証）"),
            format!("{others} (to verify them, give `verify` or `verify-export` a --witness)"),
        ),
    };
    facts.add("証人の副署", "Witness cosignatures", witnesses);
}

/// Ids, never names: who they stand for is recorded elsewhere.
fn people(incident: &Incident, sessions: &Sessions, facts: &mut Facts) {
    let (_, session_id) = incident.ids();
    let Some(session) = sessions.get(session_id) else {
        facts.add("セッション", "Session", not_recorded());
        return;
    };
    facts.add("セッション", "Session", Text::same(hex(&session.hello.session_id)));
    facts.add(
        "端末（鍵から導出した番号）",
        "Device (id derived from its key)",
        Text::same(hex(&session.open.device_id)),
    );
    let subject = session.subject_id.map_or_else(not_recorded, |id| Text::same(hex(&id)));
    facts.add("利用者（無作為な番号）", "User (random id)", subject);
    if let Some(host) = session.host_id() {
        facts.add("ホスト", "Host", Text::same(host));
    }
    if let Some((organisation, serial)) = session.policy() {
        let policy = Text::new(
            format!("{organisation}、第 {serial} 号"),
            format!("{organisation}, serial number {serial}"),
        );
        facts.add("適用ポリシー", "Policy", policy);
    }
    facts.add("クライアント", "Client software", Text::same(&session.open.software));
    let (host, client) = (utc(session.hello.wall_ms), utc(session.open.wall_ms));
    facts.add(
        "接続時の時計（ホスト・端末）",
        "Clocks at the handshake: host, device",
        Text::same(format!("{host} · {client}")),
    );
}

/// The assurance class: how far the client's statements can be trusted, according to its own signed statement.
fn assurance(incident: &Incident, sessions: &Sessions, facts: &mut Facts) {
    let (_, session_id) = incident.ids();
    let open = sessions.get(session_id).map(|session| &session.open);
    let basis = sessions.manifest.as_ref().and_then(|manifest| manifest.basis.as_ref());
    let key = basis.and_then(|basis| basis.key_kept).or_else(|| open.and_then(|open| open.key_assurance));
    let key = match key.and_then(KeyKept::from_number) {
        Some(KeyKept::Platform) => Text::new("端末の鍵ストア", "platform key store"),
        Some(KeyKept::File) => Text::new("ファイル", "file"),
        None => not_known(),
    };
    facts.add("保証区分：端末の鍵", "Assurance: device key", key);
    let camera = match basis.and_then(|basis| basis.camera).and_then(CameraKind::from_number) {
        Some(CameraKind::Hardware) => Text::new("ハードウェア", "hardware"),
        Some(CameraKind::Virtual) => Text::new("仮想カメラ", "virtual camera"),
        Some(CameraKind::Stream) => Text::new("画像ストリーム", "stream"),
        Some(CameraKind::Film) => Text::new("録画ファイル", "video file"),
        None => not_known(),
    };
    facts.add("保証区分：カメラ", "Assurance: camera", camera);
    let certificate = match basis.map(|basis| basis.certificate).or_else(|| open.map(|open| open.certificate))
    {
        Some(CertificateCheck::Same) => Text::new("一致を確認", "matches the host's"),
        Some(CertificateCheck::NotPossible) => Text::new("照合できず", "could not be compared"),
        None => not_known(),
    };
    facts.add("保証区分：接続先の証明書", "Assurance: server certificate", certificate);
    let cosine_milli = sessions.manifest.as_ref().and_then(|manifest| manifest.cosine_milli);
    if let Some(basis) = basis {
        decision(basis, cosine_milli, facts);
    }
}

fn decision(basis: &message::Basis, cosine_milli: Option<i32>, facts: &mut Facts) {
    let phone = match basis.phone {
        Some(true) => Text::new("検知あり", "looked for; one was in view"),
        Some(false) => Text::new("検知なし（監視中）", "looked for; none was in view"),
        None => Text::new("監視していない", "not looked for"),
    };
    facts.add("保証区分：スマートフォン", "Assurance: phones", phone);
    let living = match basis.assurance {
        Some(0) => Text::new("確認していない", "not looked at"),
        Some(1) => Text::new("受動的な手掛かり（否定のみ可能）", "passive cues, which can only deny it"),
        _ => not_known(),
    };
    facts.add("保証区分：生きている顔か", "Assurance: a living face", living);
    let milli = |value: i32| {
        let sign = if value < 0 { "-" } else { "" };
        format!("{sign}{}.{:03}", value.unsigned_abs() / 1000, value.unsigned_abs() % 1000)
    };
    let cosine = cosine_milli.map_or_else(|| "–".to_owned(), milli);
    let (operator, stranger) = (milli(basis.operator_min_milli), milli(basis.stranger_max_milli));
    let similarity = Text::new(
        format!("{cosine}（本人 ≥ {operator}、他人 < {stranger}）"),
        format!("{cosine} (operator ≥ {operator}, stranger < {stranger})"),
    );
    facts.add("判定値：登録した顔との類似度", "Decision: similarity to the operator", similarity);
    facts.add(
        "判定値：露出量（加重）／許容値",
        "Decision: exposure / hold",
        Text::same(format!("{} ms / {} ms", basis.not_alone_ms, basis.hold_ms)),
    );
}

fn not_recorded() -> Text {
    Text::new("記録なし", "not recorded")
}

fn not_known() -> Text {
    Text::new("不明", "unknown")
}
