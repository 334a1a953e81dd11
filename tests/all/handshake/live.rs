//! Bad messages in a live session, and what must be skipped so that later versions can add to it.

use sudare_protocol::error::{Code, Fault, Refusal};
use sudare_protocol::frame::{Deframer, frame};
use sudare_protocol::host::{ClientNews, Live};
use sudare_protocol::limits::{CHALLENGES_KEPT, LOCK_MAX_BYTES, MESSAGE_MAX_BYTES, MESSAGES_PER_SECOND_MAX};
use sudare_protocol::message::{Attest, Bye, Challenge, Credit, Lock, Status, TYPE_OPTIONAL, Unlock, kind};
use sudare_protocol::reason::Reason;
use sudare_test_kit::pair;

use super::ends::{Ends, FIRST, Padded, assert_refused, clear, one_frame, session};
use super::stranger_key;

const NOW_MS: u64 = 60_000;
const READY_NONCE: [u8; 16] = [0x10; 16];

fn ends() -> Ends {
    session([0x30; 32], NOW_MS)
}

#[track_caller]
fn host_refuses(host: &mut Live, message: &[u8], code: Code, fault: Fault) {
    assert_refused(&host.handle(message, NOW_MS).unwrap_err(), code, fault);
}

#[test]
fn a_replayed_or_reordered_message_is_refused() {
    let mut ends = ends();
    let first = one_frame(&ends.client.attest(clear([0; 16])).unwrap());
    let second = one_frame(&ends.client.attest(clear([0; 16])).unwrap());
    host_refuses(&mut ends.host, &second, Code::Sequence, Fault::Peer);
    assert!(ends.host.handle(&first, NOW_MS).is_ok());
    host_refuses(&mut ends.host, &first, Code::Sequence, Fault::Peer);
    // The host's messages are numbered as well: an old "visible" cannot be played to the client.
    let status = ends.by_host(kind::CREDIT, FIRST + 1, &Credit { frames: 1 });
    assert!(ends.client.handle(&status).is_ok());
    assert_refused(&ends.client.handle(&status).unwrap_err(), Code::Sequence, Fault::Peer);
}

#[test]
fn a_message_cut_short_or_with_bytes_behind_it_is_refused() {
    let mut ends = ends();
    let good = one_frame(&ends.client.attest(clear([0; 16])).unwrap());
    for length in 1..good.len() {
        // Spread over time: many at once are a flood.
        let at_ms = NOW_MS + 20 * length as u64;
        let refusal = ends.host.handle(&good[..length], at_ms).unwrap_err();
        assert_refused(&refusal, Code::Malformed, Fault::Peer);
    }
    let mut long = good.clone();
    long.push(0);
    host_refuses(&mut ends.host, &long, Code::Malformed, Fault::Peer);
    assert!(ends.host.handle(&good, NOW_MS).is_ok(), "what was refused must not count");
}

#[test]
fn an_oversized_message_is_refused_at_its_length() {
    let mut deframer = Deframer::default();
    let length = u32::try_from(MESSAGE_MAX_BYTES + 1).unwrap();
    deframer.push(&length.to_be_bytes());
    let refusal: Refusal = deframer.next_frame().unwrap_err().into();
    assert_refused(&refusal, Code::TooLarge, Fault::Peer);
    assert!(frame(&vec![0; MESSAGE_MAX_BYTES]).is_ok());
    assert!(frame(&vec![0; MESSAGE_MAX_BYTES + 1]).is_err());
}

#[test]
fn a_message_signed_by_anybody_else_is_refused() {
    let mut ends = ends();
    for key in [stranger_key(), pair::host_key(), pair::organisation_key()] {
        let message = ends.signed(&key, kind::ATTEST, FIRST, &clear(READY_NONCE));
        host_refuses(&mut ends.host, &message, Code::Signature, Fault::Peer);
    }
    // The client's own words must not come back to it as the host's.
    let own = one_frame(&ends.client.unlock(Unlock { boot_ms: 1 }).unwrap());
    assert_refused(&ends.client.handle(&own).unwrap_err(), Code::Signature, Fault::Peer);
}

#[test]
fn a_message_of_another_session_is_refused() {
    let (mut here, mut there) = (ends(), session([0x31; 32], NOW_MS));
    let message = one_frame(&there.client.attest(clear([0; 16])).unwrap());
    host_refuses(&mut here.host, &message, Code::Signature, Fault::Peer);
    assert!(there.host.handle(&message, NOW_MS).is_ok());
}

#[test]
fn an_attestation_echoes_a_nonce_that_was_issued_lately() {
    let mut ends = ends();
    let never = ends.by_device(kind::ATTEST, FIRST, &clear([0xee; 16]));
    host_refuses(&mut ends.host, &never, Code::NonceUnknown, Fault::Peer);
    let challenged = |ends: &mut Ends, numbers: std::ops::RangeInclusive<u8>| {
        let interval_ms = ends.host.timings().attestation_interval_ms;
        for number in numbers {
            let at_ms = NOW_MS + interval_ms * u64::from(number);
            assert!(ends.host.challenge([0x80 + number; 16], at_ms).unwrap().is_some());
        }
    };
    let kept = u8::try_from(CHALLENGES_KEPT).unwrap();
    challenged(&mut ends, 1..=kept);
    let newest = ends.by_device(kind::ATTEST, FIRST + 1, &clear([0x80 + kept; 16]));
    assert!(ends.host.handle(&newest, NOW_MS).unwrap().is_some());
    let long_ago = ends.by_device(kind::ATTEST, FIRST + 2, &clear(READY_NONCE));
    host_refuses(&mut ends.host, &long_ago, Code::NonceUnknown, Fault::Peer);
}

#[test]
fn a_pc_that_slept_longer_than_nonces_are_kept_goes_on_without_a_lease_from_before() {
    let mut ends = ends();
    let before = ends.by_device(kind::ATTEST, FIRST, &clear(READY_NONCE));
    assert!(ends.host.handle(&before, NOW_MS).unwrap().is_some());
    let (lease, interval_ms) = (ends.host.lease_until_ms(), ends.host.timings().attestation_interval_ms);
    // 40 s of challenges every half second wait in the PC's socket.
    for number in 1..=80 {
        ends.host.challenge([0x80 + number; 16], NOW_MS + interval_ms * u64::from(number)).unwrap();
    }
    let awake_ms = NOW_MS + interval_ms * 80;
    for number in 1..=3 {
        let first = ends.by_device(kind::ATTEST, FIRST + number, &clear(READY_NONCE));
        assert!(ends.host.handle(&first, awake_ms).unwrap().is_none());
        assert_eq!(ends.host.lease_until_ms(), lease);
    }
    let newest = ends.by_device(kind::ATTEST, FIRST + 4, &clear([0x80 + 80; 16]));
    assert!(ends.host.handle(&newest, awake_ms).unwrap().is_some());
    assert!(ends.host.lease_until_ms() > awake_ms);
    // From here on it has no excuse.
    let again = ends.by_device(kind::ATTEST, FIRST + 5, &clear(READY_NONCE));
    host_refuses(&mut ends.host, &again, Code::NonceUnknown, Fault::Peer);
}

#[test]
fn an_old_nonce_gives_no_new_lease() {
    let mut ends = ends();
    let timings = ends.host.timings();
    let later_ms = NOW_MS + timings.lease_ms + 10;
    ends.host.challenge([9; 16], later_ms).unwrap().unwrap();
    let recorded = ends.by_device(kind::ATTEST, FIRST, &clear(READY_NONCE));
    ends.host.handle(&recorded, later_ms).unwrap();
    assert_eq!(ends.host.lease_until_ms(), NOW_MS + timings.lease_ms, "counted from the issue");
    let fresh = ends.by_device(kind::ATTEST, FIRST + 1, &clear([9; 16]));
    ends.host.handle(&fresh, later_ms).unwrap();
    assert_eq!(ends.host.lease_until_ms(), later_ms + timings.lease_ms);
    let older = ends.by_device(kind::ATTEST, FIRST + 2, &clear(READY_NONCE));
    ends.host.handle(&older, later_ms).unwrap();
    assert_eq!(ends.host.lease_until_ms(), later_ms + timings.lease_ms, "nor takes one away");
}

#[test]
fn a_flood_is_refused_and_forgiven_in_the_next_second() {
    let mut ends = ends();
    let mut refusal = None;
    for count in 0..1_000_000 {
        // Not even signed: what is refused counts too, or refusing would be the flood.
        if let Err(error) = ends.host.handle(b"\xd2", NOW_MS)
            && error.code == Code::Flood
        {
            assert!(count >= MESSAGES_PER_SECOND_MAX, "flood after {count}");
            refusal = Some(error);
            break;
        }
    }
    assert_refused(&refusal.expect("a flood is noticed"), Code::Flood, Fault::Peer);
    let good = one_frame(&ends.client.attest(clear([0; 16])).unwrap());
    assert!(ends.host.handle(&good, NOW_MS + 1_000).is_ok());
}

#[test]
fn an_optional_type_is_skipped_and_a_required_one_is_not() {
    let mut ends = ends();
    let body = Bye { reason: Reason::None };
    let optional = ends.by_device(TYPE_OPTIONAL, FIRST, &body);
    assert!(ends.host.handle(&optional, NOW_MS).unwrap().is_none());
    let required = ends.by_device(TYPE_OPTIONAL - 1, FIRST + 1, &body);
    host_refuses(&mut ends.host, &required, Code::Unexpected, Fault::Peer);
    let optional = ends.by_host(0xff, FIRST + 1, &body);
    assert!(ends.client.handle(&optional).unwrap().is_none());
    let required = ends.by_host(0x7f, FIRST + 2, &body);
    assert_refused(&ends.client.handle(&required).unwrap_err(), Code::Unexpected, Fault::Peer);
}

#[test]
fn each_end_takes_only_what_the_other_may_send() {
    let mut ends = ends();
    let challenge = ends.by_device(kind::CHALLENGE, FIRST, &Challenge { nonce: [1; 16] });
    host_refuses(&mut ends.host, &challenge, Code::Unexpected, Fault::Peer);
    let attest = ends.by_host(kind::ATTEST, FIRST + 1, &clear([1; 16]));
    assert_refused(&ends.client.handle(&attest).unwrap_err(), Code::Unexpected, Fault::Peer);
}

/// A map with all keys of an attestation and some that nobody knows yet.
struct Later(Attest);

impl minicbor::Encode<()> for Later {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut (),
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let now = minicbor::to_vec(self.0).unwrap();
        // The header of a small map counts its pairs; two more follow the known ones.
        let head = now[0] + 2;
        e.writer_mut().write_all(&[head]).map_err(minicbor::encode::Error::write)?;
        e.writer_mut().write_all(&now[1..]).map_err(minicbor::encode::Error::write)?;
        e.u8(40)?.array(2)?.str("later")?.null()?;
        e.u16(4_000)?.map(1)?.u8(0)?.bytes(&[1, 2, 3])?;
        Ok(())
    }
}

#[test]
fn unknown_keys_are_skipped_and_reserved_ones_are_read() {
    let mut ends = ends();
    let attest =
        Attest { dwell_ms: Some(7), distance_band: Some(2), phone: Some(true), ..clear(READY_NONCE) };
    let message = ends.by_device(kind::ATTEST, FIRST, &Later(attest));
    match ends.host.handle(&message, NOW_MS).unwrap() {
        Some(ClientNews::Attested(got)) => assert_eq!(got.attest, attest),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_that_is_not_the_types_own_is_refused() {
    let mut ends = ends();
    let wrong = ends.by_device(kind::LOCK, FIRST, &Unlock { boot_ms: 3 });
    host_refuses(&mut ends.host, &wrong, Code::Malformed, Fault::Peer);
    let wrong = ends.by_host(kind::STATUS, FIRST + 1, &Credit { frames: 1 });
    assert_refused(&ends.client.handle(&wrong).unwrap_err(), Code::Malformed, Fault::Peer);
}

#[test]
fn what_the_log_keeps_as_it_came_is_short() {
    let lock = Lock { reason: Reason::Stranger, incident_id: [5; 16], boot_ms: u64::MAX };
    let unlock = Unlock { boot_ms: u64::MAX };
    let mut ends = ends();
    // Room for what a later version adds.
    let good = [
        ends.by_device(kind::LOCK, FIRST, &Padded(lock, LOCK_MAX_BYTES - 256)),
        ends.by_device(kind::UNLOCK, FIRST + 1, &Padded(unlock, LOCK_MAX_BYTES - 256)),
    ];
    good.iter().for_each(|message| drop(ends.host.handle(message, NOW_MS).unwrap()));
    let long = [
        ends.by_device(kind::LOCK, FIRST + 2, &Padded(lock, LOCK_MAX_BYTES)),
        ends.by_device(kind::UNLOCK, FIRST + 3, &Padded(unlock, LOCK_MAX_BYTES)),
    ];
    long.iter().for_each(|message| host_refuses(&mut ends.host, message, Code::TooLarge, Fault::Peer));
}

#[test]
fn an_error_reaches_the_other_end_with_its_words() {
    let mut ends = ends();
    let refusal = Refusal::peer(Code::NoCredit);
    let error = one_frame(&ends.host.refuse(&refusal).unwrap());
    let told = ends.client.handle(&error).unwrap_err();
    assert_refused(&told, Code::PeerEnded, Fault::Us);
    assert!(told.to_string().contains(Code::NoCredit.text()), "{told}");
    let refusal = Refusal::new(Code::ClockJump, Fault::Us, "");
    let error = one_frame(&ends.client.refuse(&refusal).unwrap());
    let told = ends.host.handle(&error, NOW_MS).unwrap_err();
    assert_refused(&told, Code::PeerEnded, Fault::Peer);
    assert!(told.to_string().contains(Code::ClockJump.text()), "{told}");
}

#[test]
fn a_status_arrives_as_it_was_said() {
    let mut ends = ends();
    let status = Status {
        shown: sudare_protocol::message::Shown::Covered,
        reason: Reason::Onlooker,
        boot_ms: 9,
        incident_id: Some([4; 16]),
    };
    let message = one_frame(&ends.host.status(status).unwrap());
    let news = ends.client.handle(&message).unwrap();
    assert_eq!(news, Some(sudare_protocol::client::HostNews::Status(status)));
}
