//! Real ends, hand-made messages, and every way to tear them.

pub(crate) mod ends;
mod negotiation;
mod settings;

use ironrdp_pdu::x224::{X224, X224Data};

use super::*;
use crate::policy::Policy;
use crate::wire::mcs;
use ends::{Ends, drain, policy, take};

fn connected(policy: Policy, drdynvc: bool) -> (Ends, Connection) {
    let mut ends = Ends::new(policy, drdynvc);
    let relay = ends.run(Connection::new(ends.agreed.clone())).unwrap();
    (ends, relay)
}

fn live(relay: Connection) -> Box<Live> {
    if let Connection::Live(live) = relay { live } else { panic!("{relay:?}") }
}

fn gcc_of_initial(frame: &[u8]) -> ironrdp_pdu::gcc::ClientGccBlocks {
    let X224(data) = ironrdp_core::decode::<X224<X224Data<'_>>>(frame).unwrap();
    let initial: ironrdp_pdu::mcs::ConnectInitial = ironrdp_core::decode(&data.data).unwrap();
    initial.conference_create_request.into_gcc_blocks()
}

#[test]
fn a_real_client_and_a_real_host_connect_through_the_relay() {
    let (mut ends, relay) = connected(policy(), true);
    let (client, host) = ends.results();
    assert_eq!((client.desktop_size.width, client.desktop_size.height), ends::SIZE);
    assert_eq!(host.credentials.unwrap().username, "hanako");
    let mut live = live(relay);
    assert_eq!(
        (&*live.logon().user, &*live.logon().domain, live.logon().autologon),
        ("hanako", "OFFICE", true)
    );
    assert_eq!(live.shown(), crate::live::Shown::Covered);
    let size = crate::live::Size { width: 1024, height: 768 };
    assert!(live.events().any(|event| event == crate::live::Event::Layout(size)));
    // Black and no pointer are the first that a client is shown.
    let heard: Vec<&Vec<u8>> =
        ends.heard.iter().filter(|(side, _)| *side == Side::Client).map(|(_, frame)| frame).collect();
    assert!(!heard.is_empty());
}

#[test]
fn each_side_hears_what_its_own_leg_and_the_policy_say() {
    let (mut ends, relay) = connected(policy(), true);
    let first = |side| ends.heard.iter().find(|(to, _)| *to == side).unwrap().1.clone();
    let asked = gcc_of_initial(&ends.said[0].1);
    assert!(asked.multi_transport_channel.is_some());
    let heard = gcc_of_initial(&first(Side::Host));
    assert!(heard.multi_transport_channel.is_none());
    let core = heard.core.optional_data;
    assert_eq!(core.server_selected_protocol, Some(ironrdp_pdu::nego::SecurityProtocol::SSL));
    let gfx = ironrdp_pdu::gcc::ClientEarlyCapabilityFlags::SUPPORT_DYN_VC_GFX_PROTOCOL;
    assert!(asked.core.optional_data.early_capability_flags.unwrap().contains(gfx));
    assert!(!core.early_capability_flags.unwrap().contains(gfx));
    let names: Vec<String> = heard
        .network
        .unwrap()
        .channels
        .iter()
        .map(|channel| {
            assert!(!channel.options.contains(ironrdp_pdu::gcc::ChannelOptions::COMPRESS_RDP));
            channel.name.as_str().unwrap().to_owned()
        })
        .collect();
    let place = |name: &str| {
        asked.network.as_ref().unwrap().channels.iter().position(|c| c.name.as_str() == Some(name)).unwrap()
    };
    let (clipboard, sound) = (place("cliprdr"), place("rdpsnd"));
    assert_eq!(names[clipboard], "cliprdr");
    assert_eq!(names[place("drdynvc")], "drdynvc");
    assert_eq!(names[sound], format!("gate{sound:03}"));
    let (_, host) = ends.results();
    assert!(host.multitransport_flags.is_empty());
    let live = live(relay);
    let rule = |at: usize| live.static_channels()[at].rule;
    assert_eq!([clipboard, sound, place("drdynvc")].map(rule), [Rule::Drop, Rule::Closed, Rule::Pass]);
    // Client Info: no bulk compression, and all the rest as it was.
    let info = |frames: &[(Side, Vec<u8>)]| {
        let user: Vec<u8> = "hanako".encode_utf16().flat_map(u16::to_le_bytes).collect();
        frames.iter().find(|(_, frame)| frame.windows(user.len()).any(|w| w == user)).unwrap().1.clone()
    };
    let (said, heard) = (info(&ends.said), info(&ends.heard));
    let changed: Vec<usize> = (0..said.len()).filter(|at| said[*at] != heard[*at]).collect();
    assert_eq!(said.len(), heard.len());
    assert_eq!((said[23] & 0x80, heard[23] & 0x80), (0x80, 0), "{changed:?}");
    assert!(changed.iter().all(|at| (23..27).contains(at)), "{changed:?}");
}

#[test]
fn codecs_and_orders_are_taken_out_of_the_client_s_answer() {
    for plain_bitmaps in [true, false] {
        let (mut ends, _) = connected(Policy { plain_bitmaps, ..policy() }, true);
        let (_, host) = ends.results();
        let codecs = host.capabilities.iter().find_map(|set| match set {
            ironrdp_pdu::rdp::capability_sets::CapabilitySet::BitmapCodecs(codecs) => Some(codecs.0.len()),
            _ => None,
        });
        assert_eq!(codecs.unwrap_or_default() == 0, plain_bitmaps, "{codecs:?}");
    }
}

#[test]
fn a_client_without_dynamic_channels_is_told_of() {
    let (_, relay) = connected(policy(), false);
    let missing = crate::live::Event::Channel(crate::live::ChannelEvent::Missing);
    assert!(live(relay).events().any(|event| event == missing));
}

#[test]
fn blocks_that_nobody_knows_stay_byte_for_byte() {
    let (ends, _) = connected(policy(), true);
    let (before, blocks) = gcc::read_initial(mcs::x224_data(&ends.said[0].1).unwrap()).unwrap();
    let unknown = [0x0D, 0xC0, 9, 0, 1, 2, 3, 4, 5];
    let (core, rest) = blocks.split_at(usize::from(u16::from_le_bytes([blocks[2], blocks[3]])));
    let all = [core, &unknown, rest, &unknown].concat();
    let frame = mcs::write_x224_data(&gcc::write_initial(before, &all).unwrap()).unwrap();
    let mut out = Out::default();
    Connection::new(ends.agreed.clone()).client(0, &frame, &mut out).unwrap();
    let (_, heard) = gcc::read_initial(mcs::x224_data(&out.to_host).unwrap()).unwrap();
    let kinds = |bytes| gcc::blocks(bytes).unwrap().iter().map(|block| block.kind).collect::<Vec<_>>();
    let mut expected = kinds(&all);
    assert!(expected.contains(&0xC00A));
    expected.retain(|kind| *kind != 0xC00A);
    assert_eq!(kinds(heard), expected);
    let found = gcc::blocks(heard).unwrap();
    assert_eq!(found.iter().filter(|block| block.bytes == unknown).count(), 2);
    assert_eq!(found[1].bytes, unknown, "in its place");
}

/// The relay after so many of the frames that were said.
fn after(ends: &Ends, count: usize) -> Connection {
    let mut relay = Connection::new(ends.agreed.clone());
    for (side, frame) in &ends.said[..count] {
        let mut out = Out::default();
        relay = take(relay, *side, frame, &mut out).unwrap();
        if let Connection::Live(live) = &mut relay {
            drain(live, &mut out).unwrap();
        }
    }
    relay
}

#[test]
fn a_frame_torn_anywhere_ends() {
    let (ends, _) = connected(policy(), true);
    for (index, (side, frame)) in ends.said.iter().enumerate() {
        for cut in 0..frame.len() {
            let torn = take(after(&ends, index), *side, &frame[..cut], &mut Out::default());
            assert!(torn.is_err(), "{side} frame {index} of {} bytes at {cut}", frame.len());
        }
    }
}

#[test]
fn a_frame_with_any_byte_changed_never_panics() {
    let (ends, _) = connected(policy(), true);
    for (index, (side, frame)) in ends.said.iter().enumerate() {
        for at in 0..frame.len() {
            for value in [0, 0xFF, frame[at] ^ 1, frame[at] ^ 0x80] {
                let mut changed = frame.clone();
                changed[at] = value;
                let mut out = Out::default();
                if let Ok(Connection::Live(mut live)) = take(after(&ends, index), *side, &changed, &mut out) {
                    drain(&mut live, &mut out).ok();
                }
            }
        }
    }
}

#[test]
fn frames_of_another_phase_end() {
    let (ends, _) = connected(policy(), true);
    let phase = |relay: &Connection| std::mem::discriminant(relay);
    let phases: Vec<_> = (0..ends.said.len()).map(|index| phase(&after(&ends, index))).collect();
    let mut tried = 0;
    for (index, now) in phases.iter().enumerate() {
        for (other, (side, frame)) in ends.said.iter().enumerate().filter(|(other, _)| phases[*other] != *now)
        {
            let mut out = Out::default();
            let taken = take(after(&ends, index), *side, frame, &mut out).and_then(|mut relay| {
                if let Connection::Live(live) = &mut relay {
                    drain(live, &mut out)?;
                }
                Ok(relay)
            });
            let error = taken.err().unwrap_or_else(|| panic!("frame {other} was taken as {index}"));
            assert_eq!(error.side, *side);
            assert!(error.to_string().contains(&side.to_string()), "{error}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}
