//! Operator templates: the plain form, and the sealed form from a host that may be hostile. A template's vectors have
//! unit length, which no fuzzer finds by chance: what is read of one is also made fit, and goes on from there.
#![no_main]

mod made;

use libfuzzer_sys::fuzz_target;
use made::made;
use sudare_protocol::template::{self, OperatorTemplate};

const SECRET: [u8; 32] = [0x21; 32];
const TRANSCRIPT: [u8; 32] = [0x77; 32];

fuzz_target!(|data: &[u8]| {
    round(data);
    drop(template::unseal(data, &TRANSCRIPT, &SECRET));
    if let Some(made) = made(data) {
        // It may mark too much of the picture, or name a cosine that there is not; its vectors are right.
        match made.to_bytes() {
            Ok(written) => round(&written),
            Err(error) => assert!(error.to_string().contains(". ")),
        }
    }
});

/// Sealing changes nothing, and what is read is written the same.
fn round(plain: &[u8]) {
    let read = OperatorTemplate::from_bytes(plain);
    if let Ok(template) = &read {
        let written = template.to_bytes().expect("what was read can be written");
        assert!(OperatorTemplate::from_bytes(&written).is_ok_and(|again| again == *template));
    }
    let sealed = template::seal(plain, &TRANSCRIPT, &template::public_key(&SECRET), [0x11; 32]);
    let sealed = sealed.expect("any bytes can be sealed");
    let opened = template::unseal(&sealed, &TRANSCRIPT, &SECRET);
    assert_eq!(opened.is_ok(), read.is_ok());
    // One bit elsewhere, and it is nobody's.
    let mut broken = sealed;
    *broken.last_mut().expect("a tag") ^= 1;
    assert!(template::unseal(&broken, &TRANSCRIPT, &SECRET).is_err());
}
