//! Static channels by their rules, and the message channel.

use super::*;
use crate::limits::HELD_TO_HOST_MAX_BYTES;
use crate::wire::channel::{FIRST, LAST};

fn chunk(side: Side, channel: u16, total: u32, flags: u32, data: &[u8]) -> Vec<u8> {
    let initiator = if side == Side::Client { USER } else { 1002 };
    let user_data = [&total.to_le_bytes()[..], &flags.to_le_bytes(), data].concat();
    mcs::send_data(side, initiator, channel, &user_data).unwrap()
}

fn whole(side: Side, channel: u16, number: u8) -> Vec<u8> {
    chunk(side, channel, 3, FIRST | LAST, &[number; 3])
}

/// What the other side gets of one frame.
fn passes(live: &mut Live, side: Side, frame: &[u8]) -> Vec<Vec<u8>> {
    match side {
        Side::Client => {
            live.from_client(0, frame).unwrap();
            to_host(live)
        }
        Side::Host => {
            host(live, frame);
            relayed(live)
        }
    }
}

#[test]
fn a_closed_channel_carries_nothing_at_any_time() {
    for side in [Side::Client, Side::Host] {
        for mut live in [visible(), active()] {
            assert!(passes(&mut live, side, &whole(side, CLOSED, 1)).is_empty());
        }
    }
}

#[test]
fn a_dropped_channel_ends_its_message_with_zeros_and_begins_none() {
    for side in [Side::Client, Side::Host] {
        let mut live = visible();
        let first = chunk(side, CLIPBOARD, 6, FIRST, &[1, 1]);
        assert_eq!(passes(&mut live, side, &first), [first]);
        live.cover(0).unwrap();
        taken(&mut live);
        to_host(&mut live);
        // Its reader waits for the rest, but learns nothing more.
        let (middle, zeros) = (chunk(side, CLIPBOARD, 6, 0, &[2, 2]), chunk(side, CLIPBOARD, 6, 0, &[0, 0]));
        assert_eq!(passes(&mut live, side, &middle), [zeros]);
        let (last, zeros) =
            (chunk(side, CLIPBOARD, 6, LAST, &[3, 3]), chunk(side, CLIPBOARD, 6, LAST, &[0, 0]));
        assert_eq!(passes(&mut live, side, &last), [zeros]);
        let first = chunk(side, CLIPBOARD, 6, FIRST, &[4, 4]);
        assert!(passes(&mut live, side, &first).is_empty());
        live.uncover(0).unwrap();
        taken(&mut live);
        to_host(&mut live);
        // The rest of a message whose beginning nobody got is nothing to anybody.
        assert!(passes(&mut live, side, &chunk(side, CLIPBOARD, 6, LAST, &[5; 4])).is_empty());
        let next = whole(side, CLIPBOARD, 6);
        assert_eq!(passes(&mut live, side, &next), [next]);
    }
}

#[test]
fn a_held_channel_waits_on_both_sides() {
    for side in [Side::Client, Side::Host] {
        let mut live = visible();
        let frames: Vec<Vec<u8>> = (0..3).map(|number| whole(side, DRIVES, number)).collect();
        assert_eq!(passes(&mut live, side, &frames[0]), [frames[0].clone()]);
        live.cover(0).unwrap();
        to_host(&mut live);
        for frame in &frames {
            assert!(passes(&mut live, side, frame).is_empty());
        }
        live.uncover(0).unwrap();
        let got = if side == Side::Client { to_host(&mut live) } else { relayed(&mut live) };
        let of_drives = got
            .iter()
            .filter(|frame| matches!(mcs::read(frame), Ok(Domain::Send(send)) if send.channel == DRIVES));
        assert_eq!(of_drives.cloned().collect::<Vec<_>>(), frames);
    }
}

#[test]
fn sound_goes_on_as_silence() {
    let mut live = visible();
    let info = [2, 0, 40, 0, 1, 1, 2, 0, 9, 0, 0, 0, 7, 7, 7, 7];
    let (wave, confirm) = ([7; 30], [5, 0, 4, 0, 1, 1, 9, 0]);
    let frame =
        |side, data: &[u8]| chunk(side, SOUND, u32::try_from(data.len()).unwrap(), FIRST | LAST, data);
    for data in [&info[..], &wave] {
        let frame = frame(Side::Host, data);
        assert_eq!(passes(&mut live, Side::Host, &frame), [frame]);
    }
    // A cover between both halves of a wave.
    assert_eq!(passes(&mut live, Side::Host, &frame(Side::Host, &info)).len(), 1);
    live.cover(0).unwrap();
    taken(&mut live);
    to_host(&mut live);
    assert_eq!(passes(&mut live, Side::Host, &frame(Side::Host, &wave)), [frame(Side::Host, &[0; 30])]);
    let quiet = [&info[..12], &[0; 4]].concat();
    assert_eq!(passes(&mut live, Side::Host, &frame(Side::Host, &info)), [frame(Side::Host, &quiet)]);
    // The client confirms what it played.
    let confirm = frame(Side::Client, &confirm);
    assert_eq!(passes(&mut live, Side::Client, &confirm), [confirm]);
}

#[test]
fn a_client_that_says_too_much_under_a_cover_ends() {
    let mut live = active();
    let large = chunk(Side::Client, DRIVES, 1_600, FIRST | LAST, &[7; 1_600]);
    let count = HELD_TO_HOST_MAX_BYTES / large.len();
    for _ in 0..count {
        live.from_client(0, &large).unwrap();
    }
    assert_eq!(live.from_client(0, &large).unwrap_err().fault, Fault::Overflow);
}

#[test]
fn compressed_chunks_end() {
    for side in [Side::Client, Side::Host] {
        for channel in [CLIPBOARD, DRIVES, DRDYNVC, CLOSED] {
            let frame = chunk(side, channel, 3, FIRST | LAST | 0x0020_0000, &[1; 3]);
            let mut live = visible();
            let fault = match side {
                Side::Client => live.from_client(0, &frame).err().map(|broken| broken.fault),
                Side::Host => host_fault(&mut live, &frame),
            };
            assert_eq!(fault, Some(Fault::Compressed));
        }
    }
}

#[test]
fn measurements_pass_and_other_transports_do_not() {
    let send = |side, flags: u16, length: usize| {
        let initiator = if side == Side::Client { USER } else { 1002 };
        let message = [&flags.to_le_bytes()[..], &[0, 0], &vec![7; length]].concat();
        mcs::send_data(side, initiator, MESSAGE, &message).unwrap()
    };
    for mut live in [visible(), active()] {
        for (side, flags) in [(Side::Host, 0x1000), (Side::Host, 0x4000), (Side::Client, 0x2000)] {
            let frame = send(side, flags, 40);
            assert_eq!(passes(&mut live, side, &frame), [frame]);
        }
        assert!(passes(&mut live, Side::Host, &send(Side::Host, 0x0002, 24)).is_empty());
        assert_eq!(live.events().collect::<Vec<_>>(), [Event::TransportRefused]);
        assert!(passes(&mut live, Side::Client, &send(Side::Client, 0x0004, 24)).is_empty());
    }
    for (flags, length, fault) in
        [(0x0008, 9, Fault::Encrypted), (0x0040, 9, Fault::Unknown), (0x1000, 20_000, Fault::TooMuch)]
    {
        assert_eq!(host_fault(&mut visible(), &send(Side::Host, flags, length)), Some(fault));
    }
}
