//! Clips for the measurements, composed from photographs: folders of JPEG pictures.

use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use sudare_test_kit::scene::{self, ALONE, Scene, Seat};
use sudare_test_kit::stage::Stage;

const FRAMES: u64 = 200;

/// What is in a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// The operator alone, and for a quarter of it somebody beside.
    Mixed,
    /// The operator alone: most of a working day.
    Quiet,
    /// Two others in view all the time.
    ThreeFaces,
}

/// A folder of pictures.
#[derive(Debug)]
pub struct Clip {
    pub folder: PathBuf,
    pub frames: u64,
    /// In all of them together, at least.
    pub faces: u64,
}

/// Writes a clip.
pub fn write(stage: &Stage, photographs: &Path, cast: Cast) -> anyhow::Result<Clip> {
    let folder = stage.dir.join(format!("clip-{cast:?}").to_lowercase());
    std::fs::create_dir_all(&folder)?;
    let seat = Seat::load(photographs)?;
    for n in 0..FRAMES {
        let beside = match cast {
            Cast::Mixed => (FRAMES / 2..FRAMES * 3 / 4).contains(&n),
            Cast::Quiet => false,
            Cast::ThreeFaces => true,
        };
        let mut frame = seat.frame(&if beside { Scene { stranger: 1.0, ..ALONE } } else { ALONE }, n);
        if cast == Cast::ThreeFaces {
            // The one beside once more, half as large, between both.
            let beside = imageops::crop_imm(&frame, 345, 10, 290, 280).to_image();
            let third = imageops::resize(&beside, 145, 140, FilterType::Triangle);
            imageops::overlay(&mut frame, &third, 250 + i64::from(n % 3 == 0), 4);
        }
        std::fs::write(folder.join(format!("{n:05}.jpg")), scene::jpeg(&frame)?)?;
    }
    let faces = if cast == Cast::ThreeFaces { FRAMES * 5 / 2 } else { FRAMES };
    Ok(Clip { folder, frames: FRAMES, faces })
}

/// The same pictures again and again, in a folder without copies of them.
pub fn repeated(clip: &Clip, frames: u64) -> anyhow::Result<Clip> {
    let folder = clip.folder.with_extension("repeated");
    std::fs::create_dir_all(&folder)?;
    for n in 0..frames {
        let picture = clip.folder.join(format!("{:05}.jpg", n % clip.frames));
        std::fs::hard_link(picture, folder.join(format!("{n:06}.jpg")))?;
    }
    Ok(Clip { folder, frames, faces: clip.faces })
}

/// A folder with its first picture alone.
pub fn first_picture(clip: &Clip) -> anyhow::Result<PathBuf> {
    let folder = clip.folder.with_extension("short");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(clip.folder.join("00000.jpg"), folder.join("00000.jpg"))?;
    Ok(folder)
}
