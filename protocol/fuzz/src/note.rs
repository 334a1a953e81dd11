//! Checkpoints and verifier keys, which come as text from a store that is not trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::SigningKey;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey, note};

const NAME: &str = "sudare/vdi-1";

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::from_bytes(&[4; 32]);
    let verifier = VerifierKey::new(NAME, key.verifying_key()).expect("a name");
    drop(note::open(data, &verifier));
    drop(SignedCheckpoint::open(data, &verifier));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(other) = text.parse::<VerifierKey>() {
        assert_eq!(other.to_string().parse::<VerifierKey>().expect("its own line"), other);
    }
    // A text that the log signed although it is no checkpoint.
    if let Ok(signed) = note::sign(text, NAME, &key) {
        if let Ok(opened) = note::open(signed.as_bytes(), &verifier) {
            assert_eq!(opened, text);
        }
        drop(SignedCheckpoint::open(signed.as_bytes(), &verifier));
    }
});
