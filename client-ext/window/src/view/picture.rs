//! A camera picture with what the models see in it.

use std::sync::Arc;

use egui::{
    Color32, ColorImage, CornerRadius, FontId, Pos2, Rect, Stroke, StrokeKind, TextureHandle, TextureOptions,
    Ui, Vec2,
};
use sudare_client_runtime::seat::message::{Person, SeenFace};

use crate::shown::Shown;
use crate::words::{Language, Words};

/// On the screen, in points.
const WIDTH: f32 = 480.0;

/// The texture of the newest picture.
#[derive(Default)]
pub(super) struct Canvas {
    texture: Option<TextureHandle>,
    of: Option<Arc<Shown>>,
}

impl std::fmt::Debug for Canvas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Canvas")
    }
}

impl Canvas {
    /// Draws it, as wide as there is room; forgets it where there is none.
    pub(super) fn draw(&mut self, ui: &mut Ui, shown: Option<&Arc<Shown>>, language: Language) {
        let Some(shown) = shown else {
            (self.texture, self.of) = (None, None);
            ui.label(language.of(["カメラを開いています…", "Opening the camera…"]));
            return;
        };
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, shown)) {
            // Whatever a plugin claims: egui needs the bytes to fit the size.
            if shown.size[0] * shown.size[1] * 3 != shown.rgb.len() || shown.rgb.is_empty() {
                return;
            }
            let image = ColorImage::from_rgb(shown.size, &shown.rgb);
            match &mut self.texture {
                Some(texture) => texture.set(image, TextureOptions::LINEAR),
                None => self.texture = Some(ui.ctx().load_texture("camera", image, TextureOptions::LINEAR)),
            }
            self.of = Some(Arc::clone(shown));
        }
        let Some(texture) = &self.texture else { return };
        #[allow(clippy::cast_precision_loss, reason = "sides of a small picture")]
        let aspect = shown.size[1] as f32 / shown.size[0] as f32;
        let width = ui.available_width().min(WIDTH);
        let (place, _) = ui.allocate_exact_size(Vec2::new(width, width * aspect), egui::Sense::hover());
        let whole = Rect::from_min_max(Pos2::ZERO, Pos2::new(1.0, 1.0));
        let painter = ui.painter_at(place);
        // As a mirror, so that left is left for whoever moves.
        let mirrored = Rect::from_min_max(whole.right_top(), whole.left_bottom());
        painter.image(texture.id(), place, mirrored, Color32::WHITE);
        for phone in &shown.phones {
            let words: Words = ["スマートフォン", "phone"];
            mark(&painter, on(place, phone), Color32::from_rgb(230, 70, 220), language.of(words));
        }
        for face in &shown.faces {
            let (colour, words) = told(face.who);
            mark(&painter, on(place, &face.area), colour, &label(face, words, language));
        }
    }
}

/// A part of the picture, mirrored.
fn on(place: Rect, [x, y, w, h]: &[f32; 4]) -> Rect {
    let left = place.left() + (1.0 - x - w) * place.width();
    let min = Pos2::new(left, place.top() + y * place.height());
    Rect::from_min_size(min, Vec2::new(w * place.width(), h * place.height()))
}

fn mark(painter: &egui::Painter, area: Rect, colour: Color32, text: &str) {
    painter.rect_stroke(area, CornerRadius::same(4), Stroke::new(3.0, colour), StrokeKind::Inside);
    let text = painter.layout_no_wrap(text.to_owned(), FontId::proportional(14.0), Color32::WHITE);
    // Above the face, or within the picture where there is no room.
    let top = (area.top() - text.size().y - 4.0).max(painter.clip_rect().top());
    let at = Rect::from_min_size(Pos2::new(area.left(), top), text.size() + Vec2::new(8.0, 2.0));
    painter.rect_filled(at, CornerRadius::same(3), Color32::from_black_alpha(190));
    painter.galley(at.min + Vec2::new(4.0, 1.0), text, Color32::WHITE);
}

fn told(who: Person) -> (Color32, Words) {
    match who {
        Person::Operator => (Color32::from_rgb(70, 200, 110), ["あなた", "you"]),
        Person::Somebody => (Color32::from_rgb(235, 70, 70), ["ほかの人", "somebody else"]),
        Person::Undecided => (Color32::from_rgb(240, 180, 50), ["確認中", "not sure yet"]),
    }
}

fn label(face: &SeenFace, words: Words, language: Language) -> String {
    let who = language.of(words);
    match face.metres {
        Some(metres) => format!("{who}  {} {metres:.1} m", language.of(["約", "about"])),
        None => who.to_owned(),
    }
}
