//! Camera, language, size and theme.

use egui::{RichText, ThemePreference, Ui};

use crate::model::{Event, Model};
use crate::words::Words;

const ZOOMS: [f32; 4] = [1.0, 1.25, 1.5, 2.0];
const THEMES: [(ThemePreference, Words); 3] = [
    (ThemePreference::System, ["システムに合わせる", "As the system"]),
    (ThemePreference::Light, ["明るい", "Light"]),
    (ThemePreference::Dark, ["暗い", "Dark"]),
];

pub(super) fn draw(ui: &mut Ui, model: &Model, asked: &mut Vec<Event>) {
    let language = model.language;
    let title = |ui: &mut Ui, words: Words| {
        ui.add_space(8.0);
        ui.label(RichText::new(language.of(words)).strong());
    };
    ui.heading(language.of(["設定", "Settings"]));
    title(ui, ["カメラ", "Camera"]);
    for camera in &model.cameras {
        let text = format!("{}  ({})", camera.name, camera.source);
        if ui.radio(camera.source == model.camera, text).clicked() {
            asked.push(Event::Choose(camera.source.clone()));
        }
    }
    if !model.cameras.iter().any(|camera| camera.source == model.camera) {
        ui.radio(true, &model.camera).on_hover_text(language.of(["設定ファイルの値", "as the settings say"]));
    }
    if model.cameras.is_empty() {
        ui.label(language.of(["カメラが見つかりません。", "No camera was found."]));
    }
    ui.label(
        RichText::new(language.of([
            "次の接続から使われます。「状態」のプレビューで確かめてください。",
            "Used from the next connection on. Look at the preview on the page State.",
        ]))
        .small(),
    );
    title(ui, ["文字の大きさ", "Size"]);
    ui.horizontal_wrapped(|ui| {
        for zoom in ZOOMS {
            let is_now = (ui.ctx().zoom_factor() - zoom).abs() < 0.01;
            if ui.selectable_label(is_now, format!("{:.0} %", zoom * 100.0)).clicked() {
                ui.ctx().set_zoom_factor(zoom);
            }
        }
    });
    title(ui, ["明るさ", "Theme"]);
    ui.horizontal_wrapped(|ui| {
        let now = ui.ctx().options(|options| options.theme_preference);
        for (theme, words) in THEMES {
            if ui.selectable_label(theme == now, language.of(words)).clicked() {
                ui.ctx().set_theme(theme);
            }
        }
    });
    title(ui, ["キー", "Keys"]);
    for words in [
        ["Ctrl+1 … Ctrl+5: ページ", "Ctrl+1 … Ctrl+5: pages"],
        ["Tab、スペース: 移動と選択", "Tab, Space: move and choose"],
        [
            "F9: 今すぐ隠す（ほかのウィンドウからは Ctrl+Alt+H）",
            "F9: cover now (Ctrl+Alt+H from other windows)",
        ],
        ["Ctrl と + / -: 大きさ", "Ctrl and + / -: size"],
    ] {
        ui.label(language.of(words));
    }
}
