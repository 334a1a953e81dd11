//! The main job with clients and hosts of Debian 13; one file for each host.

mod codecs;
mod gnome;
mod remmina;
mod shadow;
mod weston;
mod xrdp;

use std::path::Path;

use sudare_protocol::reason::Reason;

use crate::xrdp::Report;
use crate::xrdp::sudare::Sudare;

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

/// A host whose pictures are not decoded has no screenshots; its covers are in the log all the same.
fn covers_are_logged(sudare: &mut Sudare, report: &mut Report) -> anyhow::Result<()> {
    let logged = sudare.logged()?;
    let reasons: Vec<_> = logged.covers.iter().map(|(reason, _)| *reason).collect();
    let all = [Reason::Onlooker, Reason::Absent].iter().all(|reason| reasons.contains(reason));
    report.check("the log has the onlooker and the absence", all, format!("{reasons:?}"));
    Ok(())
}
