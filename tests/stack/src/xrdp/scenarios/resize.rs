//! The client's window changes its size, while the desktop is seen and under a cover (MS-RDPEDISP): the desktop follows,
//! and nothing of it is seen in between.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sudare_test_kit::scene::{ALONE, AWAY};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConfigureWindowAux, ConnectionExt as _, MapState, Window};
use x11rb::rust_connection::RustConnection;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use crate::xrdp::Count;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// The private screen is larger than any of these.
const SCREEN: (u16, u16) = (1280, 900);
const FIRST: (u16, u16) = (1024, 700);
/// While the desktop is seen, and under a cover: smaller and larger, twice each.
const SIZES: [(u16, u16); 4] = [(800, 600), (1200, 860), (640, 480), (1100, 700)];
const WATCHED: Duration = Duration::from_secs(3);

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { size: SCREEN, ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    let sudare = Sudare::start(out, POLICY)?;
    let mut device = sudare.device()?;
    device.arguments.extend(["/dynamic-resolution".to_owned(), format!("/size:{}x{}", FIRST.0, FIRST.1)]);
    let camera = sudare.film()?;
    camera.show(ALONE);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let mut client = acts.stack.connect(&acts.device.clone())?;
    acts.stack.wait_picture("the desktop", &mut client, |count| fills(count, FIRST))?;
    acts.picture("first size")?;
    let (x, number) = x11rb::connect(Some(&acts.stack.private.display))?;
    let root = x.setup().roots.get(number).context("the display has no screen")?.root;

    for size in SIZES {
        resize(&x, root, size)?;
        acts.stack
            .wait_picture(&format!("the desktop at {size:?}"), &mut client, |count| fills(count, size))?;
        acts.stack.wait_moving()?;
        acts.report.check(&format!("visible: the desktop follows to {size:?}"), true, "");
    }
    acts.picture("resized while visible")?;
    for size in SIZES {
        acts.camera.show(AWAY);
        acts.stack.wait_picture("the cover", &mut client, |count| count.users() == 0)?;
        let watch = acts.stack.watch(&format!("resize-{}x{}", size.0, size.1))?;
        resize(&x, root, size)?;
        acts.stack.wait_picture(&format!("a cover at {size:?}"), &mut client, |count| blacks(count, size))?;
        std::thread::sleep(WATCHED);
        acts.picture(&format!("covered at {}x{}", size.0, size.1))?;
        let seen = watch.stop()?;
        let name = format!("covered: nothing is seen at {size:?}");
        acts.report.check(&name, seen.leaked_frames == 0, format!("{seen:?}"));
        acts.camera.show(ALONE);
        acts.stack
            .wait_picture(&format!("the desktop at {size:?}"), &mut client, |count| fills(count, size))?;
        acts.stack.wait_moving()?;
        acts.report.check(&format!("covered: the desktop is {size:?} afterwards"), true, "");
    }
    acts.picture("resized while covered")?;
    client.kill()?;
    let session = acts.stack.session()?;
    session.wait_connected(false)?;
    session.end()
}

/// The desktop has this size, and around the window is what is behind it.
fn fills(count: &Count, size: (u16, u16)) -> bool {
    parts(count.desktop, count, size) && count.black * 20 < count.all()
}

/// The same for a cover.
fn blacks(count: &Count, size: (u16, u16)) -> bool {
    count.users() == 0 && parts(count.black + count.other, count, size)
}

/// Whether these are the window's pixels, to a few in a hundred, and the rest is backdrop.
fn parts(pixels: usize, count: &Count, (width, height): (u16, u16)) -> bool {
    let screen = usize::from(SCREEN.0) * usize::from(SCREEN.1);
    // A picture may have been counted at each second pixel only.
    let window = usize::from(width) * usize::from(height) * count.all() / screen;
    pixels.abs_diff(window) * 30 < window
}

/// As the edge of a window that is pulled.
fn resize(x: &RustConnection, root: Window, (width, height): (u16, u16)) -> anyhow::Result<()> {
    let mut resized = 0;
    for window in x.query_tree(root)?.reply()?.children {
        let (about, place) = (x.get_window_attributes(window)?.reply()?, x.get_geometry(window)?.reply()?);
        // The other windows of a client are small.
        if about.map_state == MapState::VIEWABLE && place.width > 200 {
            let size = ConfigureWindowAux::new().width(u32::from(width)).height(u32::from(height));
            x.configure_window(window, &size)?.check()?;
            resized += 1;
        }
    }
    ensure!(resized == 1, "{resized} windows were resized");
    Ok(())
}
