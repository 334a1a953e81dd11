//! The first moments on a display: covered before anything else is asked or known.

use x11rb::connection::Connection as _;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::randr::{ConnectionExt as _, NotifyMask};
use x11rb::protocol::xinput::ConnectionExt as _;
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, CloseDown, ConnectionExt as _, CreateGCAux, Cursor, EventMask, Rectangle,
};
use x11rb::wrapper::ConnectionExt as _;

use sudare_blanker::wire::Notice;

use crate::blanker::Blanker;
use crate::compositor::Compositor;
use crate::display::{Address, Display};
use crate::error::BlankerError;
use crate::framebuffer::Framebuffer;
use crate::input::{Input, stand_by};
use crate::layout::Layout;
use crate::surface::Surface;
use crate::windows::{Trim, Windows, show_top};
use crate::{preflight, reclaim};

/// Covers the display. Returns with the server released again.
pub(crate) fn start(address: &Address) -> Result<(Blanker, Vec<Notice>), BlankerError> {
    let display = Display::connect(address)?;
    display.x.grab_server()?;
    display.x.set_close_down_mode(CloseDown::RETAIN_PERMANENT)?;
    let size = display.screen().map(|screen| (screen.width_in_pixels, screen.height_in_pixels));
    let top = show_top(&display, size.unwrap_or_default(), None)?;
    display.x.flush()?;
    // The screen is black, and no other client is served: from here on there is time.
    let why = preflight::unfit(&display)?;
    if let Some(why) = why {
        display.x.ungrab_server()?;
        display.x.sync()?;
        return Err(BlankerError::Unfit(why));
    }
    let trim = trim(&display)?;
    let layout = Layout::read(&display, 1)?;
    let surface = Surface::black(&display, layout.size())?;
    let windows = Windows::open(&display, top, &trim, layout.size())?;
    windows.dress(&display, surface.pixmap)?;
    windows.show(&display, layout.size())?;
    let mut notices = Vec::from_iter(reclaim::take_over(&display, &windows, trim.tag)?);
    let mut compositor = Compositor::new(&display)?;
    notices.extend(compositor.settle(&display, &windows)?);
    let mut input = Input::default();
    input.take(&display, trim.cursor)?;
    input.take_focus(&display, windows.top)?;
    watch_root(&display, true)?;
    display.x.randr_select_input(
        display.root,
        NotifyMask::SCREEN_CHANGE | NotifyMask::CRTC_CHANGE | NotifyMask::OUTPUT_CHANGE,
    )?;
    display.x.ungrab_server()?;
    display.x.sync()?;
    let keeper = keeper(address)?;
    stand_by(&keeper)?;
    keeper.x.composite_get_overlay_window(keeper.root)?.reply()?;
    let framebuffer = Framebuffer::new(&display, layout.size())?;
    Ok((
        Blanker::new(display, keeper, trim, compositor, layout, surface, framebuffer, windows, input),
        notices,
    ))
}

/// While covered, everything that happens on the root matters; otherwise only its size.
pub(crate) fn watch_root(display: &Display, covered: bool) -> Result<(), BlankerError> {
    let mut events = EventMask::STRUCTURE_NOTIFY;
    if covered {
        events |= EventMask::SUBSTRUCTURE_NOTIFY;
    }
    let look = ChangeWindowAttributesAux::new().event_mask(events);
    display.x.change_window_attributes(display.root, &look)?;
    Ok(())
}

/// A second connection that does nothing but hold the overlay and stand by for the input. It owns
/// nothing that others can name, so nobody can have it killed: whoever kills the first one finds the
/// overlay still black and the keys taken.
fn keeper(address: &Address) -> Result<Display, BlankerError> {
    let keeper = Display::connect(address)?;
    keeper.x.composite_query_version(0, 4)?.reply()?;
    keeper.x.xinput_xi_query_version(2, 2)?.reply()?;
    Ok(keeper)
}

fn trim(display: &Display) -> Result<Trim, BlankerError> {
    let tag = display.x.intern_atom(false, b"_SUDARE_COVER")?;
    let bypass = display.x.intern_atom(false, b"_NET_WM_BYPASS_COMPOSITOR")?;
    let cursor = invisible_cursor(display)?;
    let (tag, bypass_compositor) = (tag.reply()?.atom, bypass.reply()?.atom);
    Ok(Trim { cursor, tag, bypass_compositor })
}

fn invisible_cursor(display: &Display) -> Result<Cursor, BlankerError> {
    let x = &display.x;
    let (bitmap, gc, cursor) = (x.generate_id()?, x.generate_id()?, x.generate_id()?);
    x.create_pixmap(1, bitmap, display.root, 1, 1)?;
    x.create_gc(gc, bitmap, &CreateGCAux::new().foreground(0))?;
    x.poly_fill_rectangle(bitmap, gc, &[Rectangle { x: 0, y: 0, width: 1, height: 1 }])?;
    x.create_cursor(cursor, bitmap, bitmap, 0, 0, 0, 0, 0, 0, 0, 0)?;
    x.free_gc(gc)?;
    x.free_pixmap(bitmap)?;
    Ok(cursor)
}
