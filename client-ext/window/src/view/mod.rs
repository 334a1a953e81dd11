//! Draws the model with egui, and turns clicks and keys into events. No decision is made here.
//!
//! ```text
//!  top: pages, language ─ middle: the page ─ bottom: cover now, on every page
//! ```

mod enrol;
mod lists;
mod picture;
mod seat;
mod settings;

use egui::{
    Color32, CornerRadius, FontId, Frame, Key, KeyboardShortcut, Margin, Modifiers, RichText, Ui, Vec2,
};

use crate::headline::{Tone, headline};
use crate::model::{Event, Model, Page};
use crate::view::picture::Canvas;
use crate::words::{Language, Words};

/// Pages in the order of their keys.
const DIGITS: [Key; 5] = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
const COVER_KEY: Key = Key::F9;

/// What is kept between two drawings.
#[derive(Debug)]
pub(crate) struct View {
    canvas: Canvas,
    has_japanese: bool,
}

impl View {
    pub(crate) fn new(has_japanese: bool) -> Self {
        View { canvas: Canvas::default(), has_japanese }
    }

    pub(crate) fn draw(&mut self, ui: &mut Ui, model: &Model, asked: &mut Vec<Event>) {
        keys(ui, model, asked);
        egui::Panel::top("pages").show_inside(ui, |ui| pages(ui, model, asked));
        egui::Panel::bottom("cover").show_inside(ui, |ui| cover(ui, model, asked));
        egui::CentralPanel::default().show_inside(ui, |ui| {
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                self.notes(ui, model);
                match model.page {
                    Page::Seat => seat::draw(ui, model, &mut self.canvas, asked),
                    Page::Enrol => enrol::draw(ui, model, &mut self.canvas, asked),
                    Page::Receipts => lists::receipts(ui, model),
                    Page::Check => lists::check(ui, model, asked),
                    Page::Settings => settings::draw(ui, model, asked),
                }
            });
        });
    }

    fn notes(&self, ui: &mut Ui, model: &Model) {
        if !self.has_japanese {
            note(ui, "No Japanese font was found. Install the package fonts-noto-cjk to use Japanese.");
        }
        if let Some(failed) = &model.failed {
            note(ui, failed.in_language(model.language));
        }
    }
}

/// Larger letters and targets than egui's own, for people and not for tools.
pub(crate) fn style(egui: &egui::Context) {
    use egui::TextStyle::{Body, Button, Heading, Monospace, Small};
    egui.all_styles_mut(|style| {
        style.text_styles = [
            (Heading, FontId::proportional(22.0)),
            (Body, FontId::proportional(16.0)),
            (Button, FontId::proportional(16.0)),
            (Small, FontId::proportional(13.0)),
            (Monospace, FontId::monospace(14.0)),
        ]
        .into();
        style.spacing.item_spacing = Vec2::new(10.0, 8.0);
        style.spacing.button_padding = Vec2::new(12.0, 6.0);
        style.spacing.interact_size.y = 30.0;
        // Nothing moves by itself, so nothing is drawn for it.
        style.animation_time = 0.0;
    });
    // egui's own greys are for labels of tools; sentences need more contrast.
    for (theme, letters) in [(egui::Theme::Dark, 225), (egui::Theme::Light, 25)] {
        egui.style_mut_of(theme, |style| {
            let widgets = &mut style.visuals.widgets;
            for state in [&mut widgets.noninteractive, &mut widgets.inactive] {
                state.fg_stroke.color = Color32::from_gray(letters);
            }
        });
    }
}

fn name(page: Page) -> Words {
    match page {
        Page::Seat => ["状態", "State"],
        Page::Enrol => ["顔の登録", "Enrolment"],
        Page::Receipts => ["記録", "Records"],
        Page::Check => ["診断", "Diagnosis"],
        Page::Settings => ["設定", "Settings"],
    }
}

fn keys(ui: &Ui, model: &Model, asked: &mut Vec<Event>) {
    ui.input_mut(|input| {
        for (page, key) in Page::ALL.into_iter().zip(DIGITS) {
            if input.consume_shortcut(&KeyboardShortcut::new(Modifiers::COMMAND, key)) {
                asked.push(Event::Open(page));
            }
        }
        if input.consume_key(Modifiers::NONE, COVER_KEY) {
            asked.push(cover_event(model));
        }
    });
}

/// The same button covers, and ends the cover.
fn cover_event(model: &Model) -> Event {
    if model.has_asked() { Event::EndCover } else { Event::CoverNow }
}

fn pages(ui: &mut Ui, model: &Model, asked: &mut Vec<Event>) {
    let language = model.language;
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        for page in Page::ALL {
            let label = RichText::new(language.of(name(page))).strong();
            if ui.selectable_label(page == model.page, label).clicked() {
                asked.push(Event::Open(page));
            }
        }
        ui.separator();
        for other in Language::ALL {
            if ui.selectable_label(other == language, other.own_name()).clicked() {
                asked.push(Event::Speak(other));
            }
        }
    });
    ui.add_space(4.0);
}

fn cover(ui: &mut Ui, model: &Model, asked: &mut Vec<Event>) {
    let language = model.language;
    ui.add_space(6.0);
    ui.horizontal_wrapped(|ui| {
        let words: Words = if model.has_asked() {
            ["隠すのを終える", "End the cover"]
        } else {
            ["今すぐ隠す", "Cover now"]
        };
        let text = RichText::new(format!("{}  (F9)", language.of(words))).size(18.0).color(Color32::WHITE);
        let button = egui::Button::new(text).fill(colour(Tone::Wanted)).min_size(Vec2::new(180.0, 40.0));
        if ui.add_enabled(!model.seats.is_empty(), button).clicked() {
            asked.push(cover_event(model));
        }
        let hint: Words = if model.seats.is_empty() {
            ["接続中に使えます。", "Works while a remote desktop is connected."]
        } else {
            [
                "ほかのウィンドウからは Ctrl+Alt+H。終了後、おひとりなら数秒で戻ります。",
                "From other windows: Ctrl+Alt+H. It returns seconds after it ends, if you are alone.",
            ]
        };
        ui.label(RichText::new(language.of(hint)).small());
    });
    ui.add_space(6.0);
}

/// Dark enough for white letters, in both themes.
fn colour(tone: Tone) -> Color32 {
    match tone {
        Tone::Quiet => Color32::from_rgb(84, 92, 104),
        Tone::Good => Color32::from_rgb(20, 115, 60),
        Tone::Wanted => Color32::from_rgb(32, 84, 160),
        Tone::Waiting => Color32::from_rgb(150, 92, 0),
        Tone::Alarm => Color32::from_rgb(170, 30, 36),
    }
}

/// One word and a colour, with the reason and what to do.
fn banner(ui: &mut Ui, model: &Model, seat: Option<&sudare_client_runtime::seat::state::SeatState>) {
    let (shown, language) = (headline(seat), model.language);
    Frame::new()
        .fill(colour(shown.tone))
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::same(16))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            let line = |text: &str, size: f32| RichText::new(text).size(size).color(Color32::WHITE);
            ui.label(line(language.of(shown.word), 34.0).strong());
            ui.label(line(language.of(shown.what), 19.0));
            ui.label(line(language.of(shown.advice), 16.0));
        });
}

/// Something that went wrong, which stays until another page is opened.
fn note(ui: &mut Ui, text: &str) {
    Frame::new()
        .fill(colour(Tone::Waiting))
        .corner_radius(CornerRadius::same(6))
        .inner_margin(Margin::same(10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(text).color(Color32::WHITE));
        });
}
