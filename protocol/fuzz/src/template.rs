//! Operator templates: the plain form, and the sealed form from a host that may be hostile.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::template::{self, OperatorTemplate};

const SECRET: [u8; 32] = [0x21; 32];
const TRANSCRIPT: [u8; 32] = [0x77; 32];

fuzz_target!(|data: &[u8]| {
    if let Ok(template) = OperatorTemplate::from_bytes(data) {
        let written = template.to_bytes().expect("what was read can be written");
        assert!(OperatorTemplate::from_bytes(&written).is_ok_and(|again| again == template));
    }
    drop(template::unseal(data, &TRANSCRIPT, &SECRET));
    let sealed = template::seal(data, &TRANSCRIPT, &template::public_key(&SECRET), [0x11; 32]);
    let sealed = sealed.expect("any bytes can be sealed");
    let opened = template::unseal(&sealed, &TRANSCRIPT, &SECRET);
    assert_eq!(opened.is_ok(), OperatorTemplate::from_bytes(data).is_ok());
});
