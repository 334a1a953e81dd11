//! Fonts: those that egui brings for Latin letters, and the system's for Japanese.

use std::path::PathBuf;
use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily};

/// Where systems keep a font with Japanese, the best first; of a collection, its first font is the Japanese one.
const JAPANESE: &[&str] = &[
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/ipafont-gothic/ipagp.ttf",
    "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
    "/usr/share/fonts/truetype/vlgothic/VL-PGothic-Regular.ttf",
    "/usr/share/fonts/truetype/takao-gothic/TakaoPGothic.ttf",
    "/usr/share/fonts/truetype/fonts-japanese-gothic.ttf",
    "C:\\Windows\\Fonts\\meiryo.ttc",
    "C:\\Windows\\Fonts\\YuGothR.ttc",
];
/// The largest of them has 20 MB.
const FONT_MAX_BYTES: u64 = 64 << 20;

/// The fonts, and whether Japanese is among them.
pub(crate) fn find() -> (FontDefinitions, bool) {
    let mut fonts = FontDefinitions::default();
    let found = JAPANESE.iter().map(PathBuf::from).find_map(|path| {
        let is_font = path.metadata().is_ok_and(|data| data.is_file() && data.len() <= FONT_MAX_BYTES);
        is_font.then(|| std::fs::read(&path).ok()).flatten()
    });
    let Some(bytes) = found else { return (fonts, false) };
    let name = "japanese".to_owned();
    fonts.font_data.insert(name.clone(), Arc::new(FontData::from_owned(bytes)));
    for family in [FontFamily::Proportional, FontFamily::Monospace] {
        // After the Latin one, which stays as it is.
        fonts.families.entry(family).or_default().push(name.clone());
    }
    (fonts, true)
}
