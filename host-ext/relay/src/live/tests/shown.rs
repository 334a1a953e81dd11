//! Cover and uncover: what goes first, and when it is done.

use ironrdp_core::ReadCursor;
use ironrdp_graphics::rle;
use ironrdp_pdu::bitmap::BitmapUpdateData;
use ironrdp_pdu::fast_path::{FastPathHeader, FastPathUpdatePdu};

use super::*;
use crate::limits::{HELD_MAX_BYTES, REPAINT_WAIT_MS};

/// Draws frames of bitmaps as another implementation reads them. Pixels that were not drawn stay 0xAAAA.
fn drawn(units: &[Unit], size: Size) -> Vec<u16> {
    let (width, height) = (usize::from(size.width), usize::from(size.height));
    let mut screen = vec![0xAAAA; width * height];
    for unit in units {
        assert!(unit.bytes.len() <= crate::limits::PAINT_FRAME_MAX_BYTES);
        let mut cursor = ReadCursor::new(&unit.bytes);
        let _: FastPathHeader = ironrdp_core::decode_cursor(&mut cursor).unwrap();
        let update: FastPathUpdatePdu<'_> = ironrdp_core::decode_cursor(&mut cursor).unwrap();
        let update: BitmapUpdateData<'_> = ironrdp_core::decode(update.data).unwrap();
        for tile in update.rectangles {
            let mut pixels = Vec::new();
            let (columns, rows) = (usize::from(tile.width), usize::from(tile.height));
            assert_eq!(columns % 4, 0);
            rle::decompress(tile.bitmap_data, &mut pixels, columns, rows, 16).unwrap();
            for (row, line) in pixels.chunks(columns * 2).rev().enumerate() {
                for (column, pixel) in line.chunks(2).enumerate() {
                    let (x, y) =
                        (usize::from(tile.rectangle.left) + column, usize::from(tile.rectangle.top) + row);
                    if x <= tile.rectangle.right.into() {
                        screen[y * width + x] = u16::from_le_bytes([pixel[0], pixel[1]]);
                    }
                }
            }
        }
    }
    screen
}

#[test]
fn every_session_begins_black_and_the_host_is_told_to_draw_nothing() {
    let mut live = new(Policy::default());
    activate(&mut live, SIZE);
    let units = taken(&mut live);
    // Font Map; no pointer; black, whose last unit is the cover's mark.
    assert_eq!(units[0].bytes, share_data(data::FONT_MAP, &[0; 8]));
    assert_eq!(units[1].bytes, fastpath::write(fastpath::POINTER_HIDDEN, &[]).unwrap());
    assert!(drawn(&units[2..], SIZE).iter().all(|pixel| *pixel == 0));
    let marks: Vec<Option<Shown>> = units.iter().map(|unit| unit.mark.map(|mark| mark.shown)).collect();
    assert_eq!(marks.iter().flatten().collect::<Vec<_>>(), [&Shown::Covered]);
    assert_eq!(marks.last(), Some(&Some(Shown::Covered)));
    assert_eq!(share_to_host(&mut live), [(data::SUPPRESS_OUTPUT, vec![0; 4])]);
    let events: Vec<Event> = live.events().collect();
    assert_eq!(events, [Event::Layout(SIZE)]);
    live.written(units.last().unwrap().mark.unwrap());
    assert_eq!(live.events().collect::<Vec<_>>(), [Event::Painted(Shown::Covered)]);
}

#[test]
fn black_is_black_at_every_size() {
    for (width, height) in [(1, 1), (3, 700), (1280, 720), (1366, 768), (3840, 400), (8192, 90)] {
        let size = Size { width, height };
        let frames = paint::black(size).unwrap();
        let units: Vec<Unit> =
            frames.into_iter().map(|bytes| Unit { bytes, injected: true, mark: None }).collect();
        assert!(drawn(&units, size).iter().all(|pixel| *pixel == 0), "{size:?}");
    }
    let frames = paint::black(Size { width: 1280, height: 720 }).unwrap();
    assert!(frames.concat().len() < 1024);
}

#[test]
fn a_cover_overtakes_everything_that_nobody_has_taken() {
    let mut live = visible();
    for number in 0..200 {
        host(&mut live, &bitmap(number));
    }
    assert_eq!(live.next_to_client(0).unwrap().unwrap().bytes, bitmap(0));
    live.cover(0).unwrap();
    let units = taken(&mut live);
    assert!(units.iter().all(|unit| unit.injected));
    assert_eq!(units[0].bytes, fastpath::write(fastpath::POINTER_HIDDEN, &[]).unwrap());
    live.uncover(0).unwrap();
    let expected: Vec<Vec<u8>> = (1..200).map(bitmap).collect();
    assert_eq!(relayed(&mut live), expected);
}

#[test]
fn the_desktop_is_visible_once_what_was_held_has_gone() {
    let mut live = visible();
    live.cover(0).unwrap();
    taken(&mut live);
    to_host(&mut live);
    host(&mut live, &bitmap(1));
    assert!(taken(&mut live).is_empty());
    assert!(live.held_bytes() > 0);
    live.uncover(0).unwrap();
    let units = taken(&mut live);
    assert_eq!(units.len(), 2);
    assert_eq!((&units[0].bytes, units[0].mark), (&bitmap(1), None));
    assert_eq!(units[1].mark.unwrap().shown, Shown::Visible);
    live.written(units[1].mark.unwrap());
    assert_eq!(live.events().collect::<Vec<_>>(), [Event::Painted(Shown::Visible)]);
    let whole = [1, 0, 0, 0, 0, 0, 0, 0, 0x20, 3, 0x57, 2].to_vec();
    assert_eq!(
        share_to_host(&mut live),
        [(data::SUPPRESS_OUTPUT, whole.clone()), (data::REFRESH_RECT, whole)]
    );
    assert_eq!(live.held_bytes(), 0);
}

#[test]
fn an_old_mark_says_nothing() {
    let mut live = visible();
    live.cover(0).unwrap();
    let covered = taken(&mut live).last().unwrap().mark.unwrap();
    live.uncover(0).unwrap();
    live.written(covered);
    live.cover(0).unwrap();
    live.written(covered);
    assert_eq!(live.events().count(), 0);
    // An uncover that was taken back before its mark was taken has none.
    live.uncover(0).unwrap();
    live.cover(0).unwrap();
    assert!(taken(&mut live).iter().filter_map(|unit| unit.mark).all(|mark| mark.shown == Shown::Covered));
}

#[test]
fn a_host_that_ignores_the_cover_ends() {
    let mut live = visible();
    live.cover(0).unwrap();
    let large = fastpath::write(fastpath::BITMAP, &[7; 32_000]).unwrap();
    let mut sent = 0;
    let fault = loop {
        if let Some(fault) = host_fault(&mut live, &large) {
            break fault;
        }
        sent += large.len();
        assert!(sent < 2 * HELD_MAX_BYTES && live.held_bytes() <= HELD_MAX_BYTES);
    };
    assert_eq!(fault, Fault::Overflow);
    assert!(sent > HELD_MAX_BYTES / 2);
}

#[test]
fn a_host_is_not_read_while_its_pictures_wait() {
    let mut live = visible();
    let large = fastpath::write(fastpath::BITMAP, &[7; 32_000]).unwrap();
    let mut count = 0;
    while live.reads_host() {
        host(&mut live, &large);
        count += 1;
    }
    assert!((8..12).contains(&count), "{count}");
    // A runtime that reads all the same ends.
    let fault = (0..2_000).find_map(|_| live.from_host(0, &large).err());
    assert_eq!(fault.unwrap().fault, Fault::TooMuch);
}

#[test]
fn a_repaint_that_does_not_come_is_told_once() {
    for (paints, told) in [(true, 0), (false, 1)] {
        let mut live = active();
        host(&mut live, &bitmap(1));
        taken(&mut live);
        live.uncover(1_000).unwrap();
        // What was held is no answer to what was asked.
        taken(&mut live);
        if paints {
            host(&mut live, &bitmap(2));
            taken(&mut live);
        }
        live.tick(1_000 + REPAINT_WAIT_MS - 1).unwrap();
        assert_eq!(live.events().count(), 0);
        live.tick(1_000 + REPAINT_WAIT_MS).unwrap();
        live.tick(9_000_000).unwrap();
        assert_eq!(live.events().filter(|event| *event == Event::NoRepaint).count(), told);
    }
}

#[test]
fn words_and_light_are_drawn_on_the_cover_only() {
    let pixels: Vec<u16> = (0..30 * 9).map(|at| if at % 7 < 3 { 0xFFFF } else { at }).collect();
    let words = Tile::new(100, 200, Size { width: 30, height: 9 }, &pixels).unwrap();
    let light = Tile::flat(0, 0, Size { width: 801, height: 40 }, 0xFD6D).unwrap();
    let mut live = visible();
    assert!(!live.paint(std::slice::from_ref(&words)));
    live.cover(0).unwrap();
    taken(&mut live);
    assert!(live.paint(std::slice::from_ref(&light)));
    // Painted anew before anybody has seen it.
    assert!(live.paint(&[words, light]));
    let screen = drawn(&taken(&mut live), SIZE);
    assert_eq!(screen[39 * 801 + 800], 0xFD6D);
    assert_eq!(screen[40 * 801], 0xAAAA);
    for (at, pixel) in pixels.iter().enumerate() {
        assert_eq!(screen[(200 + at / 30) * 801 + 100 + at % 30], *pixel);
    }
    // Words that nobody has seen do not come over the desktop.
    assert!(live.paint(&[Tile::flat(0, 0, Size { width: 8, height: 8 }, 0xFFFF).unwrap()]));
    live.uncover(0).unwrap();
    assert_eq!(taken(&mut live).len(), 1);
    assert!(Tile::flat(0, 0, Size { width: 1280, height: 720 }, 0).is_none());
    assert!(Tile::new(0, 0, Size { width: 4, height: 4 }, &[0; 15]).is_none());
}

#[test]
fn a_host_that_cannot_be_suppressed_is_only_held() {
    let mut live = new(Policy { suppress: false, ..Policy::default() });
    activate(&mut live, SIZE);
    taken(&mut live);
    live.uncover(0).unwrap();
    live.cover(0).unwrap();
    let asked: Vec<u8> = share_to_host(&mut live).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(asked, [data::REFRESH_RECT]);
}
