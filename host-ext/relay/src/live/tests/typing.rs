//! Keys, mouse, and what the client asks of the display.

use super::*;
use crate::wire::input::{self, Event as Input, Key};

const SHIFT: Key = Key { code: 0x2A, prefix: 0 };
const WINDOWS: Key = Key { code: 0x5B, prefix: 1 };
const F1: Key = Key { code: 0x3B, prefix: 0 };

fn types(live: &mut Live, slow: bool, events: &[Input]) {
    let frame = if slow {
        client_data(data::INPUT, &input::write_slow(events).unwrap())
    } else {
        input::write_fast(events).unwrap()
    };
    live.from_client(0, &frame).unwrap();
}

/// What the host hears, in either way.
fn heard(live: &mut Live) -> Vec<Input> {
    let frames = to_host(live);
    let events = frames.iter().flat_map(|frame| match mcs::read(frame) {
        Ok(Domain::Send(send)) => match share::split(send.data).unwrap()[0] {
            share::Control { data: Some(of), body, .. } if of.kind == data::INPUT => {
                input::slow(body).unwrap()
            }
            _ => Vec::new(),
        },
        _ => input::fast(frame).unwrap(),
    });
    events.collect()
}

#[test]
fn nothing_stays_pressed_and_nothing_is_heard_under_a_cover() {
    for slow in [false, true] {
        let mut live = visible();
        let down = [
            Input::Key(SHIFT, true),
            Input::Key(WINDOWS, true),
            Input::Key(F1, true),
            Input::Key(F1, false),
            Input::Character(0x3042, true),
            Input::Mouse(0x9000, 5, 6),
            Input::MouseExtended(0x8002, 7, 8),
        ];
        types(&mut live, slow, &down);
        assert_eq!(heard(&mut live), down);
        live.cover(0).unwrap();
        let released = [
            Input::Key(SHIFT, false),
            Input::Key(WINDOWS, false),
            Input::Character(0x3042, false),
            Input::Mouse(0x1000, 7, 8),
            Input::MouseExtended(0x0002, 7, 8),
        ];
        assert_eq!(heard(&mut live), released);
        types(&mut live, slow, &[Input::Key(SHIFT, true), Input::Mouse(0x9000, 1, 1), Input::Synchronize(2)]);
        types(&mut live, !slow, &[Input::Character(0x61, true)]);
        assert!(heard(&mut live).is_empty());
        live.uncover(0).unwrap();
        // The lock keys as they are now.
        assert_eq!(heard(&mut live), [Input::Synchronize(2)]);
        live.cover(0).unwrap();
        assert!(heard(&mut live).is_empty());
    }
}

#[test]
fn the_cover_hears_its_own_keys_once_each() {
    let mut live = active();
    let key = |code, down| Input::Key(Key { code, prefix: 0 }, down);
    types(
        &mut live,
        false,
        &[key(0x3B, true), key(0x3B, true), key(0x3B, false), key(0x3C, true), key(0x3F, true)],
    );
    types(
        &mut live,
        true,
        &[key(0x3D, true), key(0x3B, true), key(0x3E, true), Input::Key(Key { code: 0x3B, prefix: 1 }, true)],
    );
    let expected =
        [CoverKey::Help, CoverKey::Break, CoverKey::Report, CoverKey::Help, CoverKey::Leave].map(Event::Key);
    assert_eq!(live.events().collect::<Vec<_>>(), expected);
    assert!(heard(&mut live).is_empty());
    live.uncover(0).unwrap();
    to_host(&mut live);
    types(&mut live, false, &[key(0x3B, true)]);
    assert_eq!(live.events().count(), 0);
    assert_eq!(heard(&mut live), [key(0x3B, true)]);
}

#[test]
fn a_key_that_was_held_when_the_cover_came_is_no_wish() {
    let mut live = visible();
    types(&mut live, false, &[Input::Key(F1, true)]);
    live.cover(0).unwrap();
    types(&mut live, false, &[Input::Key(F1, true), Input::Key(F1, true)]);
    assert_eq!(live.events().count(), 0);
    types(&mut live, false, &[Input::Key(F1, false), Input::Key(F1, true)]);
    assert_eq!(live.events().collect::<Vec<_>>(), [Event::Key(CoverKey::Help)]);
}

#[test]
fn what_the_client_asks_of_the_display_waits_for_the_uncover() {
    let hides = client_data(data::SUPPRESS_OUTPUT, &[0; 4]);
    let looks = client_data(data::SUPPRESS_OUTPUT, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 9, 0]);
    let refresh = client_data(data::REFRESH_RECT, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 9, 0]);
    let mut live = visible();
    for frame in [&hides, &looks, &refresh] {
        live.from_client(0, frame).unwrap();
    }
    assert_eq!(to_host(&mut live), [hides.clone(), looks.clone(), refresh.clone()]);
    live.cover(0).unwrap();
    to_host(&mut live);
    for frame in [&looks, &refresh, &hides] {
        live.from_client(0, frame).unwrap();
    }
    assert!(to_host(&mut live).is_empty());
    // The client's window is minimised: it wants to see nothing, and nothing is asked for it.
    live.uncover(0).unwrap();
    assert!(share_to_host(&mut live).is_empty());
    live.tick(1_000_000).unwrap();
    assert_eq!(live.events().count(), 0);
    live.from_client(0, &looks).unwrap();
    assert_eq!(to_host(&mut live), [looks]);
}

#[test]
fn what_a_client_does_not_say_ends() {
    let cases = [
        (client_data(data::UPDATE, &[0; 8]), Fault::Unknown),
        (client_data(data::FONT_MAP, &[0; 8]), Fault::Unknown),
        (from_client(&confirm()), Fault::OutOfTurn),
        (from_client(&demand(SIZE)), Fault::OutOfTurn),
        (client_data(data::INPUT, &[1, 0, 0, 0, 0]), Fault::Short),
        (vec![0x04, 3, 0xE0], Fault::Unknown),
        (vec![0x84, 4, 0, 1], Fault::Encrypted),
        (mcs::send_data(Side::Client, USER + 1, IO, &[0; 9]).unwrap(), Fault::OutOfTurn),
        (mcs::send_data(Side::Host, USER, IO, &[0; 9]).unwrap(), Fault::OutOfTurn),
        (
            mcs::send_data(Side::Client, USER, 1500, &[1, 0, 0, 0, 3, 0, 0, 0, 9]).unwrap(),
            Fault::NotItsChannel,
        ),
    ];
    for (frame, fault) in cases {
        let broken = visible().from_client(0, &frame).unwrap_err();
        assert_eq!((broken.side, broken.fault), (Side::Client, fault), "{frame:?}");
    }
}

#[test]
fn acknowledgements_and_other_words_of_the_client_pass_under_a_cover() {
    let frames = [data::FRAME_ACKNOWLEDGE, data::FONT_LIST, data::PERSISTENT_LIST, data::SHUTDOWN_REQUEST]
        .map(|kind| client_data(kind, &[0; 4]));
    let mut live = active();
    for frame in &frames {
        live.from_client(0, frame).unwrap();
    }
    assert_eq!(to_host(&mut live), frames);
    // An input PDU beside another one is still found.
    let both = [share_pdu(data::FONT_LIST, &[0; 4]), share_pdu(data::INPUT, &[0, 0, 0, 0])].concat();
    live.from_client(0, &from_client(&both)).unwrap();
    let kinds: Vec<u8> = share_to_host(&mut live).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [data::FONT_LIST]);
}
