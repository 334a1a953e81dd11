//! The payload of a verified message: envelope and body of every type. What is read in bounds is
//! written and read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::light;
use sudare_protocol::message::{self, Bounded, encode, kind, split};

fuzz_target!(|data: &[u8]| {
    let Ok((kind, sequence, body)) = split(data) else { return };
    match kind {
        kind::HELLO => check::<message::Hello>(kind, sequence, body),
        kind::READY => check::<message::Ready>(kind, sequence, body),
        kind::CHALLENGE => check::<message::Challenge>(kind, sequence, body),
        kind::STATUS => check::<message::Status>(kind, sequence, body),
        kind::ACK => check::<message::Ack>(kind, sequence, body),
        kind::CREDIT => check::<message::Credit>(kind, sequence, body),
        kind::OPEN => check::<message::Open>(kind, sequence, body),
        kind::ATTEST => check::<message::Attest>(kind, sequence, body),
        kind::SUSPECT => check::<message::Suspect>(kind, sequence, body),
        kind::LOCK => check::<message::Lock>(kind, sequence, body),
        kind::UNLOCK => check::<message::Unlock>(kind, sequence, body),
        kind::MANIFEST => check::<message::Manifest>(kind, sequence, body),
        kind::BYE => check::<message::Bye>(kind, sequence, body),
        kind::LIGHT => check::<light::Light>(kind, sequence, body),
        kind::LIT => check::<light::Lit>(kind, sequence, body),
        kind::ERROR => check::<message::ErrorBody>(kind, sequence, body),
        _ => {}
    }
});

fn check<T>(kind: u8, sequence: u64, body: &[u8])
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()> + Bounded + PartialEq + std::fmt::Debug,
{
    let Ok(value) = message::body::<T>(body) else { return };
    let written = encode(kind, sequence, &value);
    let (again_kind, again_sequence, again) = split(&written).expect("an envelope of ours");
    assert_eq!((again_kind, again_sequence), (kind, sequence));
    assert_eq!(message::body::<T>(again).expect("a body of ours"), value);
}
