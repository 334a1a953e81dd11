//! X.224: what each leg says, and what ends.

use ironrdp_pdu::nego::{
    ConnectionConfirm, ConnectionRequest, FailureCode, NegoRequestData, RequestFlags, ResponseFlags,
    SecurityProtocol,
};
use ironrdp_pdu::x224::X224;
use proptest::prelude::*;

use crate::connect::negotiate::{Negotiate, failure, failure_code};
use crate::error::Fault;
use crate::policy::{Policy, protocol};

fn request(flags: RequestFlags, protocol: SecurityProtocol, cookie: Option<&str>) -> Vec<u8> {
    let nego_data = cookie.map(|cookie| NegoRequestData::cookie(cookie.to_owned()));
    let correlation_info = None;
    ironrdp_core::encode_vec(&X224(ConnectionRequest { nego_data, flags, protocol, correlation_info }))
        .unwrap()
}

fn confirm(protocol: SecurityProtocol) -> Vec<u8> {
    let flags = ResponseFlags::all();
    ironrdp_core::encode_vec(&X224(ConnectionConfirm::Response { flags, protocol })).unwrap()
}

/// With the 36 bytes that some clients put behind their request.
fn correlated(mut frame: Vec<u8>) -> Vec<u8> {
    let at = frame.len() - 8;
    frame[at + 1] |= 8;
    frame.extend([6, 0, 36, 0]);
    frame.extend([0xAB; 32]);
    frame[3] += 36;
    frame[4] += 36;
    frame
}

fn negotiate() -> Negotiate {
    Negotiate::new(Policy::default())
}

#[test]
fn the_host_is_asked_for_what_the_gate_can_do_and_hears_the_rest_unchanged() {
    let everything = SecurityProtocol::SSL | SecurityProtocol::HYBRID | SecurityProtocol::HYBRID_EX;
    let plain = request(RequestFlags::empty(), everything, Some("hanako"));
    for frame in [plain.clone(), correlated(plain)] {
        let (asked, to_host) = negotiate().request(&frame).unwrap();
        assert_eq!(asked.user_hint(), Some("hanako"));
        let changed: Vec<usize> = (0..frame.len()).filter(|at| frame[*at] != to_host[*at]).collect();
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert_eq!((frame[changed[0]], to_host[changed[0]]), (11, 1));
        let (agreed, to_client) = asked.confirm(&confirm(SecurityProtocol::SSL)).unwrap();
        assert_eq!((agreed.client, agreed.host), (protocol::TLS, protocol::TLS));
        let X224(read) = ironrdp_core::decode::<X224<ConnectionConfirm>>(&to_client).unwrap();
        let ConnectionConfirm::Response { flags, protocol } = read else { panic!("{read:?}") };
        assert_eq!(protocol, SecurityProtocol::SSL);
        assert!(!flags.intersects(
            ResponseFlags::DYNVC_GFX_PROTOCOL_SUPPORTED | ResponseFlags::RESTRICTED_ADMIN_MODE_SUPPORTED
        ));
    }
}

#[test]
fn each_leg_has_its_own_protocol() {
    let host_protocols = protocol::TLS | protocol::HYBRID;
    let policy = Policy { client_protocol: protocol::HYBRID, host_protocols, ..Policy::default() };
    let frame = request(RequestFlags::empty(), SecurityProtocol::HYBRID | SecurityProtocol::SSL, None);
    let (asked, to_host) = Negotiate::new(policy).request(&frame).unwrap();
    assert_eq!(to_host[to_host.len() - 4], 3);
    let (agreed, to_client) = asked.confirm(&confirm(SecurityProtocol::SSL)).unwrap();
    assert_eq!((agreed.client, agreed.host), (protocol::HYBRID, protocol::TLS));
    assert_eq!(to_client[to_client.len() - 4], 2);
}

#[test]
fn what_the_gate_cannot_end_is_refused() {
    let tls = SecurityProtocol::SSL;
    for (frame, fault) in [
        (request(RequestFlags::empty(), SecurityProtocol::empty(), None), Fault::NoTls),
        (request(RequestFlags::empty(), SecurityProtocol::HYBRID, None), Fault::NoTls),
        (request(RequestFlags::RESTRICTED_ADMIN_MODE_REQUIRED, tls, None), Fault::NoPassword),
        (request(RequestFlags::REDIRECTED_AUTHENTICATION_MODE_REQUIRED, tls, None), Fault::NoPassword),
        (vec![3, 0, 0, 11, 6, 0xE0, 0, 0, 0, 0, 0], Fault::NoTls),
        (confirm(tls), Fault::OutOfTurn),
    ] {
        assert_eq!(negotiate().request(&frame).unwrap_err().fault, fault);
    }
    let asked = || negotiate().request(&request(RequestFlags::empty(), tls, None)).unwrap().0;
    let refused = ConnectionConfirm::Failure { code: FailureCode::HYBRID_REQUIRED_BY_SERVER };
    for (frame, fault) in [
        (confirm(SecurityProtocol::HYBRID), Fault::NoTls),
        (confirm(SecurityProtocol::empty()), Fault::NoTls),
        (ironrdp_core::encode_vec(&X224(refused)).unwrap(), Fault::Refused(5)),
        (vec![3, 0, 0, 11, 6, 0xD0, 0, 0, 0, 0, 0], Fault::NoTls),
        (request(RequestFlags::empty(), tls, None), Fault::OutOfTurn),
    ] {
        assert_eq!(asked().confirm(&frame).unwrap_err().fault, fault);
    }
}

#[test]
fn a_refusal_is_read_by_another_implementation() {
    let X224(read) =
        ironrdp_core::decode::<X224<ConnectionConfirm>>(&failure(failure_code::HYBRID_REQUIRED)).unwrap();
    assert!(matches!(read, ConnectionConfirm::Failure { code } if u32::from(code) == 5), "{read:?}");
}

proptest! {
    #[test]
    fn torn_and_changed_requests_are_an_error_or_a_value(cut in 0_usize..90, at in 0_usize..90, value: u8) {
        let whole = correlated(request(RequestFlags::empty(), SecurityProtocol::SSL, Some("hanako")));
        if cut < whole.len() {
            prop_assert!(negotiate().request(&whole[..cut]).is_err());
        }
        let mut changed = whole.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte = value;
        }
        negotiate().request(&changed).ok();
        let (asked, _) = negotiate().request(&whole).unwrap();
        let mut changed = confirm(SecurityProtocol::SSL);
        if let Some(byte) = changed.get_mut(at) {
            *byte = value;
        }
        asked.confirm(&changed).ok();
    }
}
