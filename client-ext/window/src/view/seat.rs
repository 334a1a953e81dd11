//! The first page: each connection in one word, and the preview.

use egui::{RichText, Ui};
use sudare_client_runtime::seat::state::SeatState;
use sudare_protocol::reason::State;

use super::picture::Canvas;
use super::{banner, note};
use crate::headline::{Tone, headline};
use crate::model::{Event, Model, Preview};
use crate::words::{Language, Words};

/// So wide, in points, is a page with two columns.
const BESIDE_MIN: f32 = 640.0;

pub(super) fn draw(ui: &mut Ui, model: &Model, canvas: &mut Canvas, asked: &mut Vec<Event>) {
    if model.seats.is_empty() {
        banner(ui, model, None);
    }
    let only = model.seats.values().next().filter(|_| model.seats.len() == 1);
    for (id, seat) in &model.seats {
        banner(ui, model, Some(seat));
        if only.is_none() {
            ui.push_id(id, |ui| facts(ui, seat, model.language));
        }
    }
    // Always in the same place, so that the keyboard stays on it.
    button(ui, model, asked);
    match only {
        // Beside each other where there is room.
        Some(seat) if is_on(model) && ui.available_width() >= BESIDE_MIN => {
            ui.columns_const(|[left, right]| {
                facts(left, seat, model.language);
                preview(right, model, canvas);
            });
        }
        Some(seat) => {
            preview(ui, model, canvas);
            facts(ui, seat, model.language);
        }
        None => preview(ui, model, canvas),
    }
}

fn facts(ui: &mut Ui, seat: &SeatState, language: Language) {
    if let Some(trouble) = &seat.trouble {
        note(ui, trouble);
    }
    if seat.enrol_again {
        note(
            ui,
            language.of([
                "登録したときより似なくなっています。「顔の登録」でもう一度登録してください。",
                "You look less like your enrolment than you did. Enrol again on the page Enrolment.",
            ]),
        );
    }
    let checked: Words = if seat.certificate_checked {
        ["確認済み", "checked"]
    } else {
        ["未確認", "not compared by this client"]
    };
    let host = seat.host.as_deref().unwrap_or("—");
    let seen = seat.known_seat().map_or(["?", "?"], seen);
    let break_words: Words = if seat.on_break {
        ["休憩中（カメラは停止）", "on a break; the camera is off"]
    } else {
        ["使用中", "in use"]
    };
    egui::Grid::new("facts").num_columns(2).spacing([18.0, 4.0]).show(ui, |ui| {
        let mut row = |name: Words, value: &str| {
            ui.label(RichText::new(language.of(name)).strong());
            ui.label(value);
            ui.end_row();
        };
        row(["ホスト", "Host"], host);
        row(["証明書", "Certificate"], language.of(checked));
        row(["カメラ", "Camera"], &format!("{} ({})", seat.camera, language.of(break_words)));
        row(["カメラの前", "In front of it"], language.of(seen));
        if seat.waiting > 0 {
            row(["送信待ちの記録", "Records to be sent"], &seat.waiting.to_string());
        }
    });
    // Not where the operator wanted it.
    if seat.covered && seat.host.is_some() && headline(Some(seat)).tone != Tone::Wanted {
        let hint: Words = [
            "誤りだと思うときは、隠された画面の上で F3 を押すと報告できます。",
            "If you think that this is wrong, press F3 on the covered screen to report it.",
        ];
        ui.label(RichText::new(language.of(hint)).small());
    }
}

/// What a state means for the person at the seat.
fn seen(state: State) -> Words {
    match state {
        State::Clear => ["あなただけです", "you alone"],
        State::Undecided => ["だれか確認しています", "somebody, not sure who"],
        State::Onlooker => ["あなたと、ほかの人", "you, and somebody else"],
        State::Stranger => ["ほかの人", "somebody else"],
        State::Absent => ["だれもいません", "nobody"],
        State::CameraBlocked => ["見えません（覆われているか暗い）", "nothing: covered, or too dark"],
        State::CameraLost => ["映像がありません", "no picture"],
        State::Spoof => ["写真かもしれません", "perhaps a photograph"],
        State::Phone => ["スマートフォン", "a phone"],
    }
}

fn is_on(model: &Model) -> bool {
    matches!(model.preview, Preview::On(_))
}

fn button(ui: &mut Ui, model: &Model, asked: &mut Vec<Event>) {
    let words: Words = if is_on(model) {
        ["プレビューを閉じる", "Close the preview"]
    } else {
        ["カメラのプレビューを開く", "Open the camera's preview"]
    };
    if ui.button(model.language.of(words)).clicked() {
        asked.push(Event::Preview(!is_on(model)));
    }
}

fn preview(ui: &mut Ui, model: &Model, canvas: &mut Canvas) {
    let language = model.language;
    if let Preview::Ended(why) = &model.preview {
        note(ui, why.in_language(language));
    }
    if is_on(model) {
        let words: Words = [
            "カメラは開いています。映像はこの PC の外へ出ません。",
            "The camera is on. Pictures do not leave this PC.",
        ];
        ui.label(RichText::new(language.of(words)).small());
        canvas.draw(ui, model.picture.as_ref(), language);
    }
}
