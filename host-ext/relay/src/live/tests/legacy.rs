//! Pictures and pointers of the share, slow and fast.

use super::*;

#[test]
fn an_update_behind_a_harmless_pdu_is_found() {
    let update = share_pdu(data::UPDATE, &[1, 0, 1, 0, 9]);
    let harmless = share_pdu(data::CONTROL, &[4, 0, 0, 0, 0, 0, 0, 0]);
    let both = from_host(&[&harmless[..], &update].concat());
    let mut live = active();
    host(&mut live, &both);
    assert_eq!(relayed(&mut live), [from_host(&harmless)]);
    live.uncover(0).unwrap();
    assert_eq!(relayed(&mut live), [from_host(&update)]);
}

#[test]
fn what_draws_is_held_and_what_does_not_passes() {
    let held = [
        share_data(data::UPDATE, &[0; 8]),
        share_data(data::POINTER, &[1, 0, 0, 0, 0, 0x7F, 0, 0]),
        bitmap(1),
        fastpath::write(fastpath::ORDERS, &[0; 8]).unwrap(),
        fastpath::write(fastpath::PALETTE, &[0; 8]).unwrap(),
        fastpath::write(fastpath::POINTER_POSITION, &[0; 4]).unwrap(),
        fastpath::write(fastpath::POINTER_NEW, &[0; 40]).unwrap(),
        fastpath::write(fastpath::SYNCHRONIZE, &[]).unwrap(),
    ];
    let passes = [
        data::CONTROL,
        data::SYNCHRONIZE,
        data::SAVE_SESSION_INFO,
        data::KEYBOARD_INDICATORS,
        data::ERROR_INFO,
        data::STATUS_INFO,
        data::MONITOR_LAYOUT,
    ]
    .map(|kind| share_data(kind, &[0; 8]));
    let mut live = active();
    for frame in held.iter().chain(&passes) {
        host(&mut live, frame);
    }
    host(&mut live, &share_data(data::PLAY_SOUND, &[0; 8]));
    assert_eq!(relayed(&mut live), passes);
    live.uncover(0).unwrap();
    // A beep under the cover is gone.
    assert_eq!(relayed(&mut live), held);
    let beep = share_data(data::PLAY_SOUND, &[0; 8]);
    host(&mut live, &beep);
    assert_eq!(relayed(&mut live), [beep]);
}

#[test]
fn fragments_pass_or_wait_together() {
    let pieces = fragments(5);
    for covered_at in 0..=3 {
        let mut live = visible();
        for (index, piece) in pieces.iter().enumerate() {
            if index == covered_at {
                live.cover(0).unwrap();
            }
            host(&mut live, piece);
            let came = relayed(&mut live);
            let whole = index == 2 && covered_at == 3;
            assert_eq!(came, if whole { vec![pieces.concat()] } else { Vec::new() });
        }
        live.cover(0).unwrap();
        assert!(taken(&mut live).iter().all(|unit| unit.injected));
        live.uncover(0).unwrap();
        let expected = if covered_at == 3 { Vec::new() } else { vec![pieces.concat()] };
        assert_eq!(relayed(&mut live), expected);
    }
}

#[test]
fn fragments_that_do_not_fit_together_end() {
    let [first, next, last] = <[Vec<u8>; 3]>::try_from(fragments(5)).unwrap();
    let mut other = last.clone();
    other[2] = (other[2] & 0xF0) | fastpath::BITMAP;
    let cases: [&[&Vec<u8>]; 5] =
        [&[&next], &[&last], &[&first, &first], &[&first, &bitmap(1)], &[&first, &other]];
    for frames in cases {
        let mut live = visible();
        let faults: Vec<Option<Fault>> = frames.iter().map(|frame| host_fault(&mut live, frame)).collect();
        assert_eq!(faults.last(), Some(&Some(Fault::Mixed)), "{frames:?}");
    }
    let mut live = visible();
    host(&mut live, &large_fragment(0x24));
    let next = large_fragment(0x34);
    let fault = (0..2_000).find_map(|_| host_fault(&mut live, &next));
    assert_eq!(fault, Some(Fault::TooMuch));
}

/// 28,672 bytes of a picture.
fn large_fragment(header: u8) -> Vec<u8> {
    [&[0, 0xF0, 0, header, 0xFA, 0x6F][..], &[0; 0x6FFA]].concat()
}

#[test]
fn a_large_screen_may_come_in_fragments_of_one_update() {
    const UNCOMPRESSED_BYTES: usize = 3_840 * 2_160 * 4;
    for covered in [false, true] {
        let mut live = visible();
        if covered {
            live.cover(0).unwrap();
            taken(&mut live);
        }
        let mut sent = large_fragment(0x24);
        host(&mut live, &sent);
        while sent.len() < UNCOMPRESSED_BYTES {
            let next = large_fragment(0x34);
            host(&mut live, &next);
            sent.extend(next);
        }
        host(&mut live, &large_fragment(0x14));
        // What was read at once with its end.
        host(&mut live, &bitmap(1));
        sent.extend([large_fragment(0x14), bitmap(1)].concat());
        if covered {
            assert!(relayed(&mut live).is_empty());
            live.uncover(0).unwrap();
        }
        assert!(relayed(&mut live).concat() == sent, "covered: {covered}");
    }
}

#[test]
fn compressed_encrypted_and_unknown_messages_end() {
    let mut compressed = share_data(data::UPDATE, &[0; 8]);
    compressed[15 + 15] = 0x21;
    let mut encrypted = bitmap(1);
    encrypted[0] = 0x80;
    let cases = [
        (compressed, Fault::Compressed),
        (encrypted, Fault::Encrypted),
        (vec![0, 7, 0x81, 0x21, 1, 0, 0], Fault::Compressed),
        (share_data(99, &[]), Fault::Unknown),
        (share_data(data::FRAME_ACKNOWLEDGE, &[0; 4]), Fault::Unknown),
        (from_host(&[0, 0x80, 0x41, 0, 0, 0, 0, 0]), Fault::Unknown),
        (from_host(&control(share::CONFIRM_ACTIVE, &[0; 20])), Fault::OutOfTurn),
        (from_host(&demand(SIZE)), Fault::OutOfTurn),
        (share_data(data::FONT_MAP, &[0; 8]), Fault::OutOfTurn),
        (mcs::send_data(Side::Host, 1002, 1500, &[0; 9]).unwrap(), Fault::NotItsChannel),
        (mcs::write_x224_data(&[0x2E, 0, 0, 6]).unwrap(), Fault::OutOfTurn),
    ];
    for (frame, fault) in cases {
        for covered in [false, true] {
            let mut live = visible();
            if covered {
                live.cover(0).unwrap();
            }
            assert_eq!(host_fault(&mut live, &frame), Some(fault), "{frame:?}");
        }
    }
}

#[test]
fn the_pointer_is_hidden_by_a_cover_and_comes_back_as_it_was() {
    let color = fastpath::write(fastpath::POINTER_COLOR, &[[3, 0].as_slice(), &[9; 40]].concat()).unwrap();
    let new = fastpath::write(fastpath::POINTER_NEW, &[[32, 0, 4, 0].as_slice(), &[9; 40]].concat()).unwrap();
    let cached = |index: u8| fastpath::write(fastpath::POINTER_CACHED, &[index, 0]).unwrap();
    let slow = share_data(data::POINTER, &[8, 0, 0, 0, 32, 0, 6, 0, 9, 9, 9]);
    let hidden = share_data(data::POINTER, &[1, 0, 0, 0, 0, 0, 0, 0]);
    let cases = [
        (vec![], fastpath::write(fastpath::POINTER_DEFAULT, &[]).unwrap()),
        (vec![color.clone()], cached(3)),
        (vec![color, new], cached(4)),
        (vec![slow], cached(6)),
        (vec![cached(7)], cached(7)),
        (vec![hidden], fastpath::write(fastpath::POINTER_HIDDEN, &[]).unwrap()),
        (vec![cached(7), fastpath::write(fastpath::POINTER_POSITION, &[0; 4]).unwrap()], cached(7)),
    ];
    for (pointers, expected) in cases {
        // Before the cover, and under it.
        for under in [false, true] {
            let mut live = visible();
            if under {
                live.cover(0).unwrap();
            }
            for pointer in &pointers {
                host(&mut live, pointer);
            }
            taken(&mut live);
            live.cover(0).unwrap();
            taken(&mut live);
            live.uncover(0).unwrap();
            assert_eq!(taken(&mut live).last().unwrap().bytes, expected, "{under}");
        }
    }
}

#[test]
fn a_new_activation_under_a_cover_begins_black_in_its_size() {
    let mut live = visible();
    live.cover(0).unwrap();
    host(&mut live, &bitmap(1));
    taken(&mut live);
    let deactivate = from_host(&control(share::DEACTIVATE_ALL, &[0; 4]));
    host(&mut live, &deactivate);
    // For the old share, and for none at all.
    host(&mut live, &bitmap(2));
    assert_eq!(relayed(&mut live), [deactivate]);
    assert_eq!(live.held_bytes(), 0);
    to_host(&mut live);
    let size = Size { width: 640, height: 480 };
    activate(&mut live, size);
    let units = taken(&mut live);
    assert_eq!(units.last().unwrap().mark.unwrap().shown, Shown::Covered);
    assert!(live.events().any(|event| event == Event::Layout(size)));
    assert!(share_to_host(&mut live).contains(&(data::SUPPRESS_OUTPUT, vec![0; 4])));
    live.uncover(0).unwrap();
    assert!(relayed(&mut live).is_empty());
}

#[test]
fn an_uncover_between_two_activations_asks_behind_the_second() {
    let mut live = active();
    host(&mut live, &from_host(&control(share::DEACTIVATE_ALL, &[])));
    taken(&mut live);
    live.uncover(0).unwrap();
    // No pointer of ours reaches a client that has no share.
    assert!(taken(&mut live).is_empty());
    assert!(share_to_host(&mut live).is_empty());
    activate(&mut live, SIZE);
    let units = taken(&mut live);
    assert_eq!(units.last().unwrap().mark.unwrap().shown, Shown::Visible);
    let asked: Vec<u8> = share_to_host(&mut live).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(asked, [data::SUPPRESS_OUTPUT, data::REFRESH_RECT]);
}

#[test]
fn the_client_s_answer_has_neither_codecs_nor_orders() {
    for plain_bitmaps in [true, false] {
        let mut live = new(Policy { plain_bitmaps, ..Policy::default() });
        host(&mut live, &from_host(&demand(SIZE)));
        taken(&mut live);
        let asked = from_client(&confirm());
        live.from_client(0, &asked).unwrap();
        let answered = to_host(&mut live).remove(0);
        let changed = asked.iter().zip(&answered).filter(|(a, b)| a != b).count();
        if plain_bitmaps {
            assert!(!answered.windows(32).any(|orders| orders == [1; 32]), "{answered:?}");
            // Nothing of the codecs is left, in no length either.
            assert_eq!(answered.len(), asked.len() - 4);
            assert!(answered.ends_with(&[29, 0, 5, 0, 0]), "{answered:?}");
            let Domain::Send(send) = mcs::read(&answered).unwrap() else { panic!("{answered:?}") };
            let [control] = &share::split(send.data).unwrap()[..] else { panic!("{answered:?}") };
            let combined = u16::from_le_bytes(control.body[8..10].try_into().unwrap());
            assert_eq!(usize::from(combined) + 10 + 4, control.body.len());
        } else {
            assert_eq!((changed, answered.len()), (0, asked.len()));
        }
        // Only one answer is asked for.
        assert_eq!(live.from_client(0, &asked).unwrap_err().fault, Fault::OutOfTurn);
    }
}

#[test]
fn a_redirection_is_told_and_never_passed() {
    let enhanced = control(share::REDIRECTION, &[1, 2, 3, 4]);
    let standard = [0, 4, 0, 0, 9, 9, 9, 9].to_vec();
    for pdu in [enhanced, standard] {
        let mut live = visible();
        host(&mut live, &from_host(&pdu));
        assert!(taken(&mut live).is_empty());
        assert_eq!(live.events().collect::<Vec<_>>(), [Event::Redirected(pdu)]);
    }
}

#[test]
fn a_host_that_draws_under_a_cover_is_told_again_and_not_with_each_picture() {
    let asked = |live: &mut Live| {
        share_to_host(live).iter().filter(|(kind, _)| *kind == data::SUPPRESS_OUTPUT).count()
    };
    let mut live = active();
    asked(&mut live);
    let mut told = Vec::new();
    for tick in 0..20 {
        let now_ms = 1_000 + tick * 50;
        // It obeys after half of the time.
        if tick < 10 {
            host(&mut live, &bitmap(1));
            relayed(&mut live);
        }
        live.tick(now_ms).unwrap();
        told.extend(std::iter::repeat_n(tick, asked(&mut live)));
    }
    assert_eq!(told, [0, 5, 10]);
    // A host that may draw is not told at all.
    live.uncover(2_000).unwrap();
    asked(&mut live);
    host(&mut live, &bitmap(2));
    relayed(&mut live);
    live.tick(3_000).unwrap();
    assert_eq!(asked(&mut live), 0);
    // What was on its way when the cover came.
    live.cover(3_000).unwrap();
    assert_eq!(asked(&mut live), 1);
    host(&mut live, &bitmap(3));
    relayed(&mut live);
    live.tick(3_050).unwrap();
    assert_eq!(asked(&mut live), 0);
}
