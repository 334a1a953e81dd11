//! A film in a window of the session: as many different pictures a second as it is told, so that those which arrive at
//! a client can be counted.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, Rectangle, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

/// Where the film is on the screen, and how large.
pub const AREA: (i16, i16, u16, u16) = (200, 200, 400, 400);
/// Of one colour; that many bytes a picture have to be sent.
const SQUARE: u16 = 20;

/// Plays on the display of the environment, as long as told.
pub fn play(a_second: u32, lasts: Duration) -> anyhow::Result<()> {
    let (x, number) = x11rb::connect(None).context("no display. Start it in an X session")?;
    let root = x.setup().roots.get(number).context("the display has no screen")?.root;
    let (left, top, width, height) = AREA;
    let window = x.generate_id()?;
    let attributes = CreateWindowAux::new().override_redirect(1);
    x.create_window(0, window, root, left, top, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &attributes)?;
    x.map_window(window)?;
    let gc = x.generate_id()?;
    x.create_gc(gc, window, &CreateGCAux::new())?;
    let (started, step) = (Instant::now(), Duration::from_secs(1) / a_second.max(1));
    let mut picture = 0_u32;
    while started.elapsed() < lasts {
        picture = picture.wrapping_add(1);
        for (n, square) in squares(width, height).enumerate() {
            let colour =
                (picture.wrapping_mul(2_654_435_761) ^ u32::try_from(n)?.wrapping_mul(40_503)) | 0x0040_4040;
            x.change_gc(gc, &ChangeGCAux::new().foreground(colour & 0x00FF_FFFF))?;
            x.poly_fill_rectangle(window, gc, &[square])?;
        }
        x.sync()?;
        std::thread::sleep((started + step * picture).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn squares(width: u16, height: u16) -> impl Iterator<Item = Rectangle> {
    let steps = move |length: u16| (0..length).step_by(usize::from(SQUARE));
    steps(height).flat_map(move |y| {
        steps(width).map(move |x| Rectangle {
            x: x.cast_signed(),
            y: y.cast_signed(),
            width: SQUARE,
            height: SQUARE,
        })
    })
}
