//! A template that is one, whatever bytes it is made of: no fuzzer finds a vector of unit length by chance.

use sudare_protocol::limits::{VECTOR_DIM, VECTORS_MAX};
use sudare_protocol::template::{OperatorTemplate, Region};

/// What it takes of an input before its vectors: two ids, a count, a cosine, and a region.
const HEAD_BYTES: usize = 46;

/// A template of the input's bytes, with vectors of unit length.
pub fn made(data: &[u8]) -> Option<OperatorTemplate> {
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
