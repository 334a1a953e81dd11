//! Frames and their acknowledgements: whose they are, and what they confirm.

use super::*;

#[test]
fn the_client_s_acknowledgement_of_black_confirms_the_cover() {
    let mut run = Run::drawn();
    run.cover();
    assert_eq!(run.confirmed(), 0, "written is not shown");
    let acks = run.client.acks.clone();
    run.acknowledge();
    assert_eq!(run.confirmed(), 1);
    assert!(run.heard().is_empty(), "the host hears nothing of it");
    // Once; and never again by an old one.
    run.uncover();
    run.cover();
    run.events();
    for (frame, total) in acks {
        run.answer(&acknowledge(frame, total));
    }
    assert_eq!(run.confirmed(), 0);
    run.acknowledge();
    assert_eq!(run.confirmed(), 1);
}

#[test]
fn a_client_that_acknowledges_nothing_confirms_nothing() {
    let mut run = Run::drawn();
    run.cover();
    run.answer(&acknowledge(5, 1));
    run.answer(&acknowledge(0xFFFF_FFFF, 9));
    assert_eq!(run.confirmed(), 0);
    assert!(run.client.is_black());
    // Without surfaces there is nothing that it could acknowledge.
    let mut run = Run::visible();
    run.cover();
    assert_eq!(run.confirmed(), 1);
}

#[test]
fn a_cover_right_behind_another_is_confirmed_by_its_own_frame() {
    let mut run = Run::drawn();
    run.cover();
    let first = run.client.acks[0];
    // Taken back and covered again, before the client was sent anything of it.
    run.live.uncover(0).unwrap();
    run.live.cover(0).unwrap();
    run.pull();
    run.answer(&acknowledge(first.0, first.1));
    assert_eq!(run.confirmed(), 0);
    run.acknowledge();
    assert_eq!(run.confirmed(), 1);
}

#[test]
fn the_host_hears_of_its_own_frames_only_and_of_no_other_count() {
    let mut run = Run::drawn();
    let mut expected = Vec::new();
    for frame in 6..12 {
        run.cover();
        assert!(run.live.paint(&[Tile::flat(0, 0, Size { width: 4, height: 3 }, 9).unwrap()]));
        run.pull();
        run.host(&[start(frame), fill(1, 1), end(frame)].concat());
        run.uncover();
        run.acknowledge();
        expected.push((frame, frame - 4));
        assert_eq!(run.totals(), expected.split_off(0));
    }
    // A frame of the host's with a number of ours is the host's all the same.
    run.cover();
    run.host(&[start(0xFFFF_F000), end(0xFFFF_F000)].concat());
    run.uncover();
    run.acknowledge();
    assert_eq!(run.totals(), [(0xFFFF_F000, 8)]);
}

#[test]
fn how_much_waits_at_the_client_and_all_else_passes() {
    let mut run = Run::drawn();
    let offer = pdu(0x10, &[0; 5_000]);
    let suspended = pdu(command::FRAME_ACKNOWLEDGE, &[[0xFF; 4], [7, 0, 0, 0], [1, 0, 0, 0]].concat());
    for pdu in [offer, suspended, unknown(9)] {
        run.answer(&pdu);
        assert_eq!(run.heard().concat(), pdu);
    }
}

#[test]
fn qualities_of_our_frames_are_ours() {
    let mut run = Run::drawn();
    run.cover();
    run.host(&[start(6), end(6)].concat());
    run.uncover();
    let acks = std::mem::take(&mut run.client.acks);
    assert_eq!(acks.len(), 3);
    for (frame, total) in acks {
        // As FreeRDP sends them, both in one message or not.
        run.answer(&[acknowledge(frame, total), quality(frame)].concat());
    }
    assert_eq!(run.heard(), [[acknowledge(6, 2), quality(6)].concat()]);
}

#[test]
fn a_frame_of_the_host_s_is_ended_for_the_cover_and_begun_again_behind_it() {
    let mut run = Run::drawn();
    run.host(&[start(6), fill(1, 8)].concat());
    run.pull();
    // The model ends the test where frames are within frames.
    run.cover();
    assert!(run.client.is_black());
    run.host(&pixel(1, 9, 0, 0));
    run.host(&[end(6), start(7), fill_part(1, 4, [1, 1, 2, 2]), end(7)].concat());
    run.pull();
    run.acknowledge();
    assert!(run.totals().is_empty(), "the client has not decoded the host's frame");
    assert_eq!(run.confirmed(), 1);
    run.client.commands.clear();
    run.uncover();
    run.acknowledge();
    assert_eq!(run.totals(), [(6, 2), (7, 3)]);
    let pixels = &run.client.surfaces[&1].pixels;
    assert_eq!([0, 1, 5].map(|at| pixels[at] & 0xFF), [9, 8, 4]);
    let begins = [
        command::START_FRAME,
        command::SURFACE_TO_SURFACE,
        command::END_FRAME,
        command::DELETE_SURFACE,
        command::START_FRAME,
        command::WIRE_TO_SURFACE_1,
    ];
    assert!(run.client.commands.starts_with(&begins));
}

#[test]
fn a_frame_that_is_open_over_several_covers_is_acknowledged_once() {
    let mut run = Run::drawn();
    run.host(&[start(6), fill(1, 8)].concat());
    for number in 0..3 {
        run.pull();
        run.cover();
        run.host(&pixel(1, number, 0, 0));
        run.uncover();
        run.acknowledge();
    }
    run.host(&end(6));
    run.pull();
    run.acknowledge();
    assert_eq!(run.totals(), [(6, 2)]);
    assert_eq!([0, 1].map(|at| run.client.surfaces[&1].pixels[at] & 0xFF), [2, 8]);
}

#[test]
fn acknowledgements_that_never_come_are_not_kept_for_ever() {
    let mut run = Run::drawn();
    let frames = u32::try_from(crate::limits::GRAPHICS_FRAMES_MAX).unwrap() + 100;
    for frame in 6..6 + frames {
        run.host(&[start(frame), end(frame)].concat());
        run.pull();
        if frame == 8 {
            run.cover();
            run.uncover();
        }
    }
    let last = *run.client.acks.last().unwrap();
    run.answer(&acknowledge(last.0, last.1));
    // Ours are not in the count, although nobody has acknowledged them.
    assert_eq!(run.totals(), [(last.0, frames + 1)]);
}

#[test]
fn a_client_that_begins_anew_is_covered_anew() {
    for covered in [true, false] {
        let mut run = Run::drawn();
        if covered {
            run.cover();
            run.host(&[start(6), fill(1, 9), end(6)].concat());
            run.pull();
        }
        // Said before the host has heard of it.
        run.host(&fill(1, 3));
        run.painted = 0;
        run.client.begin_anew();
        run.answer(&advertise());
        assert_eq!(run.heard().concat(), advertise());
        run.pull();
        assert!(run.client.commands.is_empty() && run.live.held_bytes() == 0);
        assert_eq!(run.painted > 1, covered);
        assert_eq!(run.confirmed(), usize::from(covered));
        run.host(&[confirm_caps(), reset(4, 3), create(1, 4, 3, XRGB), map(1, 0, 0)].concat());
        run.host(&[start(1), fill(1, 5), end(1)].concat());
        run.pull();
        assert_eq!(run.client.is_black(), covered);
        run.uncover();
        run.acknowledge();
        assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, 5);
        assert_eq!(run.totals(), [(1, 1)]);
    }
}
