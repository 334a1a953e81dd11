//! Who, what, when, how fast, and how far the statements reach.

use sudare_protocol::message::{CameraKind, CertificateCheck, KeyKept};
use sudare_protocol::reason::Reason;

use crate::audit::erase::survey;
use crate::audit::export::contents::Contents;
use crate::audit::export::html::{escape, heading};
use crate::audit::incidents::utc;
use crate::store::blobs::hex;

pub(super) fn render(contents: &Contents) -> String {
    let mut rows = Rows(String::new());
    general(contents, &mut rows);
    people(contents, &mut rows);
    assurance(contents, &mut rows);
    format!("{}<dl class=\"facts\">\n{}</dl>\n", heading("概要", "Summary"), rows.0)
}

struct Rows(String);

impl Rows {
    fn add(&mut self, ja: &str, en: &str, value: &str) {
        self.0 +=
            &format!("<div><dt>{ja} / <span lang=\"en\">{en}</span></dt><dd>{}</dd></div>\n", escape(value));
    }
}

fn general(contents: &Contents, rows: &mut Rows) {
    let incident = &contents.incident;
    rows.add("インシデント番号", "Incident", &incident.id);
    rows.add("発生時刻（ホストの時計、UTC）", "When, by the host's clock", &incident.time);
    let number =
        incident.reason_known.map_or_else(String::new, |reason| format!(" ({})", Reason::number(reason)));
    rows.add("理由コード", "Reason code", &format!("{}{number}", incident.reason));
    let latency = match incident.cover_ms {
        Some(ms) => format!("{ms} ms"),
        None => "記録なし / not recorded".to_owned(),
    };
    rows.add("判定から遮蔽まで", "From the decision to the cover", &latency);
    rows.add("ログ", "Log", &contents.facts.origin);
    let size = contents.checkpoint.size();
    rows.add(
        "チェックポイント",
        "Checkpoint",
        &format!("{size} 件 / entries · root {}", hex(&contents.checkpoint.root())),
    );
    let witnesses = contents.checkpoint.note().lines().filter(|line| line.starts_with('\u{2014}')).count();
    let others = witnesses.saturating_sub(1);
    let text = if others == 0 {
        "なし / none in this copy".to_owned()
    } else {
        format!("{others}（verify-export --witness で検証 / check with verify-export --witness）")
    };
    rows.add("証人の副署", "Lines of witnesses", &text);
}

/// Numbers, never names: who stands behind them is kept elsewhere.
fn people(contents: &Contents, rows: &mut Rows) {
    let (_, session_id) = survey::ids_of(&contents.incident);
    let Some(session) = contents.sessions.get(session_id) else {
        rows.add("セッション", "Session", "記録なし / not recorded");
        return;
    };
    rows.add("セッション", "Session", &hex(&session.hello.session_id));
    rows.add("端末（鍵から導出した番号）", "Device, named by its key", &hex(&session.open.device_id));
    let subject = session.subject_id.map_or_else(|| "記録なし / not recorded".to_owned(), |id| hex(&id));
    rows.add("利用者（無作為な番号）", "Person, as a random number", &subject);
    if let Some(host) = session.host_id() {
        rows.add("ホスト", "Host", &host);
    }
    if let Some((organisation, serial)) = session.policy() {
        rows.add("適用ポリシー", "Policy", &format!("{organisation} · {serial} 号 / serial {serial}"));
    }
    rows.add("クライアント", "Client software", &session.open.software);
    let client = utc(session.open.wall_ms);
    let host = utc(session.hello.wall_ms);
    rows.add(
        "接続時の時計（ホスト・端末）",
        "Clocks at the handshake: host, device",
        &format!("{host} · {client}"),
    );
}

/// The assurance class: how far the client's word can be trusted, by its own signed word.
fn assurance(contents: &Contents, rows: &mut Rows) {
    let (_, session_id) = survey::ids_of(&contents.incident);
    let open = contents.sessions.get(session_id).map(|session| &session.open);
    let basis = contents.sessions.manifest.as_ref().and_then(|manifest| manifest.basis.as_ref());
    let key = basis.and_then(|basis| basis.key_kept).or_else(|| open.and_then(|open| open.key_assurance));
    let key = match key.and_then(KeyKept::from_number) {
        Some(KeyKept::Platform) => "端末の鍵ストア / platform key store",
        Some(KeyKept::File) => "ファイル / file",
        None => "不明 / not known",
    };
    rows.add("保証区分：端末の鍵", "Assurance: device key", key);
    let camera = match basis.and_then(|basis| basis.camera).and_then(CameraKind::from_number) {
        Some(CameraKind::Hardware) => "ハードウェア / hardware",
        Some(CameraKind::Virtual) => "仮想カメラ / virtual camera",
        Some(CameraKind::Stream) => "画像ストリーム / stream",
        Some(CameraKind::Film) => "録画ファイル / film file",
        None => "不明 / not known",
    };
    rows.add("保証区分：カメラ", "Assurance: camera", camera);
    let certificate = match basis.map(|basis| basis.certificate).or_else(|| open.map(|open| open.certificate))
    {
        Some(CertificateCheck::Same) => "一致を確認 / compared, the same",
        Some(CertificateCheck::NotPossible) => "照合できず / could not be compared",
        None => "不明 / not known",
    };
    rows.add("保証区分：接続先の証明書", "Assurance: server certificate", certificate);
    if let Some(basis) = basis {
        let milli = |value: i32| format!("{}.{:03}", value / 1000, value.unsigned_abs() % 1000);
        let cosine = contents.sessions.manifest.as_ref().and_then(|manifest| manifest.cosine_milli);
        let cosine = cosine.map_or_else(|| "–".to_owned(), milli);
        let text = format!(
            "{cosine}（本人 / operator ≥ {}、他人 / stranger < {}）· {} ms / {} ms",
            milli(basis.operator_min_milli),
            milli(basis.stranger_max_milli),
            basis.not_alone_ms,
            basis.hold_ms
        );
        rows.add("判定値（類似度・継続時間／しきい値）", "Decision: similarity; exposure / hold", &text);
    }
}
