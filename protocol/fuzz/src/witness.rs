//! What a witness is sent over the network, what it answers, and proofs made of anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::SigningKey;
use sudare_protocol::tlog::submission::{Submission, parse_size_body, size_body};
use sudare_protocol::tlog::{Cosigner, WitnessKey, consistency, cosignature};

fuzz_target!(|data: &[u8]| {
    let witness =
        Cosigner::new("witness.example/a", SigningKey::from_bytes(&[4; 32])).expect("a name").public();
    drop(cosignature::check(data, std::slice::from_ref(&witness)));
    if let Ok(read) = Submission::parse(data) {
        assert_eq!(read.to_body().as_bytes(), data, "a request has one spelling");
        let old = (read.old_size, &[1; 32]);
        for size in [read.old_size.saturating_add(1), read.old_size.saturating_mul(2), u64::MAX] {
            let held = consistency::verify(old, (size, &[2; 32]), &read.proof).is_ok();
            assert!(!held || read.old_size == 0, "a made-up proof leads to made-up roots");
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<WitnessKey>() {
        assert_eq!(key.to_string().parse::<WitnessKey>().expect("its own line"), key);
    }
    if let Some(size) = parse_size_body(text) {
        assert_eq!(size_body(size), text);
    }
});
