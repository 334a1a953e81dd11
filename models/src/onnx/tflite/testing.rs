//! Small TensorFlow Lite files for tests, written front to back.

/// A field of a table.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Byte(u8),
    Int(i32),
    Ints(Vec<i32>),
    Bytes(Vec<u8>),
    Table(Fields),
    Tables(Vec<Fields>),
}

/// Fields with their numbers.
pub(super) type Fields = Vec<(usize, Value)>;

/// A file with this outermost table.
pub(super) fn file(root: &Fields) -> Vec<u8> {
    let mut out = b"\0\0\0\0TFL3".to_vec();
    let at = table(&mut out, root);
    patch(&mut out, 0, at);
    out
}

fn table(out: &mut Vec<u8>, fields: &Fields) -> usize {
    let count = fields.iter().map(|(id, _)| id + 1).max().unwrap_or(0);
    let list = out.len();
    let mut entries = vec![0; count];
    for (slot, (id, _)) in fields.iter().enumerate() {
        entries[*id] = 4 + 4 * slot;
    }
    for number in [4 + 2 * count, 4 + 4 * fields.len()].into_iter().chain(entries) {
        out.extend(u16::try_from(number).unwrap().to_le_bytes());
    }
    let at = out.len();
    out.extend(u32::try_from(at - list).unwrap().to_le_bytes());
    for (_, value) in fields {
        out.extend(match value {
            Value::Byte(byte) => [*byte, 0, 0, 0],
            Value::Int(int) => int.to_le_bytes(),
            _ => [0; 4],
        });
    }
    for (slot, (_, value)) in fields.iter().enumerate() {
        if let Some(child) = child(out, value) {
            patch(out, at + 4 + 4 * slot, child);
        }
    }
    at
}

/// Where a value that lies outside of its table was written.
fn child(out: &mut Vec<u8>, value: &Value) -> Option<usize> {
    let at = out.len();
    match value {
        Value::Byte(_) | Value::Int(_) => return None,
        Value::Ints(ints) => {
            length(out, ints.len());
            out.extend(ints.iter().flat_map(|int| int.to_le_bytes()));
        }
        Value::Bytes(bytes) => {
            length(out, bytes.len());
            out.extend(bytes);
        }
        Value::Table(fields) => return Some(table(out, fields)),
        Value::Tables(tables) => {
            length(out, tables.len());
            let first = out.len();
            out.resize(first + 4 * tables.len(), 0);
            for (i, fields) in tables.iter().enumerate() {
                let child = table(out, fields);
                patch(out, first + 4 * i, child);
            }
        }
    }
    Some(at)
}

fn length(out: &mut Vec<u8>, length: usize) {
    out.extend(u32::try_from(length).unwrap().to_le_bytes());
}

/// Offsets count from where they stand.
fn patch(out: &mut [u8], at: usize, target: usize) {
    out[at..at + 4].copy_from_slice(&u32::try_from(target - at).unwrap().to_le_bytes());
}
