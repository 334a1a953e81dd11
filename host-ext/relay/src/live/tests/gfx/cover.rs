//! Cover and uncover of surfaces.

use super::*;

#[test]
fn a_cover_leaves_no_picture_on_any_surface_and_an_uncover_brings_all_back() {
    let mut run = Run::visible();
    let maps = [map(1, 0, 0), map_scaled(2, 800, 600), map_window(3, false), map_window(4, true)];
    for (id, map) in (1..).zip(maps) {
        let format = if id % 2 == 0 { ARGB } else { XRGB };
        let pixels = [create(id, 5, 4, format), map, start(id.into()), fill(id, 7), pixel(id, 9, 1, 2)];
        run.host(&[pixels.concat(), end(id.into())].concat());
    }
    // Not shown, so nobody sees it.
    run.host(&[create(5, 9, 9, XRGB), fill(5, 8)].concat());
    run.pull();
    let before = run.client.surfaces.clone();
    assert!(run.client.tells());
    for _ in 0..6 {
        run.cover();
        assert!(run.client.is_black());
        for (id, surface) in &run.client.surfaces {
            let expected = if before.contains_key(id) { None } else { Some(surface.place) };
            assert!(expected.is_none_or(|place| place.is_none()), "ours are never shown");
        }
        let formats = |format| run.client.surfaces.values().filter(|of| of.format == format).count();
        assert_eq!((formats(XRGB), formats(ARGB)), (5, 4), "ours keep the alpha of the host's");
        run.uncover();
        assert_eq!(run.client.surfaces, before);
    }
}

#[test]
fn numbers_that_the_host_uses_are_not_ours() {
    let mut run = Run::visible();
    let taken: Vec<u16> = (0xFFE0..=0xFFFF).collect();
    for id in &taken {
        run.host(&[create(*id, 2, 2, XRGB), map(*id, 0, 0), fill(*id, 7)].concat());
    }
    run.pull();
    let before = run.client.surfaces.clone();
    // The model ends the test where a number is used twice.
    run.cover();
    assert_eq!(run.client.surfaces.len(), 64);
    assert!(run.client.is_black());
    // The host makes one under a number that is ours now: it waits.
    let ours = *run.client.surfaces.keys().find(|id| !taken.contains(id)).unwrap();
    run.host(&[create(ours, 3, 3, XRGB), map(ours, 0, 0), start(1), fill(ours, 8), end(1)].concat());
    run.pull();
    assert!(run.client.is_black());
    run.uncover();
    let made = run.client.surfaces.remove(&ours).unwrap();
    assert_eq!((made.width, made.pixels[0] & 0xFF), (3, 8));
    assert_eq!(run.client.surfaces, before);
}

#[test]
fn what_is_drawn_under_a_cover_is_held_in_order() {
    let mut run = Run::drawn();
    run.cover();
    run.client.commands.clear();
    let drawn =
        [start(6), fill(1, 1), to_cache(1, 3), unknown(50), from_cache(3, 1), pixel(1, 9, 0, 0), end(6)];
    for pdu in &drawn {
        run.host(pdu);
    }
    run.pull();
    assert!(run.client.is_black() && run.client.commands.is_empty());
    assert!(run.live.held_bytes() > drawn.concat().len());
    run.uncover();
    let held: Vec<u16> = drawn.iter().map(|pdu| u16::from_le_bytes([pdu[0], pdu[1]])).collect();
    assert!(run.client.commands.ends_with(&held));
    assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, 9);
    assert_eq!(run.live.held_bytes(), 0);
}

#[test]
fn what_nobody_knows_may_draw_and_waits() {
    let mut run = Run::drawn();
    run.cover();
    run.client.commands.clear();
    run.host(&unknown(5));
    run.pull();
    assert!(run.client.commands.is_empty());
    run.uncover();
    assert_eq!(run.client.commands.last(), Some(&0x19));
}

#[test]
fn a_surface_that_is_made_or_mapped_under_a_cover_is_black_at_once() {
    let mut run = Run::visible();
    // Drawn before the cover, and mapped under it.
    run.host(&[create(1, 4, 3, XRGB), start(1), fill(1, 7), end(1)].concat());
    run.pull();
    let secret = run.client.surfaces[&1].pixels.clone();
    run.cover();
    run.events();
    run.host(&[map(1, 0, 0), create(2, 2, 2, ARGB), map(2, 0, 0)].concat());
    while run.pull_one().is_some() {
        assert!(run.client.is_black());
    }
    assert!(run.client.surfaces[&1].place.is_some() && run.client.surfaces[&2].place.is_some());
    // Black is drawn behind the map as well: some clients show a surface only when something is drawn on it.
    assert_eq!(run.client.commands.last(), Some(&command::END_FRAME));
    // The words on the cover are to be painted again, on what lies over them now.
    assert!(run.events().contains(&Event::Layout(SIZE)));
    run.uncover();
    assert_eq!(run.client.surfaces[&1].pixels, secret);
    assert_eq!(run.client.surfaces.len(), 2);
}

#[test]
fn every_session_begins_black_with_surfaces_as_well() {
    let mut run = Run::covered();
    let opens = [reset(801, 600), create(1, 801, 600, XRGB), map(1, 0, 0), start(1), fill(1, 7), end(1)];
    run.host(&opens.concat());
    while run.pull_one().is_some() {
        assert!(run.client.is_black());
    }
    assert_eq!(run.client.output, (801, 600));
    run.uncover();
    assert!(run.client.tells());
}

#[test]
fn a_host_that_draws_both_ways_is_covered_both_ways() {
    // The surface is smaller than the screen: beside it, bitmaps may be seen.
    let mut run = Run::visible();
    run.host(&[create(1, 4, 3, XRGB), map(1, 10, 10), start(1), fill(1, 7), end(1)].concat());
    host(&mut run.live, &bitmap(1));
    run.pull();
    run.painted = 0;
    run.cover();
    assert!(run.painted > 1 && run.client.is_black());
    // Bitmaps are held like surfaces, and both come back.
    host(&mut run.live, &bitmap(2));
    run.host(&[start(2), fill(1, 8), end(2)].concat());
    run.painted = 0;
    run.pull();
    assert_eq!(run.painted, 0);
    run.uncover();
    assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, 8);
    assert_eq!(run.painted, 2, "the bitmap, and the pointer");
    // One that fills the screen needs no bitmaps: but the pointer is hidden.
    let mut run = Run::drawn();
    run.painted = 0;
    run.cover();
    assert_eq!(run.painted, 1);
    assert!(run.client.is_black());
}

#[test]
fn bitmaps_that_went_over_surfaces_go_again_with_them() {
    let mut run = Run::visible();
    run.host(&[create(1, 4, 3, XRGB), map(1, 10, 10), start(1), fill(1, 7), end(1)].concat());
    run.pull();
    // Taken back while only a part of the black was taken, before any surface was black.
    run.live.cover(0).unwrap();
    run.pull_one().unwrap();
    run.pull_one().unwrap();
    run.client.commands.clear();
    run.uncover();
    assert_eq!(run.client.commands, [command::START_FRAME, command::SURFACE_TO_SURFACE, command::END_FRAME]);
    assert!(run.client.tells());
}

#[test]
fn the_picture_comes_back_without_the_host() {
    let mut run = Run::drawn();
    run.cover();
    run.events();
    run.uncover();
    assert!(run.client.tells());
    run.live.tick(1_000_000).unwrap();
    assert!(!run.events().contains(&Event::NoRepaint));
    // A surface that is only a part of the screen is not the whole picture.
    run.live.size = Some(SIZE);
    run.cover();
    run.uncover();
    run.live.tick(1_000_000).unwrap();
    assert!(run.events().contains(&Event::NoRepaint));
}

#[test]
fn another_size_under_a_cover_is_black() {
    for resets in [Reset::Kept, Reset::White, Reset::Gone] {
        let mut run = Run::drawn();
        run.client.resets = resets;
        run.cover();
        run.events();
        run.painted = 0;
        run.host(&reset(40, 30));
        run.pull();
        assert!(!run.client.tells());
        assert!(run.painted > 1, "bitmaps in the new size");
        assert!(run.events().contains(&Event::Layout(Size { width: 40, height: 30 })));
        // A host that makes all anew, as Windows does, and one that goes on.
        let made = if resets == Reset::Gone { create(1, 40, 30, XRGB) } else { Vec::new() };
        run.host(&[made, create(2, 40, 30, XRGB), map(1, 0, 0), map(2, 0, 0)].concat());
        run.pull();
        assert!(run.client.is_black());
        run.host(&[start(9), fill(1, 3), fill(2, 4), end(9)].concat());
        run.uncover();
        assert_eq!(run.client.surfaces.len(), 2);
        assert_eq!([1, 2].map(|id| run.client.surfaces[&id].pixels[0] & 0xFF), [3, 4]);
    }
}

#[test]
fn a_surface_that_is_deleted_under_a_cover_takes_ours_with_it() {
    let mut run = Run::drawn();
    run.cover();
    assert_eq!(run.client.surfaces.len(), 2);
    run.host(&[delete(1), create(1, 2, 2, ARGB)].concat());
    run.pull();
    assert_eq!(run.client.surfaces.keys().copied().collect::<Vec<_>>(), [1]);
    run.uncover();
    assert_eq!(run.client.surfaces.len(), 1);
}

#[test]
fn a_deactivation_under_a_cover_keeps_surfaces_black_and_what_was_held() {
    let mut run = Run::drawn();
    run.cover();
    run.host(&[start(6), fill(1, 9), end(6)].concat());
    host(&mut run.live, &bitmap(1));
    run.pull();
    host(&mut run.live, &from_host(&control(share::DEACTIVATE_ALL, &[])));
    run.pull();
    run.painted = 0;
    let size = Size { width: 100, height: 80 };
    activate(&mut run.live, size);
    run.pull();
    assert!(run.painted > 1 && run.client.is_black());
    run.acknowledge();
    assert!(run.confirmed() > 0);
    run.uncover();
    assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, 9);
}

#[test]
fn the_channel_s_end_under_a_cover_leaves_black_bitmaps() {
    for side in [Side::Client, Side::Host] {
        let mut run = Run::drawn();
        // The client has not confirmed when it happens.
        run.cover();
        run.painted = 0;
        assert_eq!(run.confirmed(), 0);
        say(&mut run.live, side, &dvc::write_close(ID));
        run.pull();
        assert!(run.painted > 1);
        assert_eq!(run.confirmed(), 1);
        // It may be opened again, and knows nothing of the first.
        run.client = Client::default();
        say(&mut run.live, Side::Host, &dvc::write_create(ID, GRAPHICS));
        run.host(&[create(1, 4, 3, XRGB), map(1, 0, 0)].concat());
        run.pull();
        assert!(run.client.is_black());
        run.uncover();
        assert_eq!(run.client.surfaces.len(), 1);
    }
}

#[test]
fn what_was_held_for_a_channel_ends_with_it() {
    for side in [Side::Client, Side::Host] {
        let mut run = Run::drawn();
        run.cover();
        run.host(&[start(6), fill(1, 9), end(6)].concat());
        run.pull();
        assert!(run.live.held_bytes() > 0);
        // Also what nobody has taken.
        run.host(&[start(7), fill(1, 9), end(7)].concat());
        say(&mut run.live, side, &dvc::write_close(ID));
        run.pull();
        assert_eq!(run.live.held_bytes(), 0);
        assert!(run.live.graphics.is_none());
        // Its number is free for the next one.
        run.client = Client::default();
        say(&mut run.live, Side::Host, &dvc::write_create(ID, GRAPHICS));
        run.host(&[create(1, 4, 3, XRGB), map(1, 0, 0), start(1), fill(1, 5), end(1)].concat());
        run.uncover();
        assert_eq!(run.client.surfaces[&1].pixels[0] & 0xFF, 5);
    }
}

#[test]
fn what_is_held_has_a_bound() {
    let mut run = Run::drawn();
    run.cover();
    let large = unknown(200_000);
    let message = ironrdp_graphics::zgfx::wrap_uncompressed(&large);
    let fault = (0..1_000).find_map(|_| {
        let pdus = dvc::write_data(ID, &message).unwrap();
        pdus.iter().flat_map(|pdu| split(&frames(Side::Host, pdu))).find_map(|frame| {
            assert!(run.live.held_bytes() <= crate::limits::HELD_MAX_BYTES);
            host_fault(&mut run.live, &frame)
        })
    });
    assert_eq!(fault, Some(Fault::Overflow));
}
