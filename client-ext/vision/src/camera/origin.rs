//! What this system tells about a video device, for [`sudare_client_core::camera::origin`].

use std::path::Path;

use sudare_client_core::camera::origin::{Facts, why_virtual};

/// Longer names are cut.
const NAME_MAX_CHARS: usize = 80;

fn folder(index: u32) -> String {
    format!("/sys/class/video4linux/video{index}")
}

/// What a device calls itself.
pub(super) fn name(index: u32) -> Option<String> {
    let text = std::fs::read(format!("{}/name", folder(index))).ok()?;
    // Names come from the hardware, in whatever encoding its maker used.
    let name: String = String::from_utf8_lossy(&text).trim().chars().take(NAME_MAX_CHARS).collect();
    let name = name.replace(char::is_control, " ");
    (!name.is_empty()).then_some(name)
}

/// Why a device counts as a program; `None` if it seems to be hardware.
pub(super) fn why_program(index: u32) -> Option<&'static str> {
    let real = |path: &str| std::fs::canonicalize(path).ok();
    let driver = real(&format!("{}/device/driver", folder(index)));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    why_virtual(&Facts {
        path: real(&folder(index)).as_deref().map(text),
        driver: driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()),
        name: name(index),
    })
}
