//! The main job with clients and hosts of Debian 13; one file for each host.

mod gnome;
mod remmina;
mod shadow;
mod weston;
mod xrdp;

use std::path::Path;

use crate::xrdp::Report;

type Play = fn(&Path, &mut Report) -> anyhow::Result<()>;

/// Name, sentence and what to play.
pub(super) const ALL: &[(&str, &str, Play)] = &[
    ("debian-13-client", "xfreerdp of Debian 13 (FreeRDP 3) and Debian 12's xrdp", xrdp::client),
    ("debian-13-remmina", "Remmina of Debian 13 and Debian 12's xrdp", remmina::play),
    ("debian-13-xrdp", "the same client and Debian 13's xrdp 0.10: bitmaps", xrdp::bitmaps),
    ("debian-13-graphics", "the same with RDPGFX", xrdp::graphics),
    ("debian-13-shadow-progressive", "FreeRDP 3's shadow server: RDPGFX, progressive", shadow::progressive),
    ("debian-13-shadow-avc444", "the same: AVC444", shadow::avc444),
    ("debian-13-weston", "weston's RDP backend", weston::play),
    ("debian-13-gnome", "GNOME Remote Desktop without a screen", gnome::play),
];
