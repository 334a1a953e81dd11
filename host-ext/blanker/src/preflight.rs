//! Whether a cover can be relied on here. Where it cannot, none is claimed.

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::shape::ConnectionExt as _;
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xinput::ConnectionExt as _;
use x11rb::protocol::xproto::{ImageOrder, VisualClass};
use x11rb::protocol::{composite, randr, shape, shm, xfixes, xinput};

use crate::display::Display;
use crate::error::{BlankerError, if_there};

const REQUIRED: [(&str, &str); 6] = [
    (composite::X11_EXTENSION_NAME, "nothing can be kept above other windows"),
    (xfixes::X11_EXTENSION_NAME, "compositors cannot be noticed"),
    (shape::X11_EXTENSION_NAME, "a window could be given holes"),
    (shm::X11_EXTENSION_NAME, "the screen cannot be read back in time"),
    (randr::X11_EXTENSION_NAME, "a screen that changes its size would not be noticed"),
    (xinput::X11_EXTENSION_NAME, "keyboard and mouse cannot be cut off"),
];

/// Why not, with what to do; `None` if it can.
pub(crate) fn unfit(display: &Display) -> Result<Option<String>, BlankerError> {
    if display.x.extension_information("XWAYLAND")?.is_some() {
        let why = "this is Xwayland, where X programs are only guests. Start an Xorg session instead";
        return Ok(Some(why.into()));
    }
    for (name, consequence) in REQUIRED {
        if display.x.extension_information(name)?.is_none() {
            let why = format!("the X server lacks the extension {name}: {consequence}. Enable it");
            return Ok(Some(why));
        }
    }
    if let Some(why) = unfit_pixels(display) {
        return Ok(Some(why));
    }
    unfit_versions(display)
}

/// The pictures of guard and screen are BGRX; no other format is read back.
fn unfit_pixels(display: &Display) -> Option<String> {
    let setup = display.x.setup();
    if setup.roots.len() != 1 {
        return Some(format!("{} screens on one display. Use one screen with monitors", setup.roots.len()));
    }
    let depth = display.depth;
    let format = setup.pixmap_formats.iter().find(|format| format.depth == depth)?;
    let visual = display
        .screen()?
        .allowed_depths
        .iter()
        .flat_map(|allowed| &allowed.visuals)
        .find(|visual| visual.visual_id == display.visual)?;
    let bgrx = format.bits_per_pixel == 32
        && setup.image_byte_order == ImageOrder::LSB_FIRST
        && visual.class == VisualClass::TRUE_COLOR
        && (visual.red_mask, visual.green_mask, visual.blue_mask) == (0xff_0000, 0xff00, 0xff);
    if bgrx && (depth == 24 || depth == 32) {
        return None;
    }
    Some(format!("colours of depth {depth} in another format than BGRX. Use 24 or 32 bits per pixel"))
}

/// Asks for the versions that are used; extensions refuse requests before that.
fn unfit_versions(display: &Display) -> Result<Option<String>, BlankerError> {
    let x = &display.x;
    let composite = if_there(x.composite_query_version(0, 4)?.reply())?;
    let xfixes = if_there(x.xfixes_query_version(5, 0)?.reply())?;
    let shape = if_there(x.shape_query_version()?.reply())?;
    let shm = if_there(x.shm_query_version()?.reply())?;
    let randr = if_there(x.randr_query_version(1, 5)?.reply())?;
    let xinput = if_there(x.xinput_xi_query_version(2, 2)?.reply())?;
    let found = [
        ("Composite", (0, 3), composite.map(|v| (v.major_version, v.minor_version))),
        ("XFIXES", (2, 0), xfixes.map(|v| (v.major_version, v.minor_version))),
        ("SHAPE", (1, 0), shape.map(|v| (u32::from(v.major_version), u32::from(v.minor_version)))),
        ("MIT-SHM", (1, 2), shm.map(|v| (u32::from(v.major_version), u32::from(v.minor_version)))),
        ("RANDR", (1, 5), randr.map(|v| (v.major_version, v.minor_version))),
        ("XInput", (2, 0), xinput.map(|v| (u32::from(v.major_version), u32::from(v.minor_version)))),
    ];
    let old = found.into_iter().find(|(_, needed, found)| found.is_none_or(|found| found < *needed));
    Ok(old.map(|(name, (major, minor), _)| {
        format!("the X server's extension {name} is older than {major}.{minor}. Use a newer X server")
    }))
}
