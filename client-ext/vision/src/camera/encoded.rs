//! A frame as a device sent it.

use super::{MAX_FRAME_PIXELS, MAX_FRAME_SIDE_PX, jpeg, yuv};

/// See the module text.
pub enum Encoded {
    Jpeg(Vec<u8>),
    Packed { picture: yuv::Packed, data: Vec<u8> },
}

impl Encoded {
    /// Width, height and RGB8 pixels.
    ///
    /// # Errors
    /// Why it cannot be read, without names.
    pub fn decode(&self) -> Result<(u32, u32, Vec<u8>), String> {
        match self {
            Self::Jpeg(data) => {
                let picture = jpeg::decode(data, MAX_FRAME_SIDE_PX, MAX_FRAME_PIXELS);
                picture.map(|p| (p.width, p.height, p.rgb)).map_err(|e| e.to_string())
            }
            Self::Packed { picture, data } => {
                let rgb = yuv::packed_to_rgb(picture, data)?;
                Ok((picture.width, picture.height, rgb))
            }
        }
    }
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Jpeg(data) | Self::Packed { data, .. }) = self;
        write!(f, "Encoded({} bytes)", data.len())
    }
}
