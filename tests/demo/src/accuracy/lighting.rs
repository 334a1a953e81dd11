//! The light of a screen on the rig's people, pictures and things: where each of the kit's surfaces is.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a webcam's picture"
)]

use image::RgbImage;
use sudare_test_kit::lighting::{Relit, Surface};

use super::painter::Placed;
use super::sprite::Medium;

/// For a room with these people, pictures and things, nearest last.
pub(super) fn relit(picture: &RgbImage, placed: &[(&Placed, Medium)]) -> Relit {
    let mut relit = Relit::wall(picture.width(), picture.height());
    for (person, medium) in placed {
        put(&mut relit, person, *medium);
    }
    relit
}

fn put(relit: &mut Relit, person: &Placed, medium: Medium) {
    let ([x, y, w, h], sprite) = (person.head(), &person.sprite);
    let falloff = (0.6 / person.metres.max(0.1)).powi(2);
    let left = (person.at[0] + sprite.corner[0]).round();
    let top = (person.at[1] + sprite.corner[1]).round();
    let [width, height] = relit.size();
    if person.clothes.is_some() {
        let wide = [x - w * 0.6, x + w * 1.6];
        for row in ((y + h * 1.1).max(0.0) as u32)..height {
            for column in (wide[0].max(0.0) as u32)..(wide[1].clamp(0.0, width as f32) as u32) {
                relit.set(column, row, Surface::Clothes.receives() * falloff, 1.0);
            }
        }
    }
    for ((px, py, _), alpha) in sprite.rgb.enumerate_pixels().zip(&sprite.alpha) {
        let (column, row) = (left + px as f32, top + py as f32);
        let is_outside = column < 0.0 || row < 0.0 || column >= width as f32 || row >= height as f32;
        if *alpha <= 0.0 || is_outside {
            continue;
        }
        let at = [(column - x - w / 2.0) / (w / 2.0), (row - y - h / 2.0) / (h / 2.0)];
        let surface = match medium {
            Medium::Person => Surface::Head(at),
            Medium::Print | Medium::Poster => Surface::Paper,
            Medium::Phone | Medium::Television => Surface::Glass,
        };
        relit.set(column as u32, row as u32, surface.receives() * falloff, *alpha);
    }
}
