//! Settings, joins, Client Info and licence: what is patched, and what ends.

use proptest::prelude::*;

use super::*;
use crate::connect::info::{self, Credential};
use crate::connect::negotiate::Agreed;
use crate::error::Fault;
use crate::policy::protocol;

/// Where the frame is that this phase begins with.
fn first_in(ends: &Ends, is: impl Fn(&Connection) -> bool) -> usize {
    (0..ends.said.len()).find(|index| is(&after(ends, *index))).unwrap()
}

fn response(ends: &Ends) -> (usize, Vec<u8>) {
    let index = first_in(ends, |relay| matches!(relay, Connection::Response(_)));
    (index, ends.said[index].1.clone())
}

/// The place of a block's body in the host's answer.
fn body_of(frame: &[u8], kind: u16) -> usize {
    let (at, blocks) = gcc::read_response(mcs::x224_data(frame).unwrap()).unwrap();
    let blocks = gcc::blocks(blocks).unwrap();
    let before: usize =
        blocks.iter().take_while(|block| block.kind != kind).map(|block| block.bytes.len()).sum();
    7 + at + before + 4
}

fn fault(ends: &Ends, index: usize, side: Side, frame: &[u8]) -> Option<Fault> {
    take(after(ends, index), side, frame, &mut Out::default()).err().map(|broken| broken.fault)
}

#[test]
fn the_client_reads_what_it_has_asked_for_and_not_what_the_gate_asked() {
    let (ends, _) = connected(policy(), true);
    let (index, frame) = response(&ends);
    assert_eq!(frame[body_of(&frame, 0x0C01) + 4], 1);
    let requested = 0x0B;
    let agreed = Agreed { requested, ..ends.agreed.clone() };
    let mut relay = Connection::new(agreed);
    for (side, frame) in &ends.said[..index] {
        relay = take(relay, *side, frame, &mut Out::default()).unwrap();
    }
    let mut out = Out::default();
    take(relay, Side::Host, &frame, &mut out).unwrap();
    let changed: Vec<usize> = (0..frame.len()).filter(|at| frame[*at] != out.to_client[*at]).collect();
    assert_eq!(changed, [body_of(&frame, 0x0C01) + 4]);
    assert_eq!(out.to_client[changed[0]], 0x0B);
}

#[test]
fn a_host_that_encrypts_itself_or_mixes_channels_up_ends() {
    let (ends, _) = connected(policy(), true);
    let (index, frame) = response(&ends);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = frame.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        fault(&ends, index, Side::Host, &changed)
    };
    assert_eq!(with(0, &[]), None);
    let security = body_of(&frame, 0x0C02);
    assert_eq!(with(security, &[2]), Some(Fault::Encrypted));
    assert_eq!(with(security + 4, &[1]), Some(Fault::Encrypted));
    let net = body_of(&frame, 0x0C03);
    assert_eq!(with(net + 2, &[2]), Some(Fault::NotAccepted));
    let second = frame[net + 6..net + 8].to_vec();
    assert_eq!(with(net + 4, &second), Some(Fault::NotItsChannel));
    let io = frame[net..net + 2].to_vec();
    assert_eq!(with(net + 4, &io), Some(Fault::NotItsChannel));
}

#[test]
fn only_known_channels_are_joined_and_only_by_their_user() {
    let (ends, _) = connected(policy(), true);
    let joins = (0..ends.said.len())
        .filter(|index| matches!(mcs::read(&ends.said[*index].1), Ok(mcs::Domain::JoinRequest { .. })));
    let mut tried = 0;
    for index in joins {
        let frame = &ends.said[index].1;
        for at in [8, 9, 10] {
            let mut changed = frame.clone();
            changed[at] ^= 0x40;
            assert_eq!(fault(&ends, index, Side::Client, &changed), Some(Fault::OutOfTurn));
            tried += 1;
        }
    }
    assert!(tried >= 9);
}

/// Client Info with this user and password, in either alphabet.
fn client_info(user: &str, password: &str, wide: bool) -> Vec<u8> {
    let text = |text: &str| -> Vec<u8> {
        if wide { text.encode_utf16().flat_map(u16::to_le_bytes).collect() } else { text.as_bytes().to_vec() }
    };
    let texts = ["OFFICE", user, password, "", ""].map(text);
    let flags = 0x0000_9E80_u32 | 0x8 | if wide { 0x10 } else { 0 };
    let mut pdu = [&[0x40, 0, 0, 0, 0, 0, 0, 0][..], &flags.to_le_bytes()].concat();
    pdu.extend(texts.iter().flat_map(|text| u16::try_from(text.len()).unwrap().to_le_bytes()));
    for text in texts {
        pdu.extend(text);
        pdu.extend(if wide { &[0, 0][..] } else { &[0] });
    }
    pdu
}

#[test]
fn client_info_loses_its_compression_and_a_hash_is_no_password() {
    for wide in [false, true] {
        let pdu = client_info("hanako", "$NTLM$", wide);
        let (logon, edited) = info::edit(&pdu, None).unwrap();
        assert_eq!((&*logon.domain, &*logon.user, logon.autologon), ("OFFICE", "hanako", true));
        assert_eq!(edited[8..12], (0x8 | if wide { 0x10 } else { 0_u32 }).to_le_bytes());
        assert_eq!((&edited[..8], &edited[12..]), (&pdu[..8], &pdu[12..]));
        assert!(!format!("{logon:?}").contains("hanako"));
        for password in ["$NTLM$:", "$NTLM$:8846f7eaee8fb117ad06bdd830b7586c"] {
            assert_eq!(info::edit(&client_info("hanako", password, wide), None), Err(Fault::HashAsPassword));
        }
        let mut encrypted = pdu.clone();
        encrypted[0] |= 8;
        assert_eq!(info::edit(&encrypted, None), Err(Fault::Encrypted));
        for cut in 0..pdu.len() {
            assert!(info::edit(&pdu[..cut], None).is_err(), "{cut}");
        }
    }
}

#[test]
fn a_licence_passes_until_its_last_word() {
    let (ends, _) = connected(policy(), true);
    let index = first_in(&ends, |relay| matches!(relay, Connection::Licence(_)));
    let (side, frame) = &ends.said[index];
    assert_eq!(*side, Side::Host);
    let mcs::Domain::Send(send) = mcs::read(frame).unwrap() else { panic!() };
    let (initiator, io) = (send.initiator, send.channel);
    let message = |kind: u8, flags: u16| {
        let message = [&flags.to_le_bytes()[..], &[0, 0, kind, 3, 8, 0, 9, 9, 9, 9]].concat();
        mcs::send_data(Side::Host, initiator, io, &message).unwrap()
    };
    for (kind, done) in [(1, false), (2, false), (3, true), (4, true), (0xFF, true)] {
        let mut out = Out::default();
        let frame = message(kind, 0x80);
        let relay = take(after(&ends, index), Side::Host, &frame, &mut out).unwrap();
        assert_eq!((matches!(relay, Connection::Live(_)), out.to_client), (done, frame));
    }
    assert_eq!(fault(&ends, index, Side::Host, &message(1, 0x88)), Some(Fault::Encrypted));
    assert_eq!(fault(&ends, index, Side::Host, &message(1, 0x40)), Some(Fault::OutOfTurn));
}

proptest! {
    #[test]
    fn any_channel_list_is_read_or_refused(channels in prop::collection::vec(any::<[u8; 12]>(), 0..40), extra in 0_usize..3) {
        let ends = Ends::new(policy(), true);
        let count = u32::try_from(channels.len()).unwrap();
        let length = u16::try_from(8 + channels.len() * 12 + extra).unwrap();
        let block = [&[3, 0xC0][..], &length.to_le_bytes(), &count.to_le_bytes(), &channels.concat(), &vec![0; extra]].concat();
        let before = [4, 1, 1, 4, 1, 1, 1, 1, 255, 0x30, 0, 0x30, 0, 0x30, 0];
        let frame = mcs::write_x224_data(&gcc::write_initial(&before, &block).unwrap()).unwrap();
        let mut out = Out::default();
        let agreed = Agreed { client: protocol::TLS, ..ends.agreed };
        let taken = Connection::new(agreed).client(0, &frame, &mut out);
        prop_assert_eq!(taken.is_ok(), channels.len() <= 31 && extra == 0);
        if taken.is_ok() {
            let (_, heard) = gcc::read_initial(mcs::x224_data(&out.to_host).unwrap()).unwrap();
            // Nothing that policy does not know by name reaches the host.
            let names = heard[8..].chunks(12).map(|channel| channel[..8].to_vec());
            for name in names {
                prop_assert!(name.starts_with(b"gate") || name.starts_with(b"cliprdr") || name.starts_with(b"drdynvc"));
            }
        }
    }
}

#[test]
fn client_info_says_whom_credssp_has_proved() {
    let credential =
        Credential { domain: String::new(), user: "花子".into(), password: "wörd".to_owned().into() };
    for wide in [false, true] {
        let pdu = client_info("jiro", "other", wide);
        let (logon, edited) = info::edit(&pdu, Some(&credential)).unwrap();
        assert_eq!((&*logon.domain, &*logon.user, logon.autologon), ("", "花子", true));
        // Read again, it is what a client with that name would have said.
        assert_eq!(info::edit(&edited, None), Ok((logon, edited.clone())));
        let text = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let has = |word: &str| edited.windows(text(word).len()).any(|part| part == text(word));
        assert!(has("花子") && has("wörd") && !has("jiro") && !has("other") && !has("OFFICE"));
        assert_eq!(edited[8..12], 0x18_u32.to_le_bytes());
    }
    let quiet = Credential { password: String::new().into(), ..credential.clone() };
    let (logon, edited) = info::edit(&client_info("jiro", "other", true), Some(&quiet)).unwrap();
    assert_eq!((logon.autologon, &edited[8..12]), (false, &0x10_u32.to_le_bytes()[..]));
    let long = Credential { user: "a".repeat(256), ..credential };
    assert_eq!(info::edit(&client_info("jiro", "", true), Some(&long)), Err(Fault::TooMuch));
}
