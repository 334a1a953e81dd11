//! Operator templates: the plain form, and the sealed form from a host that may be hostile. A template's vectors have
//! unit length, which no fuzzer finds by chance: what is read of one is also made fit, and goes on from there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::limits::{VECTOR_DIM, VECTORS_MAX};
use sudare_protocol::template::{self, OperatorTemplate, Region};

const SECRET: [u8; 32] = [0x21; 32];
const TRANSCRIPT: [u8; 32] = [0x77; 32];
/// What the made template takes of an input before its vectors: two ids, a count, a cosine, and a region.
const HEAD_BYTES: usize = 46;

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

/// A template of the input's bytes, with vectors of unit length.
fn made(data: &[u8]) -> Option<OperatorTemplate> {
    let (head, rest) = data.split_at_checked(HEAD_BYTES)?;
    let id = |from: usize| head[from..from + 16].try_into().expect("16 bytes");
    let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let count = usize::from(head[32]) % (VECTORS_MAX + 2);
    let vector = |n: usize| {
        let part = rest.iter().cycle().skip(n).take(VECTOR_DIM);
        let mut vector: Vec<f32> = part.map(|byte| f32::from(*byte) - 127.5).collect();
        // An empty rest gives none.
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        vector
    };
    let marks = usize::from(head[33] & 7);
    let region = Region { left: number(36), top: number(38), width: number(40), height: number(42) };
    Some(OperatorTemplate {
        operator_id: id(0),
        model_sha256: [head[44]; 32],
        rotation_id: id(16),
        vectors: (0..count).map(vector).collect(),
        regions: vec![region; marks],
        self_cosine: (head[45] & 1 == 1).then(|| number(34)),
    })
}
