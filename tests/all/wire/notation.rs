//! CBOR as JSON that a person can read, in the spirit of RFC 8949's diagnostic notation.
//!
//! ```text
//! byte string  "h'00ff'"        text  "as it is"        map key 3  "3"        map key "x"  "'x'"
//! ```

use minicbor::Decoder;
use minicbor::data::Type;
use serde_json::{Map, Value};

use super::hex;

/// One whole CBOR item.
pub(super) fn json(item: &[u8]) -> Value {
    let mut decoder = Decoder::new(item);
    let value = next(&mut decoder);
    assert_eq!(decoder.position(), item.len(), "bytes behind the item");
    value
}

fn next(d: &mut Decoder<'_>) -> Value {
    match d.datatype().unwrap() {
        Type::Bool => d.bool().unwrap().into(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => d.u64().unwrap().into(),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => d.i64().unwrap().into(),
        Type::Bytes => format!("h'{}'", hex(d.bytes().unwrap())).into(),
        Type::String => d.str().unwrap().into(),
        Type::Array => {
            let length = d.array().unwrap().expect("definite length");
            (0..length).map(|_| next(d)).collect::<Vec<_>>().into()
        }
        Type::Map => {
            let length = d.map().unwrap().expect("definite length");
            let pairs = (0..length).map(|_| {
                let key = match next(d) {
                    Value::String(text) => format!("'{text}'"),
                    number => number.to_string(),
                };
                (key, next(d))
            });
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        other => panic!("nothing of ours writes {other}"),
    }
}
