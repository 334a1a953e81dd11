use std::collections::VecDeque;

use ironrdp_connector::Sequence as _;
use proptest::prelude::*;

use super::*;
use crate::connect::negotiate::{Negotiate, confirmation};
use crate::connect::tests::ends;
use crate::connect::{Connection, Out};
use crate::frames::Frames;
use crate::policy::{Policy, protocol};

/// A client of another implementation, led to the stand-in through the relay, as far as its session.
fn session(drdynvc: bool) -> (ironrdp_connector::ConnectionResult, Connection) {
    let mut client = ends::client(drdynvc);
    let mut buffer = ironrdp_core::WriteBuf::new();
    client.step_no_input(&mut buffer).unwrap();
    let (asked, _) = Negotiate::new(Policy::default()).request(buffer.filled()).unwrap();
    let (agreed, confirm) = asked.confirm(&confirmation(protocol::TLS)).unwrap();
    client.step(&confirm, None, &mut ironrdp_core::WriteBuf::new()).unwrap();
    client.mark_security_upgrade_as_done();
    let (mut relay, mut host) = (Connection::new(agreed), StandIn::default());
    let (mut to_client, mut heard) = (Frames::default(), Vec::new());
    loop {
        let said = ends::talk(&mut client, &mut to_client, &mut heard, Side::Client);
        if said.is_empty() {
            break;
        }
        let mut queue = VecDeque::from([(Side::Client, said)]);
        while let Some((side, bytes)) = queue.pop_front() {
            let mut frames = Frames::default();
            frames.push(&bytes).unwrap();
            while let Some(frame) = frames.take().unwrap() {
                let mut out = Out::default();
                relay = ends::take(relay, side, frame, &mut out).unwrap();
                if let Connection::Live(live) = &mut relay {
                    ends::drain(live, &mut out).unwrap();
                }
                to_client.push(&out.to_client).unwrap();
                let mut to_host = Frames::default();
                to_host.push(&out.to_host).unwrap();
                while let Some(frame) = to_host.take().unwrap() {
                    queue.push_back((Side::Host, host.take(frame).unwrap()));
                }
            }
        }
    }
    (client.state.take_outcome().expect("the client has connected").into_connected().unwrap(), relay)
}

#[test]
fn a_client_of_another_implementation_gets_a_session() {
    for drdynvc in [false, true] {
        let (result, relay) = session(drdynvc);
        assert_eq!((result.desktop_size.width, result.desktop_size.height), ends::SIZE);
        let Connection::Live(live) = relay else { panic!("no session") };
        assert_eq!(live.size(), Some(Size { width: ends::SIZE.0, height: ends::SIZE.1 }));
    }
}

#[test]
fn keys_and_what_it_does_not_know_go_nowhere() {
    let mut host = StandIn { stage: Stage::Share { user: 1007 } };
    assert_eq!(host.take(&[0x04, 4, 0, 0x1E]), Ok(Vec::new()), "a key");
    let other = mcs::send_data(Side::Client, 1007, 1004, &[1, 2, 3]).unwrap();
    assert_eq!(host.take(&other), Ok(Vec::new()), "another channel");
    let refresh = share::write_data(answers::SHARE, 1007, share::data::REFRESH_RECT, &[1; 12]).unwrap();
    let refresh = mcs::send_data(Side::Client, 1007, IO, &refresh).unwrap();
    assert_eq!(host.take(&refresh), Ok(Vec::new()), "nothing can be drawn again");
}

#[test]
fn what_does_not_belong_to_a_stage_ends() {
    let attach = mcs::write_x224_data(&[0x28]).unwrap();
    assert!(StandIn::default().take(&attach).is_err());
    let size = Size { width: 640, height: 480 };
    let mut joins = StandIn { stage: Stage::Joins { user: 1005, size } };
    let stranger = mcs::send_data(Side::Client, 1006, IO, &[0; 9]).unwrap();
    assert_eq!(joins.take(&stranger), Err(Fault::OutOfTurn));
    assert_eq!(joins.take(&[]), Err(Fault::Short));
}

proptest! {
    #[test]
    fn any_bytes_are_answered_or_an_error(bytes: Vec<u8>, stage in 0..3) {
        let size = Size { width: 640, height: 480 };
        let stage = match stage {
            0 => Stage::Settings,
            1 => Stage::Joins { user: 1004, size },
            _ => Stage::Share { user: 1004 },
        };
        StandIn { stage }.take(&bytes).ok();
    }
}
