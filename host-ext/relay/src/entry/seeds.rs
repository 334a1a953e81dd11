//! Where fuzzers start from: what real ends say to each other, and messages of each kind behind it.
//!
//! `SUDARE_WRITE_SEEDS=1 cargo test -p sudare-relay seeds` writes them into `fuzz/seeds`.

#![allow(clippy::disallowed_methods, reason = "seeds are files")]

use std::fs;
use std::path::PathBuf;

use ironrdp_graphics::zgfx::wrap_uncompressed;

use super::*;
use crate::connect::tests::ends::{Ends, policy};
use crate::error::Side;
use crate::policy::{DISPLAY_CONTROL, GRAPHICS};
use crate::wire::share::data;
use crate::wire::{fastpath, input};

/// A seed's name and its bytes.
type Seed = (String, Vec<u8>);
/// What a fuzzer begins with.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 6] = [
    ("stream", stream),
    ("wire", wire),
    ("negotiation", negotiation),
    ("credssp", credssp),
    ("connection", connection),
    ("session", session),
];

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

fn with_length(op: u8, message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&[op][..], &length.to_le_bytes(), message].concat()
}

fn of_side(side: Side) -> u8 {
    u8::from(side == Side::Host)
}

/// A message of a session: who says it, on which channel, what.
struct Said {
    side: Side,
    channel: &'static str,
    message: Vec<u8>,
}

/// What a session may carry, message by message. The graphics pipeline has this number.
fn messages(id: u32) -> Vec<Said> {
    let said = |side, channel, message| Said { side, channel, message };
    let share = |side, kind, body: &[u8]| said(side, "io", share::write_data(0, 1002, kind, body).unwrap());
    let dynamic = |side, pdu: Vec<u8>| said(side, "drdynvc", pdu);
    let pieces = |side, id, message: &[u8]| dynamic(side, dvc::write_data(id, message).unwrap().remove(0));
    let pdu = |command: u8, body: &[u8]| {
        [&[command, 0, 0, 0, u8::try_from(body.len() + 8).unwrap(), 0, 0, 0], body].concat()
    };
    let made = [pdu(0x09, &[1, 0, 8, 0, 6, 0, 0x20]), pdu(0x0F, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])];
    let fill = pdu(0x04, &[1, 0, 7, 7, 7, 7, 1, 0, 0, 0, 0, 0, 8, 0, 6, 0]);
    let drawn = [pdu(0x0B, &[0, 0, 0, 0, 5, 0, 0, 0]), fill, pdu(0x0C, &[5, 0, 0, 0])];
    let caps = [&[1, 0][..], &[1, 7, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0]].concat();
    let graphics = |pdus: &[u8]| pieces(Side::Host, id, &wrap_uncompressed(pdus));
    let key = input::Event::Key(input::Key { code: 0x1E, prefix: 0 }, true);
    let clipboard =
        |kind: u8, body: &[u8]| [&[kind, 0, 0, 0, u8::try_from(body.len()).unwrap(), 0, 0, 0], body].concat();
    vec![
        share(Side::Host, data::SAVE_SESSION_INFO, &[0; 8]),
        share(Side::Host, data::ERROR_INFO, &[0; 4]),
        share(Side::Host, data::UPDATE, &[1, 0, 0, 0]),
        share(Side::Host, data::POINTER, &[7, 0, 0, 0, 3, 0]),
        share(Side::Host, data::PLAY_SOUND, &[0; 8]),
        share(Side::Client, data::INPUT, &input::write_slow(&[key]).unwrap()),
        share(Side::Client, data::SUPPRESS_OUTPUT, &[0; 4]),
        share(Side::Client, data::REFRESH_RECT, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 9, 0]),
        share(Side::Client, data::FRAME_ACKNOWLEDGE, &[1, 0, 0, 0]),
        said(Side::Host, "message", vec![0, 0x10, 0, 0, 6, 0, 1, 0, 1, 0]),
        said(Side::Client, "message", vec![0, 0x20, 0, 0, 6, 1, 1, 0, 0, 0]),
        dynamic(Side::Host, dvc::write_capabilities_request()),
        dynamic(Side::Client, dvc::write_capabilities_response(2)),
        dynamic(Side::Client, dvc::write_create_response(0x5344_0001, 0)),
        dynamic(Side::Host, dvc::write_create(7, DISPLAY_CONTROL)),
        dynamic(Side::Client, dvc::write_create_response(7, 0)),
        pieces(Side::Client, 7, &[2, 0, 0, 0, 16, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0]),
        dynamic(Side::Host, dvc::write_create(id, GRAPHICS)),
        dynamic(Side::Client, dvc::write_create_response(id, 0)),
        pieces(Side::Client, id, &pdu(0x12, &caps)),
        graphics(&pdu(0x13, &caps[2..])),
        graphics(&made.concat()),
        graphics(&drawn.concat()),
        pieces(Side::Client, id, &pdu(0x0D, &[0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0])),
        graphics(&pdu(0x0A, &[1, 0])),
        dynamic(Side::Host, dvc::write_create(10, "Unknown")),
        dynamic(Side::Client, dvc::write_close(7)),
        said(Side::Host, "cliprdr", clipboard(1, &[])),
        said(Side::Client, "cliprdr", clipboard(2, &[13, 0, 0, 0, 0, 0])),
        said(Side::Host, "rdpdr", b"Dnr\x49\x01\0\x0c\0\x01\0\0\0".to_vec()),
        said(Side::Host, "rdpsnd", vec![13, 0, 14, 0, 1, 1, 2, 0, 9, 0, 0, 0, 5, 5, 5, 5, 0xDD, 0xDD]),
    ]
}

/// A real client and a real host, then everything that a session may carry, covered and visible.
fn connection_seed() -> Vec<u8> {
    let mut ends = Ends::new(policy(), true);
    let relay = ends.run(Connection::new(ends.agreed.clone())).unwrap();
    let Connection::Live(live) = relay else { panic!("{relay:?}") };
    let sent = |said: &(Side, Vec<u8>)| match mcs::read(&said.1) {
        Ok(mcs::Domain::Send(send)) => Some((send.initiator, send.channel)),
        _ => None,
    };
    // The first of all to send is the client, on the share's channel.
    let (user, io) = ends.said.iter().filter(|(side, _)| *side == Side::Client).find_map(sent).unwrap();
    let id =
        |name: &str| live.static_channels().iter().find(|known| known.name == name).map(|known| known.id);
    let mut script: Vec<u8> =
        ends.said.iter().flat_map(|(side, frame)| with_length(of_side(*side), frame)).collect();
    for toggles in [2, 0, 2] {
        for (at, said) in messages(9).into_iter().enumerate() {
            let initiator = if said.side == Side::Client { user } else { 1002 };
            let frames = match (said.channel, id(said.channel)) {
                ("io", _) => mcs::send_data(said.side, initiator, io, &said.message).unwrap(),
                (_, Some(channel)) => channel::write(said.side, initiator, channel, &said.message).unwrap(),
                // The ends have no message channel, and the client no drives.
                _ => continue,
            };
            // Channels are greeted once.
            let again = script.windows(frames.len()).any(|place| place == frames);
            if said.channel == "drdynvc" && again {
                continue;
            }
            script.extend(with_length(of_side(said.side) | if at == 0 { toggles } else { 0 }, &frames));
        }
        let drawn = fastpath::write(fastpath::BITMAP, &[1, 0, 0, 0]).unwrap();
        let moved = input::write_fast(&[input::Event::Mouse(0x0800, 5, 5)]).unwrap();
        script.extend(with_length(1, &drawn));
        script.extend(with_length(0, &moved));
    }
    script
}

/// The same messages as operations of [`session`], where the channel is in the operation.
fn session_seed() -> Vec<u8> {
    let mut script = Vec::new();
    for op in [5, 4] {
        script.extend([op, 6 | (31 << 3)]);
        let greets = |said: &Said| {
            // The session begins with graphics, and what is said once was said before the cover.
            let first = op == 5 && said.message != dvc::write_create(3, GRAPHICS);
            said.channel == "drdynvc" && !first
        };
        for said in messages(3).into_iter().filter(|said| !greets(said)) {
            let at = match said.channel {
                "io" => 0,
                "message" => 1,
                "drdynvc" => 2,
                "cliprdr" => 3,
                _ => 4,
            };
            let message = match at {
                // Its chunk's header.
                2.. => {
                    let length = u32::try_from(said.message.len()).unwrap();
                    [&length.to_le_bytes()[..], &[3, 0, 0, 0], &said.message].concat()
                }
                _ => said.message,
            };
            script.extend(with_length(2 + u8::from(said.side == Side::Client) + (at << 3), &message));
            script.push(6 | (3 << 3));
        }
        let drawn = fastpath::write(fastpath::BITMAP, &[1, 0, 0, 0]).unwrap();
        script.extend(with_length(0, &drawn));
        script.extend(with_length(7, b"words"));
    }
    script
}

fn seeds(target: &str) -> Vec<Seed> {
    let mut ends = Ends::new(policy(), true);
    ends.run(Connection::new(ends.agreed.clone())).unwrap();
    let side = |side: Side| -> Vec<u8> {
        ends.said.iter().filter(|(from, _)| *from == side).flat_map(|(_, frame)| frame.clone()).collect()
    };
    let named = |name: &str, bytes| (format!("ironrdp-{name}"), bytes);
    match target {
        "stream" => vec![named("client", side(Side::Client)), named("host", side(Side::Host))],
        "wire" => {
            let payload = |frame: &[u8]| match mcs::read(frame) {
                Ok(mcs::Domain::Send(send)) => send.data.to_vec(),
                _ => frame.to_vec(),
            };
            let real = ends.said.iter().map(|(_, frame)| payload(frame));
            let made = messages(9).into_iter().map(|said| said.message);
            let made = made.chain([fastpath::write(fastpath::BITMAP, &[1, 0, 0, 0]).unwrap()]);
            let mut all: Vec<Vec<u8>> = real.chain(made).collect();
            all.sort();
            all.dedup();
            all.into_iter().enumerate().map(|(at, bytes)| named(&format!("{at:02}"), bytes)).collect()
        }
        "negotiation" => {
            let request = [&[3, 0, 0, 19, 14, 0xE0, 0, 0, 0, 0, 0][..], &[1, 0, 8, 0, 3, 0, 0, 0]].concat();
            let hinted =
                b"\x03\0\0\x2d\x28\xe0\0\0\0\0\0Cookie: mstshash=hanako\r\n\x01\0\x08\0\x0b\0\0\0".to_vec();
            let confirm = [&[3, 0, 0, 19, 14, 0xD0, 0, 0, 0, 0, 0][..], &[2, 0, 8, 0, 1, 0, 0, 0]].concat();
            let both = |request: &[u8]| {
                let length = u16::try_from(request.len()).unwrap();
                [&length.to_le_bytes()[..], request, &confirm].concat()
            };
            vec![named("tls", both(&request)), named("user", both(&hinted))]
        }
        "credssp" => {
            let token = [&b"NTLMSSP\0"[..], &[1, 0, 0, 0], &[0; 28]].concat();
            let first = credssp::Request { version: 6, token: Some(token), ..credssp::Request::default() };
            let (key, nonce) = (Some(vec![1; 48]), Some([2; 32]));
            let second = credssp::Request { public_key: key, nonce, ..first.clone() };
            let error =
                credssp::Request { version: 6, error: Some(0xC000_006D), ..credssp::Request::default() };
            let password = credssp::Request { credentials: Some(vec![3; 90]), ..error.clone() };
            let requests = [first, second, password, error].map(|request| request.write());
            let packet =
                |at: usize, packet: Vec<u8>| (format!("packet-{at}"), [&packet[..1], &packet[5..]].concat());
            let logon =
                Credential { domain: "CORP".into(), user: "hanako".into(), password: "w".to_owned().into() };
            let proved = credssp::packet::Proved { user: "hanako".into(), logon };
            let refused = credssp::ToGate::Refused(credssp::Refusal::LogonDenied, vec![7]);
            let requests =
                requests.into_iter().enumerate().map(|(at, bytes)| (format!("request-{at}"), bytes));
            requests
                .chain([packet(0, credssp::ToGate::Proved(proved).write()), packet(1, refused.write())])
                .collect()
        }
        "connection" => vec![named("whole", connection_seed())],
        _ => vec![named("whole", session_seed())],
    }
}

#[test]
fn seeds_are_there_and_reach_what_they_are_for() {
    if std::env::var_os("SUDARE_WRITE_SEEDS").is_some() {
        for (target, _) in TARGETS {
            fs::create_dir_all(folder(target)).unwrap();
            for (name, bytes) in seeds(target) {
                fs::write(folder(target).join(name), bytes).unwrap();
            }
        }
    }
    let mut total = 0;
    for (target, run) in TARGETS {
        let files = fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path());
        let mut count = 0;
        for file in files {
            let bytes = fs::read(&file).unwrap();
            total += bytes.len();
            run(&bytes);
            if target == "connection" {
                let end = follow(&bytes);
                assert!(matches!(&end, Ok(Connection::Live(_))), "{}: {end:?}", file.display());
            }
            count += 1;
        }
        assert!(count > 0, "{target} has no seed");
    }
    assert!(total < 300 * 1024, "{total} bytes of seeds");
}

#[test]
fn what_a_session_carries_is_taken_to_its_end() {
    follow(&connection_seed()).unwrap();
    crate::live::script::play(&session_seed()).unwrap();
}
