//! One value, one encoding: CBOR in the deterministic form of RFC 8949, section 4.2.1.
//!
//! Lengths and numbers are as short as they can be, nothing has an indefinite length, and the keys of a map ascend and
//! come once (names by their bytes, as text is sorted everywhere else). Messages, records and entries have no
//! floating-point numbers. Whatever is signed could otherwise be written in many ways that mean the same, and two
//! readers, or a filter and a reader, could take it differently.

use minicbor::{Decode, Decoder};

/// Values inside values; ours have five at most.
const DEPTH_MAX: u8 = 16;

/// Not one value in the one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not CBOR in the one form that Sudare writes. The sender is at fault: compare versions")]
pub struct NotDeterministic;

/// Decodes a value that takes up all of `bytes`.
pub fn read<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, NotDeterministic> {
    check(bytes)?;
    Decoder::new(bytes).decode().map_err(|_| NotDeterministic)
}

/// Checks that `bytes` are exactly one value in the one form.
pub fn check(bytes: &[u8]) -> Result<(), NotDeterministic> {
    match skip(bytes, 0)? {
        [] => Ok(()),
        _ => Err(NotDeterministic),
    }
}

/// The bytes after the first value.
fn skip(bytes: &[u8], depth: u8) -> Result<&[u8], NotDeterministic> {
    if depth > DEPTH_MAX {
        return Err(NotDeterministic);
    }
    let (&first, _) = bytes.split_first().ok_or(NotDeterministic)?;
    let (argument, rest) = argument(bytes)?;
    match first >> 5 {
        0 | 1 => Ok(rest),
        2 => after(rest, argument),
        3 => {
            let after = after(rest, argument)?;
            let text = rest.get(..rest.len() - after.len()).unwrap_or_default();
            str::from_utf8(text).map_err(|_| NotDeterministic)?;
            Ok(after)
        }
        4 => items(rest, argument, depth),
        5 => pairs(rest, argument, depth),
        6 => skip(rest, depth + 1),
        // False, true and null; no others are written.
        _ if (20..=22).contains(&argument) && first < 0xf8 => Ok(rest),
        _ => Err(NotDeterministic),
    }
}

fn items(mut rest: &[u8], count: u64, depth: u8) -> Result<&[u8], NotDeterministic> {
    // Each takes a byte at least, so that this ends with the input, whatever count it claims.
    for _ in 0..count {
        rest = skip(rest, depth + 1)?;
    }
    Ok(rest)
}

fn pairs(mut rest: &[u8], count: u64, depth: u8) -> Result<&[u8], NotDeterministic> {
    let mut last: Option<&[u8]> = None;
    for _ in 0..count {
        let value = skip(rest, depth + 1)?;
        let key = rest.get(..rest.len() - value.len()).ok_or(NotDeterministic)?;
        if last.is_some_and(|last| order(last) >= order(key)) {
            return Err(NotDeterministic);
        }
        last = Some(key);
        rest = skip(value, depth + 1)?;
    }
    Ok(rest)
}

/// What keys are sorted by: their encoding; for texts, the kind and then the bytes.
fn order(key: &[u8]) -> (u8, &[u8]) {
    let major = key.first().map_or(0, |first| first >> 5);
    let text = argument(key).map(|(_, text)| text);
    if major == 3 { (major, text.unwrap_or_default()) } else { (major, key) }
}

/// The number in the first bytes, in its shortest form, and the bytes after it.
fn argument(bytes: &[u8]) -> Result<(u64, &[u8]), NotDeterministic> {
    let (&first, rest) = bytes.split_first().ok_or(NotDeterministic)?;
    let (value, rest, least) = match first & 31 {
        info @ 0..=23 => return Ok((u64::from(info), rest)),
        24 => number::<1>(rest, 24)?,
        25 => number::<2>(rest, 1 << 8)?,
        26 => number::<4>(rest, 1 << 16)?,
        27 => number::<8>(rest, 1 << 32)?,
        _ => return Err(NotDeterministic),
    };
    if value < least { Err(NotDeterministic) } else { Ok((value, rest)) }
}

fn number<const N: usize>(bytes: &[u8], least: u64) -> Result<(u64, &[u8], u64), NotDeterministic> {
    let (number, rest) = bytes.split_first_chunk::<N>().ok_or(NotDeterministic)?;
    Ok((number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), rest, least))
}

fn after(bytes: &[u8], length: u64) -> Result<&[u8], NotDeterministic> {
    let length = usize::try_from(length).map_err(|_| NotDeterministic)?;
    bytes.get(length..).ok_or(NotDeterministic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn one_value_has_one_form() {
        for good in [
            &[0x00][..],
            &[0x17],
            &[0x18, 24],
            &[0x19, 1, 0],
            &[0x1a, 0, 1, 0, 0],
            &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0],
            &[0x20],
            &[0x41, 9],
            &[0x61, b'a'],
            &[0x82, 0xf4, 0xf6],
            &[0xa2, 0x01, 0x00, 0x02, 0x00],
            &[0xa2, 0x17, 0x00, 0x18, 24, 0x00],
            &[0xa2, 0x62, b'a', b'a', 0x00, 0x61, b'b', 0x00],
            &[0xd2, 0x80],
        ] {
            assert_eq!(check(good), Ok(()), "{good:02x?}");
        }
        for bad in [
            &[][..],
            &[0x18, 23],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
            &[0x58, 1, 9],
            &[0x78, 1, b'a'],
            &[0x98, 1, 0],
            &[0xb8, 1, 0, 0],
            &[0xd8, 18, 0x80, 0x00],
            &[0xd8, 2, 0x80],
            // Indefinite lengths.
            &[0x5f, 0x41, 9, 0xff],
            &[0x9f, 0xff],
            &[0xbf, 0xff],
            // Keys out of order, or twice.
            &[0xa2, 0x02, 0x00, 0x01, 0x00],
            &[0xa2, 0x01, 0x00, 0x01, 0x00],
            &[0xa2, 0x61, b'b', 0x00, 0x62, b'a', b'a', 0x00],
            // Other simple values, numbers with a point, two values, cut, not UTF-8.
            &[0xf7],
            &[0xf8, 32],
            &[0xfa, 0, 0, 0, 0],
            &[0x00, 0x00],
            &[0x42, 9],
            &[0x61, 0xff],
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            assert_eq!(check(bad), Err(NotDeterministic), "{bad:02x?}");
        }
        assert_eq!(check(&[0x81; 40]), Err(NotDeterministic), "too deep");
    }

    #[test]
    fn what_is_written_here_is_in_the_one_form() {
        let names: BTreeMap<String, u64> = [("lease_ms".into(), 3000), ("b".into(), 1)].into();
        let bytes = minicbor::to_vec(&names).unwrap();
        assert_eq!(read::<BTreeMap<String, u64>>(&bytes), Ok(names));
        assert_eq!(read::<u8>(&[0x18, 0x05]), Err(NotDeterministic));
    }
}
