//! A COSE_Sign1 from a peer: read, or refused; what is accepted has one encoding only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::{SigningKey, cose};

const CONTEXT: &[u8] = b"sudare/v1 open";

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::from_bytes(&[3; 32]);
    if let Ok(payload) = cose::verify1(&key.verifying_key(), CONTEXT, data) {
        assert_eq!(cose::sign1(&key, CONTEXT, payload), data, "a second encoding was accepted");
    }
    if let Ok(payload) = cose::unverified_payload(data) {
        let signed = cose::sign1(&key, CONTEXT, payload);
        assert_eq!(cose::verify1(&key.verifying_key(), CONTEXT, &signed), Ok(payload));
    }
});
