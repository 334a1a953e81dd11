//! What was recorded of this seat, and the diagnosis.

use egui::{Color32, RichText, Ui};
use sudare_client_runtime::receipts::Receipt;
use sudare_protocol::reason::Reason;

use super::{colour, note};
use crate::headline::Tone;
use crate::model::{Event, Model};
use crate::words::{Language, local_time};

/// Receipts that are drawn; `sudare receipts` lists all.
const SHOWN_MAX: usize = 100;

pub(super) fn receipts(ui: &mut Ui, model: &Model) {
    let (language, listing) = (model.language, &model.listing);
    ui.heading(language.of(["この席の記録", "What was recorded of this seat"]));
    ui.label(
        RichText::new(language.of([
            "暗号化された画像を開けるのは、組織のセキュリティ部門だけです。",
            "Only the security team of your organisation can open the sealed pictures.",
        ]))
        .small(),
    );
    if listing.waiting > 0 {
        let count = listing.waiting;
        note(
            ui,
            &match language {
                Language::Japanese => format!("{count} 件が送信待ちです。次の接続で送られます。"),
                Language::English => format!("{count} records wait for the next connection."),
            },
        );
    }
    if listing.receipts.is_empty() {
        ui.label(language.of(["記録はありません。", "Nothing was recorded."]));
    }
    for receipt in listing.receipts.iter().take(SHOWN_MAX) {
        ui.separator();
        entry(ui, receipt, language);
    }
    let more = listing.receipts.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        ui.separator();
        ui.label(format!("+ {more}: sudare receipts"));
    }
    if listing.unreadable > 0 {
        ui.separator();
        let count = listing.unreadable;
        ui.label(match language {
            Language::Japanese => format!("読めない受領記録が {count} 件あります。"),
            Language::English => format!("{count} receipts cannot be read; you may delete their files."),
        });
    }
}

fn entry(ui: &mut Ui, receipt: &Receipt, language: Language) {
    let reason = Reason::ALL.iter().find(|reason| reason.as_str() == receipt.reason);
    let why =
        reason.map_or(receipt.reason.as_str(), |reason| language.of([reason.japanese(), reason.english()]));
    ui.label(RichText::new(format!("{}   {why}", local_time(receipt.sealed_ms))).strong());
    let (host, received) = (&receipt.host, local_time(receipt.received_ms));
    ui.label(match language {
        Language::Japanese => format!("{host} が {received} に保存（記録 {}）", receipt.leaf_index),
        Language::English => format!("kept by {host} since {received} (entry {})", receipt.leaf_index),
    });
    ui.label(RichText::new(&receipt.incident).monospace().small());
}

pub(super) fn check(ui: &mut Ui, model: &Model, asked: &mut Vec<Event>) {
    let (language, check) = (model.language, &model.check);
    ui.heading(language.of(["診断", "Diagnosis"]));
    ui.label(language.of([
        "カメラ、モデル、プラグイン、この PC のファイルを調べます（sudare doctor）。",
        "Looks at cameras, models, the plugin and this PC's files (sudare doctor).",
    ]));
    let button = egui::Button::new(language.of(["診断を始める", "Run it"]));
    if ui.add_enabled(!check.running, button).clicked() {
        asked.push(Event::Check);
    }
    if check.running {
        ui.label(language.of(["調べています…", "Looking…"]));
    }
    match &check.over {
        Some(Ok(())) => {
            ui.label(RichText::new(language.of(["問題はありません。", "No problems."])).strong());
        }
        Some(Err(_)) => note(
            ui,
            language.of([
                "問題があります。上から順に直してください。",
                "There are problems. Fix them in the order shown.",
            ]),
        ),
        None => {}
    }
    for line in &check.lines {
        let text = RichText::new(line).monospace();
        let is_problem = line.starts_with("PROBLEM");
        ui.label(if is_problem {
            text.background_color(colour(Tone::Alarm)).color(Color32::WHITE)
        } else {
            text
        });
    }
    if let Some(Err(why)) = &check.over {
        ui.label(RichText::new(why).small());
    }
}
