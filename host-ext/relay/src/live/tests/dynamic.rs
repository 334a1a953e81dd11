//! drdynvc: the host's channels by policy, and `SUDARE` beside them.

use ironrdp_dvc::{DrdynvcClient, DvcClientProcessor, DvcMessage, DvcProcessor};
use ironrdp_svc::{SvcProcessor as _, client_encode_svc_messages};

use super::*;
use crate::limits::{HOST_CAPS_WAIT_MS, REOPEN_AFTER_MS};
use crate::policy::{DISPLAY_CONTROL, GRAPHICS};
use crate::wire::channel::{self, Assembly};
use crate::wire::dvc::{self, NO_LISTENER};

pub(super) const OWN: u32 = 0x5344_0001;

/// Frames with one PDU of this side.
pub(super) fn frames(side: Side, pdu: &[u8]) -> Vec<u8> {
    let initiator = if side == Side::Client { USER } else { 1002 };
    channel::write(side, initiator, DRDYNVC, pdu).unwrap()
}

pub(super) fn say(live: &mut Live, side: Side, pdu: &[u8]) {
    for frame in split(&frames(side, pdu)) {
        match side {
            Side::Client => live.from_client(0, &frame).unwrap(),
            Side::Host => host(live, &frame),
        }
    }
}

pub(super) fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(length) = crate::frames::length(rest).unwrap() {
        let (frame, behind) = rest.split_at(length);
        found.push(frame.to_vec());
        rest = behind;
    }
    found
}

/// The PDUs of drdynvc in these frames, each whole before the next begins.
pub(super) fn pdus(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut assembly = Assembly::default();
    let all = frames.iter().flat_map(|bytes| split(bytes));
    let found = all.filter_map(|frame| match mcs::read(&frame) {
        Ok(Domain::Send(send)) if send.channel == DRDYNVC => {
            assembly.add(&channel::read(send.data).unwrap(), 1 << 20).unwrap()
        }
        _ => None,
    });
    found.collect()
}

pub(super) fn client_pdus(live: &mut Live) -> Vec<Vec<u8>> {
    pdus(&taken(live).into_iter().map(|unit| unit.bytes).collect::<Vec<_>>())
}

pub(super) fn host_pdus(live: &mut Live) -> Vec<Vec<u8>> {
    pdus(&to_host(live))
}

/// A visible session with `SUDARE` open.
pub(super) fn open() -> Live {
    let mut live = visible();
    say(&mut live, Side::Host, &dvc::write_capabilities_request());
    client_pdus(&mut live);
    say(&mut live, Side::Client, &dvc::write_capabilities_response(2));
    assert_eq!(client_pdus(&mut live), [dvc::write_create(OWN, "SUDARE")]);
    say(&mut live, Side::Client, &dvc::write_create_response(OWN, 0));
    assert_eq!(host_pdus(&mut live), [dvc::write_capabilities_response(2)]);
    assert_eq!(live.events().collect::<Vec<_>>(), [Event::Channel(ChannelEvent::Opened)]);
    live
}

/// The same with a host's channel for sizes.
pub(super) fn with_display() -> Live {
    let mut live = open();
    say(&mut live, Side::Host, &dvc::write_create(3, DISPLAY_CONTROL));
    assert_eq!(client_pdus(&mut live).len(), 1);
    say(&mut live, Side::Client, &dvc::write_create_response(3, 0));
    assert_eq!(host_pdus(&mut live).len(), 1);
    live
}

pub(super) fn data(id: u32, message: &[u8]) -> Vec<u8> {
    dvc::write_data(id, message).unwrap().remove(0)
}

#[test]
fn newer_versions_are_not_offered_to_the_client() {
    let mut live = active();
    say(&mut live, Side::Host, &[0x50, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(client_pdus(&mut live), [[0x50, 0, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8]]);
    let answer = frames(Side::Client, &dvc::write_capabilities_response(3));
    assert_eq!(live.from_client(0, &answer).unwrap_err().fault, Fault::OutOfTurn);
}

#[test]
fn our_channel_opens_under_a_cover_and_the_host_never_hears_of_it() {
    let mut live = open();
    live.cover(0).unwrap();
    taken(&mut live);
    to_host(&mut live);
    let long: Vec<u8> = (0..5_000_u16).flat_map(u16::to_le_bytes).collect();
    assert!(live.send(&long) && live.send(&[1, 2]));
    let sent = client_pdus(&mut live);
    assert_eq!(sent.concat().len() > 10_000, sent.len() > 6);
    assert_eq!(sent.last().unwrap(), &data(OWN, &[1, 2]));
    for pdu in dvc::write_data(OWN, &long).unwrap() {
        say(&mut live, Side::Client, &pdu);
    }
    say(&mut live, Side::Client, &data(OWN, &[9]));
    let bytes = [long, vec![9]].map(|bytes| Event::Channel(ChannelEvent::Bytes(bytes)));
    assert_eq!(live.events().collect::<Vec<_>>(), bytes);
    assert!(to_host(&mut live).is_empty());
    assert!(!live.send(&vec![0; 256 * 1024 + 1]));
    let most = (0..100).filter(|_| live.send(&vec![0; 200_000])).count();
    assert!((4..=6).contains(&most), "{most}");
}

#[test]
fn nothing_of_ours_comes_between_the_pieces_of_the_host_s() {
    let mut live = with_display();
    let message = [&[0x30, 3][..], &[7; 4_000]].concat();
    let pieces = split(&frames(Side::Host, &message));
    assert_eq!(pieces.len(), 3);
    for piece in &pieces {
        host(&mut live, piece);
        assert!(live.send(&[1]));
        // `pdus` fails where pieces are mixed.
        client_pdus(&mut live).iter().filter(|pdu| pdu.len() > 100).for_each(|pdu| assert_eq!(*pdu, message));
    }
    let mut live = with_display();
    host(&mut live, &pieces[0]);
    assert_eq!(host_fault(&mut live, &pieces[0]), Some(Fault::Mixed));
}

#[test]
fn our_channel_is_opened_again_and_reported_missing() {
    let mut live = open();
    say(&mut live, Side::Client, &dvc::write_close(OWN));
    assert!(!live.send(&[1]));
    assert_eq!(live.events().collect::<Vec<_>>(), [Event::Channel(ChannelEvent::Closed)]);
    live.tick(REOPEN_AFTER_MS - 1).unwrap();
    assert!(client_pdus(&mut live).is_empty());
    live.tick(REOPEN_AFTER_MS).unwrap();
    live.tick(REOPEN_AFTER_MS).unwrap();
    assert_eq!(client_pdus(&mut live), [dvc::write_create(OWN, "SUDARE")]);
    live.events().for_each(drop);
    say(&mut live, Side::Client, &dvc::write_create_response(OWN, NO_LISTENER));
    assert_eq!(live.events().collect::<Vec<_>>(), [Event::Channel(ChannelEvent::Missing)]);
    // An answer that nobody asked for.
    let again = frames(Side::Client, &dvc::write_create_response(OWN, 0));
    assert_eq!(live.from_client(0, &again).unwrap_err().fault, Fault::OutOfTurn);
}

#[test]
fn a_host_that_does_not_begin_is_not_waited_for() {
    for host_first in [true, false] {
        let mut live = active();
        live.tick(HOST_CAPS_WAIT_MS - 1).unwrap();
        assert!(client_pdus(&mut live).is_empty());
        live.tick(HOST_CAPS_WAIT_MS).unwrap();
        live.tick(HOST_CAPS_WAIT_MS + 1).unwrap();
        assert_eq!(client_pdus(&mut live), [dvc::write_capabilities_request()]);
        let late = dvc::write_capabilities_request();
        if host_first {
            say(&mut live, Side::Host, &late);
            assert!(client_pdus(&mut live).is_empty());
        }
        say(&mut live, Side::Client, &dvc::write_capabilities_response(1));
        assert_eq!(client_pdus(&mut live), [dvc::write_create(OWN, "SUDARE")]);
        if !host_first {
            assert!(host_pdus(&mut live).is_empty());
            say(&mut live, Side::Host, &late);
            assert!(client_pdus(&mut live).is_empty());
        }
        assert_eq!(host_pdus(&mut live), [dvc::write_capabilities_response(1)]);
    }
}

#[test]
fn what_policy_does_not_open_has_no_listener() {
    for name in ["SUDARE", "sudare", GRAPHICS, "AUDIO_INPUT", "anything"] {
        let mut live = open();
        say(&mut live, Side::Host, &dvc::write_create(9, name));
        assert!(client_pdus(&mut live).is_empty());
        assert_eq!(host_pdus(&mut live), [dvc::write_create_response(9, NO_LISTENER)]);
        assert_eq!(live.events().collect::<Vec<_>>(), [Event::ChannelRefused(name.to_owned())]);
        // What is said on it all the same goes nowhere.
        say(&mut live, Side::Host, &data(9, &[1]));
        say(&mut live, Side::Client, &data(9, &[1]));
        assert!(client_pdus(&mut live).is_empty() && host_pdus(&mut live).is_empty());
    }
}

#[test]
fn no_policy_gives_our_channel_to_the_host() {
    let mut live = open();
    live.policy.dynamic_channels.push(("SUDARE".to_owned(), Rule::Pass));
    say(&mut live, Side::Host, &dvc::write_create(9, "SUDARE"));
    assert!(client_pdus(&mut live).is_empty());
    assert_eq!(host_pdus(&mut live), [dvc::write_create_response(9, NO_LISTENER)]);
}

#[test]
fn our_number_and_numbers_in_use_are_not_the_host_s() {
    let cases = [
        data(OWN, &[1]),
        dvc::write_close(OWN),
        dvc::write_data(OWN, &[1; 5_000]).unwrap().remove(0),
        dvc::write_create(3, DISPLAY_CONTROL),
    ];
    for pdu in cases {
        let mut live = with_display();
        let fault = split(&frames(Side::Host, &pdu)).iter().find_map(|frame| host_fault(&mut live, frame));
        assert_eq!(fault, Some(Fault::NotItsChannel));
    }
    let mut live = open();
    say(&mut live, Side::Host, &dvc::write_create(OWN, DISPLAY_CONTROL));
    assert!(client_pdus(&mut live).is_empty());
    assert_eq!(host_pdus(&mut live), [dvc::write_create_response(OWN, NO_LISTENER)]);
}

#[test]
fn compressed_data_and_other_transports_end() {
    for (command, fault) in [
        (6, Fault::Compressed),
        (7, Fault::Compressed),
        (8, Fault::OtherTransport),
        (9, Fault::OtherTransport),
    ] {
        let pdu = [command << 4, 3, 0, 0, 0, 0];
        assert_eq!(host_fault(&mut with_display(), &frames(Side::Host, &pdu)), Some(fault));
        let broken = with_display().from_client(0, &frames(Side::Client, &pdu)).unwrap_err();
        assert_eq!(broken.fault, fault);
    }
}

#[test]
fn the_newest_layout_goes_to_the_host_behind_the_uncover() {
    let mut live = with_display();
    say(&mut live, Side::Client, &data(3, &[1]));
    assert_eq!(host_pdus(&mut live), [data(3, &[1])]);
    live.cover(0).unwrap();
    for number in 2..5 {
        say(&mut live, Side::Client, &data(3, &[number]));
    }
    assert!(host_pdus(&mut live).is_empty());
    live.uncover(0).unwrap();
    let frames = to_host(&mut live);
    assert_eq!(pdus(&frames), [data(3, &[4])]);
    assert_eq!(pdus(&frames[frames.len() - 1..]).len(), 1, "behind Suppress Output and Refresh Rect");
}

#[test]
fn what_the_host_says_under_a_cover_waits_with_its_close() {
    let mut live = with_display();
    live.cover(0).unwrap();
    taken(&mut live);
    say(&mut live, Side::Host, &data(3, &[1]));
    say(&mut live, Side::Host, &dvc::write_close(3));
    assert!(client_pdus(&mut live).is_empty());
    live.uncover(0).unwrap();
    assert_eq!(client_pdus(&mut live), [data(3, &[1]), dvc::write_close(3)]);
    // It is free again.
    say(&mut live, Side::Host, &dvc::write_create(3, DISPLAY_CONTROL));
    assert_eq!(client_pdus(&mut live).len(), 1);
}

#[test]
fn a_dropped_channel_ends_its_message_with_zeros() {
    let mut live = visible();
    live.policy.dynamic_channels.push(("touch".to_owned(), Rule::Drop));
    say(&mut live, Side::Host, &dvc::write_capabilities_request());
    say(&mut live, Side::Host, &dvc::write_create(5, "touch"));
    client_pdus(&mut live);
    let [first, last] = <[Vec<u8>; 2]>::try_from(dvc::write_data(5, &[7; 3_000]).unwrap()).unwrap();
    let zeros = [&last[..2], &vec![0; last.len() - 2]].concat();
    say(&mut live, Side::Client, &first);
    say(&mut live, Side::Host, &first);
    assert_eq!((host_pdus(&mut live), client_pdus(&mut live)), (vec![first.clone()], vec![first.clone()]));
    live.cover(0).unwrap();
    taken(&mut live);
    for side in [Side::Client, Side::Host] {
        say(&mut live, side, &last);
        say(&mut live, side, &data(5, &[1]));
        say(&mut live, side, &first);
    }
    assert_eq!((host_pdus(&mut live), client_pdus(&mut live)), (vec![zeros.clone()], vec![zeros]));
    live.uncover(0).unwrap();
    taken(&mut live);
    for side in [Side::Client, Side::Host] {
        say(&mut live, side, &last);
        say(&mut live, side, &data(5, &[2]));
    }
    let expected = vec![data(5, &[2])];
    assert_eq!((host_pdus(&mut live), client_pdus(&mut live)), (expected.clone(), expected));
}

/// The client's end of `SUDARE`, as another implementation runs it: it answers with what it hears.
#[derive(Debug)]
struct Echo;

ironrdp_core::impl_as_any!(Echo);

impl DvcProcessor for Echo {
    fn channel_name(&self) -> &str {
        "SUDARE"
    }
    fn start(&mut self, _: u32) -> ironrdp_pdu::PduResult<Vec<DvcMessage>> {
        Ok(Vec::new())
    }
    fn process(&mut self, _: u32, payload: &[u8]) -> ironrdp_pdu::PduResult<Vec<DvcMessage>> {
        Ok(vec![Box::new(Bytes(payload.to_vec()))])
    }
}

impl DvcClientProcessor for Echo {}

struct Bytes(Vec<u8>);

impl ironrdp_core::Encode for Bytes {
    fn encode(&self, dst: &mut ironrdp_core::WriteCursor<'_>) -> ironrdp_core::EncodeResult<()> {
        dst.write_slice(&self.0);
        Ok(())
    }
    fn name(&self) -> &'static str {
        "bytes"
    }
    fn size(&self) -> usize {
        self.0.len()
    }
}

impl ironrdp_dvc::DvcEncode for Bytes {}

#[test]
fn another_implementation_of_a_client_takes_our_channel() {
    let mut live = active();
    let mut client = DrdynvcClient::new().with_dynamic_channel(Echo);
    live.tick(HOST_CAPS_WAIT_MS).unwrap();
    let message: Vec<u8> = (0..9_000_u16).flat_map(u16::to_le_bytes).collect();
    let mut events = Vec::new();
    for round in 0..4 {
        for pdu in client_pdus(&mut live) {
            let answers = client.process(&pdu).unwrap();
            let bytes = client_encode_svc_messages(answers, DRDYNVC, USER).unwrap();
            split(&bytes).iter().for_each(|frame| live.from_client(0, frame).unwrap());
        }
        events.extend(live.events());
        assert!(round != 2 || live.send(&message));
    }
    let heard = [ChannelEvent::Opened, ChannelEvent::Bytes(message)].map(Event::Channel);
    assert_eq!(events, heard);
}
