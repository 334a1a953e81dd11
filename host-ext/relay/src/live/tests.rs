//! A session with hand-made messages of both sides.

mod channels;
mod dynamic;
mod gfx;
mod legacy;
mod order;
mod record;
mod shown;
mod typing;

use super::*;
use crate::connect::StaticChannel;
use crate::error::Fault;
use crate::policy::Rule;
use crate::wire::fastpath;
use crate::wire::mcs::{self, Domain};
use crate::wire::share::{self, data};

const IO: u16 = 1003;
const DRDYNVC: u16 = 1004;
const CLIPBOARD: u16 = 1005;
const DRIVES: u16 = 1006;
const USER: u16 = 1007;
const MESSAGE: u16 = 1008;
const CLOSED: u16 = 1009;
const SOUND: u16 = 1010;
const SHARE: u32 = 0x0001_03EA;
const SIZE: Size = Size { width: 801, height: 600 };

fn new(policy: Policy) -> Live {
    let channel = |id, name: &str, rule| StaticChannel { id, name: name.to_owned(), rule };
    let statics = vec![
        channel(DRDYNVC, "drdynvc", Rule::Pass),
        channel(CLIPBOARD, "cliprdr", Rule::Drop),
        channel(DRIVES, "rdpdr", Rule::Hold),
        channel(CLOSED, "closed", Rule::Closed),
        channel(SOUND, "rdpsnd", Rule::Silence),
    ];
    let channels = Channels { io: IO, message: Some(MESSAGE), user: USER, statics };
    let logon = Logon { domain: String::new(), user: "hanako".to_owned(), autologon: true };
    Live::new(policy, channels, logon)
}

/// A session behind its Font Map, still covered; everything so far has been taken.
fn active() -> Live {
    let mut live = new(Policy::default());
    activate(&mut live, SIZE);
    taken(&mut live);
    to_host(&mut live);
    live.events().for_each(drop);
    live
}

/// The same after its first uncover.
fn visible() -> Live {
    let mut live = active();
    live.uncover(0).unwrap();
    taken(&mut live);
    to_host(&mut live);
    live
}

fn activate(live: &mut Live, size: Size) {
    host(live, &from_host(&demand(size)));
    taken(live);
    live.from_client(0, &from_client(&confirm())).unwrap();
    host(live, &share_data(data::FONT_MAP, &[0; 8]));
}

fn control(kind: u8, body: &[u8]) -> Vec<u8> {
    let total = u16::try_from(body.len() + 6).unwrap();
    [&total.to_le_bytes()[..], &[0x10 | kind, 0, 0xEA, 3], body].concat()
}

fn bitmap_set(size: Size) -> Vec<u8> {
    let fields = [2, 28, 32, 1, 1, 1, size.width, size.height, 0, 1, 1, 0, 1, 0];
    fields.iter().flat_map(|field: &u16| field.to_le_bytes()).collect()
}

fn demand(size: Size) -> Vec<u8> {
    let set = bitmap_set(size);
    let combined = u16::try_from(set.len() + 4).unwrap();
    let body =
        [&SHARE.to_le_bytes()[..], &[4, 0], &combined.to_le_bytes(), b"RDP\0", &[1, 0, 0, 0], &set, &[0; 4]];
    control(share::DEMAND_ACTIVE, &body.concat())
}

/// With all orders and two codecs.
fn confirm() -> Vec<u8> {
    let order = [&[3, 0, 88, 0][..], &[0; 32], &[1; 32], &[0; 20]].concat();
    let codecs = [29, 0, 9, 0, 2, 7, 7, 7, 7];
    let sets = [&bitmap_set(SIZE), &order, &codecs[..]].concat();
    let combined = u16::try_from(sets.len() + 4).unwrap();
    let body =
        [&SHARE.to_le_bytes()[..], &[0xEA, 3, 4, 0], &combined.to_le_bytes(), b"RDP\0", &[3, 0, 0, 0], &sets];
    control(share::CONFIRM_ACTIVE, &body.concat())
}

fn from_host(user_data: &[u8]) -> Vec<u8> {
    mcs::send_data(Side::Host, 1002, IO, user_data).unwrap()
}

fn from_client(user_data: &[u8]) -> Vec<u8> {
    mcs::send_data(Side::Client, USER, IO, user_data).unwrap()
}

fn share_pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    share::write_data(SHARE, 1002, kind, body).unwrap()
}

fn share_data(kind: u8, body: &[u8]) -> Vec<u8> {
    from_host(&share_pdu(kind, body))
}

fn client_data(kind: u8, body: &[u8]) -> Vec<u8> {
    from_client(&share_pdu(kind, body))
}

fn host(live: &mut Live, frame: &[u8]) {
    live.from_host(0, frame).unwrap();
}

fn host_fault(live: &mut Live, frame: &[u8]) -> Option<Fault> {
    let taken = live.from_host(0, frame).and_then(|()| {
        while live.next_to_client(0)?.is_some() {}
        Ok(())
    });
    taken.err().map(|broken| {
        assert_eq!((broken.side, broken.stage), (Side::Host, Stage::Session));
        broken.fault
    })
}

/// Everything that the client gets now.
fn taken(live: &mut Live) -> Vec<Unit> {
    std::iter::from_fn(|| live.next_to_client(0).unwrap()).collect()
}

/// What of it is the host's.
fn relayed(live: &mut Live) -> Vec<Vec<u8>> {
    taken(live).into_iter().filter(|unit| !unit.injected).map(|unit| unit.bytes).collect()
}

/// Everything that the host gets now.
fn to_host(live: &mut Live) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| live.next_to_host()).collect()
}

/// The types of share data that the host gets now, with their bodies.
fn share_to_host(live: &mut Live) -> Vec<(u8, Vec<u8>)> {
    let frames = to_host(live);
    let shares = frames.iter().filter_map(|frame| match mcs::read(frame) {
        Ok(Domain::Send(send)) if send.channel == IO => Some(share::split(send.data).unwrap().remove(0)),
        _ => None,
    });
    shares.filter_map(|pdu| Some((pdu.data?.kind, pdu.body.to_vec()))).collect()
}

fn bitmap(number: u8) -> Vec<u8> {
    fastpath::write(fastpath::BITMAP, &[number; 20]).unwrap()
}

/// One update in several frames.
fn fragments(number: u8) -> Vec<Vec<u8>> {
    let flags = [2 << 4, 3 << 4, 1 << 4];
    flags.iter().map(|flag| vec![0, 9, fastpath::SURFACE | flag, 4, 0, number, 1, 2, 3]).collect()
}

/// Whether there is a picture, a pointer or a sound of anybody in these bytes.
fn shows(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut found = false;
    while let Some(length) = crate::frames::length(rest).unwrap() {
        let (frame, behind) = rest.split_at(length);
        rest = behind;
        found |= match mcs::read(frame) {
            Ok(Domain::Send(send)) if send.channel == IO => share::split(send.data)
                .unwrap()
                .iter()
                .filter_map(|pdu| pdu.data)
                .any(|of| [data::UPDATE, data::POINTER, data::PLAY_SOUND].contains(&of.kind)),
            Ok(_) => false,
            Err(_) => true,
        };
    }
    found
}
