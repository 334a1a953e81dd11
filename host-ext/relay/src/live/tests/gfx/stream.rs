//! The channel's bytes: pieces, compression, lengths, bounds.

use ironrdp_graphics::zgfx::{CompressionMode, Compressor, compress_and_wrap_egfx};

use super::*;
use crate::limits::{GRAPHICS_MESSAGE_MAX_BYTES, GRAPHICS_PDUS_MAX, GRAPHICS_SURFACES_MAX};

fn fault_of(run: &mut Run, message: &[u8]) -> Option<Fault> {
    let pdus = dvc::write_data(ID, message).unwrap();
    let frames: Vec<Vec<u8>> = pdus.iter().flat_map(|pdu| split(&frames(Side::Host, pdu))).collect();
    frames.iter().find_map(|frame| host_fault(&mut run.live, frame))
}

#[test]
fn nobody_has_the_channel_without_a_policy() {
    let mut live = visible();
    say(&mut live, Side::Host, &dvc::write_create(ID, GRAPHICS));
    taken(&mut live);
    assert_eq!(host_pdus(&mut live), [dvc::write_create_response(ID, dvc::NO_LISTENER)]);
    // With one, there is one: two would draw over each other.
    let mut run = Run::visible();
    say(&mut run.live, Side::Host, &dvc::write_create(ID + 1, GRAPHICS));
    run.pull();
    assert_eq!(host_pdus(&mut run.live), [dvc::write_create_response(ID + 1, dvc::NO_LISTENER)]);
    // A client that has no such end.
    let mut run = Run::visible();
    say(&mut run.live, Side::Client, &dvc::write_close(ID));
    say(&mut run.live, Side::Host, &dvc::write_create(ID, GRAPHICS));
    run.pull();
    assert!(run.live.graphics.is_some());
    say(&mut run.live, Side::Client, &dvc::write_create_response(ID, dvc::NO_LISTENER));
    assert!(run.live.graphics.is_none());
}

#[test]
fn a_host_s_history_is_its_own_over_six_covers() {
    let mut run = Run::drawn();
    let mut compressor = Compressor::new();
    // Long enough that each message refers far back.
    let text = b"what a desktop shows, again and again; ".repeat(2_000);
    for round in 0..6_u8 {
        let pdus =
            [&start(round.into())[..], &unknown(9), &pdu(0x19, &text), &fill(1, round), &end(round.into())];
        let pdus = pdus.concat();
        let message = compress_and_wrap_egfx(&pdus, &mut compressor, CompressionMode::Always).unwrap();
        assert!(message.len() < pdus.len() / 2);
        run.cover();
        assert!(run.client.is_black());
        run.client.commands.clear();
        if round % 2 == 0 {
            run.uncover();
        }
        // Also in the middle of a message's pieces.
        let pieces = dvc::write_data(ID, &message).unwrap();
        let (first, last) = pieces.split_at(pieces.len() / 2);
        first.iter().for_each(|pdu| say(&mut run.live, Side::Host, pdu));
        run.cover();
        last.iter().for_each(|pdu| say(&mut run.live, Side::Host, pdu));
        run.pull();
        assert!(run.client.is_black());
        run.uncover();
        assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, u32::from(round));
        assert!(run.client.commands.ends_with(&[0x0B, 0x19, 0x19, 0x04, 0x0C]));
    }
}

#[test]
fn what_was_not_taken_before_the_cover_is_held() {
    let mut run = Run::drawn();
    // Too long to go together: one PDU is taken, and then the cover comes.
    run.host(&[unknown(30_000), unknown(30_000), fill(1, 9)].concat());
    run.pull_one().unwrap();
    assert_eq!(run.client.commands, [0x19]);
    run.cover();
    assert!(run.client.is_black());
    assert!(run.live.held_bytes() > 30_000);
    run.uncover();
    assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, 9);
}

#[test]
fn small_pdus_go_together_and_stay_behind_what_was_held() {
    let mut run = Run::drawn();
    run.host(&[start(6), fill(1, 1), end(6)].concat());
    assert!(run.pull_one().is_some() && run.pull_one().is_none());
    assert_eq!(run.client.commands, [0x0B, 0x04, 0x0C]);
    run.cover();
    run.host(&fill(1, 2));
    run.pull();
    run.host(&fill(1, 3));
    run.live.uncover(0).unwrap();
    run.pull();
    assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, 3);
}

#[test]
fn lengths_that_lie_and_messages_without_bounds_end() {
    let wrap = ironrdp_graphics::zgfx::wrap_uncompressed;
    let mut short = fill(1, 1);
    short[4] = 7;
    let mut long = fill(1, 1);
    long[4] += 1;
    let many = unknown(0).repeat(GRAPHICS_PDUS_MAX + 1);
    let size = u32::try_from(GRAPHICS_MESSAGE_MAX_BYTES).unwrap() + 1;
    let bomb = [&[0xE1, 0, 0][..], &size.to_le_bytes()].concat();
    let cases = [
        (wrap(&short), Fault::Length),
        (wrap(&long), Fault::Length),
        (wrap(&create(1, 1, 1, XRGB)[..12]), Fault::Length),
        (wrap(&pdu(command::CREATE_SURFACE, &[1])), Fault::Short),
        (wrap(&many), Fault::TooMuch),
        (bomb, Fault::TooMuch),
        (vec![0xE0, 0x24], Fault::Zgfx),
        (vec![0x55], Fault::Zgfx),
        (wrap(&create(1, 9, 9, XRGB)), Fault::OutOfTurn),
        (wrap(&reset(70_000, 5)), Fault::Length),
    ];
    for (message, fault) in cases {
        for covered in [false, true] {
            let mut run = Run::drawn();
            if covered {
                run.cover();
            }
            let found = fault_of(&mut run, &message);
            // Nothing in it is no fault.
            assert!(found == Some(fault) || message == [0xE0, 0x24], "{fault:?}, not {found:?}");
        }
    }
    let mut run = Run::drawn();
    let total = size.to_le_bytes();
    let first = [&[0x28, 9][..], &total, &[1]].concat();
    assert_eq!(host_fault(&mut run.live, &frames(Side::Host, &first)), Some(Fault::TooMuch));
    let mut run = Run::visible();
    let surfaces: Vec<u8> =
        (0..=GRAPHICS_SURFACES_MAX).flat_map(|id| create(u16::try_from(id).unwrap(), 1, 1, XRGB)).collect();
    assert_eq!(fault_of(&mut run, &wrap(&surfaces)), Some(Fault::TooMuch));
}

#[test]
fn a_client_s_messages_have_bounds_as_well() {
    let mut run = Run::drawn();
    let pdu = dvc::write_data(ID, &unknown(200_000)).unwrap().remove(0);
    let broken = run.live.from_client(0, &frames(Side::Client, &pdu)).unwrap_err();
    assert_eq!((broken.side, broken.fault), (Side::Client, Fault::TooMuch));
    let mut run = Run::drawn();
    let cut = dvc::write_data(ID, &advertise()[..7]).unwrap().remove(0);
    assert!(run.live.from_client(0, &frames(Side::Client, &cut)).is_err());
}

#[test]
fn a_host_is_not_read_while_its_graphics_wait() {
    let mut run = Run::drawn();
    // Zeros become short.
    let mut compressor = Compressor::new();
    let large = pdu(0x19, &[0; 3_000_000]).repeat(2);
    let message = compress_and_wrap_egfx(&large, &mut compressor, CompressionMode::Always).unwrap();
    assert!(message.len() < 100_000);
    run.host_message(&message);
    assert!(run.live.reads_host());
    run.pull_one().unwrap();
    assert!(!run.live.reads_host());
    run.pull();
    assert!(run.live.reads_host());
}
