//! The pictures in pairs: what the camera saw next to what the screen showed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sudare_protocol::evidence::{BlobRef, Label, Media};
use sudare_protocol::hex::hex;
use sudare_protocol::seal::SALT_BYTES;

use crate::export::bundle::Bundle;
use crate::export::contents::Contents;
use crate::export::proof::{PictureFact, Problem};
use crate::html::heading;
use crate::summary::messages;

/// Camera pictures with the screenshot of the same moment.
const ROWS: [([Label; 2], Label); 2] = [
    ([Label::CameraAtPixelated, Label::CameraAt], Label::ScreenshotAtCover),
    ([Label::CameraBeforePixelated, Label::CameraBefore], Label::ScreenshotSuspect),
];
const AFTER: [Label; 2] = [Label::CameraAfterPixelated, Label::CameraAfter];

pub(super) fn section(bundle: &Bundle, contents: &Contents) -> String {
    let mut text = heading("画像", "Pictures");
    if contents.pictures.is_empty() {
        return text + "<div class=\"empty\">画像はありません / There are no pictures</div>\n";
    }
    text += "<div class=\"pair column\"><div>カメラ / <span lang=\"en\">Camera</span></div>\
             <div>表示されていた画面 / <span lang=\"en\">What the screen showed</span></div></div>\n";
    for (camera, screen) in ROWS {
        text += &row(bundle, contents, camera, Some(screen));
    }
    let after = row(bundle, contents, AFTER, None);
    let known = |label: u8| Label::from_number(label).is_some();
    let others: String = contents
        .pictures
        .iter()
        .filter(|(blob, _)| !known(blob.label))
        .map(|(blob, fact)| figure(bundle, blob, fact))
        .collect();
    text += &after;
    if !others.is_empty() {
        text += &format!("<div class=\"pair\">{others}</div>\n");
    }
    text
}

/// One moment. A camera picture is shown in its opened versions, the pixelated one first.
fn row(bundle: &Bundle, contents: &Contents, camera: [Label; 2], screen: Option<Label>) -> String {
    let of = |label: Label| {
        contents.pictures.iter().filter(move |(blob, _)| blob.label == label.number()).collect::<Vec<_>>()
    };
    let versions: Vec<_> = camera.into_iter().flat_map(of).collect();
    let opened: Vec<_> = versions.iter().filter(|(_, fact)| fact.opened.is_some()).collect();
    let left: String = if opened.is_empty() {
        versions.first().map(|(blob, fact)| figure(bundle, blob, fact)).unwrap_or_default()
    } else {
        opened.iter().map(|(blob, fact)| figure(bundle, blob, fact)).collect()
    };
    let right: String =
        screen.into_iter().flat_map(of).map(|(blob, fact)| figure(bundle, blob, fact)).collect();
    if left.is_empty() && right.is_empty() {
        return String::new();
    }
    let none = "<div class=\"empty\">記録なし / not recorded</div>";
    let or_none = |side: String| if side.is_empty() { none.to_owned() } else { side };
    let right = if screen.is_some() { or_none(right) } else { right };
    format!("<div class=\"pair\"><div>{}</div><div>{right}</div></div>\n", or_none(left))
}

fn figure(bundle: &Bundle, blob: &BlobRef, fact: &PictureFact) -> String {
    let label = messages::of_label(Label::from_number(blob.label));
    let id = hex(&blob.blob_id);
    let picture = match picture(bundle, blob, fact) {
        Some(source) => format!("<img src=\"{source}\" alt=\"{} / {}\">", label.ja, label.en),
        None => format!("<div class=\"none\"><span>{}</span></div>", closed(fact)),
    };
    let (class, state) = match (&fact.sealed, &fact.opened) {
        (Some(_), Some(_)) => {
            ("mark", "✓ ログの記録と一致（暗号文・原画像） / sealed and opened pictures match the log")
        }
        (Some(_), None) => ("mark", "✓ 暗号文はログの記録と一致 / the sealed file matches the log"),
        _ => ("mark no", "– この出力に含まれません / not part of this export"),
    };
    format!(
        "<figure>{picture}<figcaption><b>{} <span class=\"soft\" lang=\"en\">{}</span></b>\
         <span class=\"{class}\">{state}</span><br><span class=\"soft mono\">{} · {} B</span></figcaption></figure>\n",
        label.ja,
        label.en,
        id.get(..12).unwrap_or_default(),
        blob.size
    )
}

/// The picture embedded in the page, without the random bytes after its end.
fn picture(bundle: &Bundle, blob: &BlobRef, fact: &PictureFact) -> Option<String> {
    let bytes = bundle.get(fact.opened.as_deref()?)?;
    let picture = bytes.get(..bytes.len().checked_sub(SALT_BYTES)?)?;
    let media = Media::from_number(blob.media)?;
    Some(format!("data:{};base64,{}", media.as_str(), STANDARD.encode(picture)))
}

/// Why there is no picture.
fn closed(fact: &PictureFact) -> &'static str {
    match fact.problem {
        Some(Problem::NotChosen) => {
            "周囲の人が識別できる画像のため、既定では出力しません<br>\
             <span lang=\"en\">Bystanders can be recognised on it: exported on request only</span>"
        }
        Some(Problem::NotInStore) => {
            "保存先にありません（期限による消去など）<br>\
             <span lang=\"en\">Not in the store: erased or removed</span>"
        }
        Some(Problem::Custodian) => {
            "保管者の封印のもとにあります<br>\
             <span lang=\"en\">Under the custodian's seal, which was not taken off</span>"
        }
        Some(Problem::NotOpened) => {
            "出力者の鍵では開けませんでした<br>\
             <span lang=\"en\">The exporter's key did not open it</span>"
        }
        None => "封印されたまま<br><span lang=\"en\">Sealed, not opened</span>",
    }
}
