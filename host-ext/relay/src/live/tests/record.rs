//! What a screenshot is made of, and that nobody notices that one is taken.

use sudare_protocol::evidence::note::Missing;

use super::*;
use crate::limits::{HELD_MAX_BYTES, RECORDING_MAX_BYTES, RECORDING_WAIT_MS};
use crate::recording::{Kind, Recording};

/// An update with one bitmap of this place, whose data are `fill`.
fn update(corners: [u16; 4], bits: u16, fill: &[u8]) -> Vec<u8> {
    let [left, top, right, bottom] = corners;
    let length = u16::try_from(fill.len()).unwrap();
    let fields = [1, 1, left, top, right, bottom, right - left + 1, bottom - top + 1, bits, 0, length];
    [&fields.iter().flat_map(|field: &u16| field.to_le_bytes()).collect::<Vec<_>>(), fill].concat()
}

fn band(top: u16, height: u16, number: u8) -> Vec<u8> {
    update([0, top, SIZE.width - 1, top + height - 1], 16, &[number; 40])
}

fn fast(update: &[u8]) -> Vec<u8> {
    fastpath::write(fastpath::BITMAP, update).unwrap()
}

/// The answers so far: tickets, and what there is.
fn recorded(live: &mut Live) -> Vec<(u64, Result<Recording, Missing>)> {
    let events = live.events();
    events
        .filter_map(|event| match event {
            Event::Recorded { ticket, recording } => Some((ticket, recording)),
            _ => None,
        })
        .collect()
}

fn missing(live: &mut Live) -> Vec<(u64, Option<Missing>)> {
    recorded(live).into_iter().map(|(ticket, recording)| (ticket, recording.err())).collect()
}

fn kinds(live: &mut Live) -> Vec<u8> {
    share_to_host(live).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn a_suspicion_asks_for_a_repaint_and_records_what_the_client_gets() {
    let mut live = visible();
    live.record(7, 0).unwrap();
    let asked = share_to_host(&mut live);
    let whole = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &800_u16.to_le_bytes(), &599_u16.to_le_bytes()].concat();
    assert_eq!(asked, [(data::REFRESH_RECT, whole)]);
    // Slow and fast, a pointer in between, and one that is spread over frames.
    host(&mut live, &share_data(data::UPDATE, &band(0, 300, 1)));
    host(&mut live, &fastpath::write(fastpath::POINTER_HIDDEN, &[]).unwrap());
    let last = band(300, 300, 2);
    let (first, second) = last.split_at(30);
    for (flag, part) in [(2_u8 << 4, first), (1 << 4, second)] {
        let mut frame = fastpath::write(fastpath::BITMAP, part).unwrap();
        frame[3] |= flag;
        host(&mut live, &frame);
    }
    assert!(recorded(&mut live).is_empty(), "the client has not been sent it yet");
    taken(&mut live);
    let (ticket, recording) = recorded(&mut live).remove(0);
    let recording = recording.unwrap();
    assert_eq!((ticket, recording.size()), (7, SIZE));
    let pieces: Vec<_> = recording.pieces().map(|(kind, bytes)| (kind, bytes.to_vec())).collect();
    assert_eq!(pieces, [(Kind::Bitmaps, band(0, 300, 1)), (Kind::Bitmaps, last)]);
    // Nothing is recorded any more.
    host(&mut live, &fast(&band(0, 600, 3)));
    taken(&mut live);
    assert!(recorded(&mut live).is_empty());
}

#[test]
fn a_cover_goes_first_and_the_host_may_finish_its_drawing() {
    let mut live = visible();
    live.record(8, 0).unwrap();
    live.cover(0).unwrap();
    assert_eq!(kinds(&mut live), [data::REFRESH_RECT], "suppressed, it would draw nothing");
    host(&mut live, &fast(&band(0, 600, 1)));
    let units = taken(&mut live);
    assert!(units.iter().all(|unit| unit.injected), "the picture is held");
    assert_eq!(units.last().unwrap().mark.unwrap().shown, Shown::Covered, "and black waits for nothing");
    assert!(recorded(&mut live).remove(0).1.is_ok());
    assert_eq!(kinds(&mut live), [data::SUPPRESS_OUTPUT], "from now on it need not draw");
    live.uncover(0).unwrap();
    assert_eq!(relayed(&mut live), [fast(&band(0, 600, 1))]);
}

#[test]
fn a_cover_without_a_screenshot_tells_the_host_at_once() {
    let mut live = visible();
    live.cover(0).unwrap();
    assert_eq!(kinds(&mut live), [data::SUPPRESS_OUTPUT]);
    // And one of a suspicion goes on below it.
    let mut live = visible();
    live.record(1, 0).unwrap();
    host(&mut live, &fast(&band(0, 599, 1)));
    taken(&mut live);
    live.cover(10).unwrap();
    assert_eq!(kinds(&mut live), [data::REFRESH_RECT]);
    host(&mut live, &fast(&band(599, 1, 1)));
    taken(&mut live);
    assert_eq!(missing(&mut live), [(1, None)]);
    assert_eq!(kinds(&mut live), [data::SUPPRESS_OUTPUT]);
}

#[test]
fn a_host_that_does_not_draw_everything_is_waited_for_no_longer_than_the_bound() {
    let mut live = visible();
    live.record(1, 50).unwrap();
    live.cover(50).unwrap();
    host(&mut live, &fast(&band(0, 599, 1)));
    taken(&mut live);
    live.tick(50 + RECORDING_WAIT_MS - 1).unwrap();
    assert!(recorded(&mut live).is_empty());
    assert_eq!(kinds(&mut live), [data::REFRESH_RECT]);
    live.tick(50 + RECORDING_WAIT_MS).unwrap();
    assert_eq!(missing(&mut live), [(1, Some(Missing::Incomplete))]);
    assert_eq!(kinds(&mut live), [data::SUPPRESS_OUTPUT]);
}

#[test]
fn what_cannot_be_decoded_is_said_at_once() {
    let orders = fastpath::write(fastpath::ORDERS, &[1, 0, 9]).unwrap();
    let surface = fastpath::write(fastpath::SURFACE, &[1, 0, 9]).unwrap();
    let slow_orders = share_data(data::UPDATE, &[0, 0, 0, 0, 1, 0]);
    let palette_missing = fast(&update([0, 0, 99, 9], 8, &[0; 4]));
    for frame in [orders, surface, slow_orders, palette_missing] {
        let mut live = visible();
        live.record(1, 0).unwrap();
        host(&mut live, &frame);
        assert_eq!(relayed(&mut live), [frame], "and the client gets it all the same");
        assert_eq!(missing(&mut live), [(1, Some(Missing::Codec))]);
    }
    // What contradicts itself is the client's to judge.
    let torn = fast(&band(0, 600, 1)[..20]);
    let mut live = visible();
    live.record(1, 0).unwrap();
    host(&mut live, &torn);
    assert_eq!(relayed(&mut live), [torn]);
    assert_eq!(missing(&mut live), [(1, Some(Missing::Undecodable))]);
}

#[test]
fn too_much_gives_up_the_screenshot_and_neither_cover_nor_connection() {
    for covered in [false, true] {
        let mut live = visible();
        live.record(1, 0).unwrap();
        if covered {
            live.cover(0).unwrap();
        }
        let piece = fast(&update([0, 0, 99, 9], 16, &[1; 15_000]));
        let enough = if covered { HELD_MAX_BYTES / 2 } else { RECORDING_MAX_BYTES } / piece.len() + 10;
        for _ in 0..enough {
            host(&mut live, &piece);
            taken(&mut live);
        }
        assert_eq!(missing(&mut live), [(1, Some(Missing::TooMuch))], "covered: {covered}");
    }
    // All that are being recorded share one bound.
    let mut live = visible();
    (1..=2).for_each(|ticket| live.record(ticket, 0).unwrap());
    let piece = fast(&update([0, 0, 99, 9], 16, &[1; 15_000]));
    for _ in 0..RECORDING_MAX_BYTES / piece.len() / 2 + 10 {
        host(&mut live, &piece);
        taken(&mut live);
    }
    assert!(missing(&mut live).contains(&(2, Some(Missing::TooMuch))));
    let mut live = visible();
    (0..9).for_each(|ticket| live.record(ticket, 0).unwrap());
    assert_eq!(missing(&mut live).len(), 5, "more at once are refused");
}

#[test]
fn a_screen_that_changes_or_is_not_shown_has_none() {
    let mut live = visible();
    live.record(1, 0).unwrap();
    host(&mut live, &from_host(&control(share::DEACTIVATE_ALL, &[])));
    taken(&mut live);
    assert_eq!(missing(&mut live), [(1, Some(Missing::Interrupted))]);
    live.record(2, 0).unwrap();
    let mut covered = active();
    covered.record(3, 0).unwrap();
    // A client that is minimised is sent nothing.
    let mut minimised = visible();
    minimised.from_client(0, &client_data(data::SUPPRESS_OUTPUT, &[0; 4])).unwrap();
    minimised.record(4, 0).unwrap();
    for (live, ticket) in [(&mut live, 2), (&mut covered, 3), (&mut minimised, 4)] {
        assert_eq!(missing(live), [(ticket, Some(Missing::Interrupted))]);
    }
}
