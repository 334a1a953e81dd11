//! A picture in the making: its colours in the light of the room, and what each pixel gives back of a screen's light.

use image::RgbImage;

use crate::lighting::Relit;

pub(super) struct Canvas {
    pub(super) picture: RgbImage,
    pub(super) relit: Relit,
}

impl Canvas {
    /// What covers the share `over` of a pixel that is inside the picture.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of two numbers of a picture is one as well"
    )]
    pub(super) fn put(&mut self, x: u32, y: u32, colour: [f32; 3], received: f32, over: f32) {
        let Some(pixel) = self.picture.get_pixel_mut_checked(x, y) else { return };
        for (value, colour) in pixel.0.iter_mut().zip(colour) {
            let under = f32::from(*value);
            *value = (under + (colour - under) * over).round() as u8;
        }
        self.relit.set(x, y, received, over);
    }
}
