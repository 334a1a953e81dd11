//! A copy of what the remote desktop shows.

use std::fmt;
use std::io::{self, Write};

/// RGBA, `width * height * 4` bytes, top row first.
#[derive(Clone)]
pub struct ClientPicture {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Red, green, blue, and 255.
    pub rgba: Vec<u8>,
}

// The picture shows confidential data, so it must not reach a log by accident.
impl fmt::Debug for ClientPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientPicture({}x{})", self.width, self.height)
    }
}

impl ClientPicture {
    /// Writes the picture as PNG.
    ///
    /// # Errors
    /// If the destination cannot be written.
    pub fn write_png(&self, to: impl Write) -> io::Result<()> {
        let mut encoder = png::Encoder::new(to, self.width.into(), self.height.into());
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgba)?;
        Ok(writer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn png_keeps_the_pixels() {
        let rgba: Vec<u8> = (0..3 * 2 * 4).collect();
        let mut file = Vec::new();
        ClientPicture { width: 3, height: 2, rgba: rgba.clone() }.write_png(&mut file).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, rgba);
    }
}
