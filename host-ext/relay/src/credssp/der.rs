//! Tags and lengths of DER (X.690), as far as TSRequest and a certificate need them.
//!
//! Lengths may be written longer than they have to be, as Windows does; indefinite ones are refused.

use super::request::Malformed;

/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;

/// The tag of field `number` of a sequence.
#[must_use]
pub fn field(number: u8) -> u8 {
    0xA0 | number & 0x1F
}

/// Values one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    /// Of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value, which has this tag.
    ///
    /// # Errors
    /// If it has another one, or is cut.
    pub fn next(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let (found, value, rest) = split(self.rest)?;
        if found != tag {
            return Err(Malformed::Field);
        }
        self.rest = rest;
        Ok(value)
    }

    /// The next value if it has this tag.
    ///
    /// # Errors
    /// If it is cut.
    pub fn next_if(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.rest.first() == Some(&tag) { self.next(tag).map(Some) } else { Ok(None) }
    }

    /// The only value, which has this tag.
    ///
    /// # Errors
    /// If there is another one, or something behind it.
    pub fn only(mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let value = self.next(tag)?;
        if self.is_empty() { Ok(value) } else { Err(Malformed::Field) }
    }
}

/// Tag, value and what is behind it.
fn split(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Malformed> {
    let (header, length) = header(bytes)?.ok_or(Malformed::Cut)?;
    let tag = bytes.first().copied().ok_or(Malformed::Cut)?;
    let value = bytes.get(header..).ok_or(Malformed::Cut)?;
    let (value, rest) = value.split_at_checked(length).ok_or(Malformed::Cut)?;
    Ok((tag, value, rest))
}

/// Bytes of tag and length, and the length that they say. None: there are too few to tell.
///
/// # Errors
/// If the length is indefinite, or has more than three bytes.
pub fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let (Some(_), Some(first)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    let more = match *first {
        short @ 0..=0x7F => return Ok(Some((2, usize::from(short)))),
        long @ 0x81..=0x83 => usize::from(long & 0x7F),
        _ => return Err(Malformed::Length),
    };
    let Some(digits) = bytes.get(2..).and_then(|behind| behind.get(..more)) else { return Ok(None) };
    let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
    Ok(Some((more.saturating_add(2), length)))
}

/// Writes a value. Those of this crate have less than 2^24 bytes; a longer one is cut, and nobody can read it.
#[must_use]
pub fn value(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let [_, a, b, c] = length;
    let head = match length {
        [0, 0, 0, short @ 0..=0x7F] => vec![tag, short],
        [0, 0, 0, _] => vec![tag, 0x81, c],
        [0, 0, _, _] => vec![tag, 0x82, b, c],
        _ => vec![tag, 0x83, a, b, c],
    };
    [head.as_slice(), bytes].concat()
}

/// An integer that is not negative.
///
/// # Errors
/// If it is negative, or has more than 32 bits.
pub fn unsigned(value: &[u8]) -> Result<u32, Malformed> {
    let digits = match value {
        [] | [0x80..=0xFF, ..] => return Err(Malformed::Field),
        [0, digits @ ..] => digits,
        digits => digits,
    };
    if digits.len() > 4 {
        return Err(Malformed::Field);
    }
    Ok(digits.iter().fold(0, |number, digit| number << 8 | u32::from(*digit)))
}

/// The same, written.
#[must_use]
pub fn integer(number: u32) -> Vec<u8> {
    let digits = number.to_be_bytes();
    let used = digits.iter().position(|digit| *digit != 0).unwrap_or(3);
    let digits = digits.get(used..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    value(INTEGER, &[sign, digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_come_back_as_they_were_written() {
        for number in [0, 1, 6, 127, 128, 255, 256, 0xC000_006D, u32::MAX] {
            let written = integer(number);
            assert_eq!(unsigned(Values::new(&written).only(INTEGER).unwrap()), Ok(number));
        }
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let written = value(OCTET_STRING, &vec![7; length]);
            assert_eq!(Values::new(&written).only(OCTET_STRING).unwrap().len(), length);
        }
    }

    #[test]
    fn what_is_cut_negative_or_endless_is_refused() {
        assert_eq!(header(&[0x30]), Ok(None));
        assert_eq!(header(&[0x30, 0x82, 1]), Ok(None));
        assert_eq!(header(&[0x30, 0x80, 0, 0]), Err(Malformed::Length));
        assert_eq!(header(&[0x30, 0x84, 0, 0, 0, 1]), Err(Malformed::Length));
        assert_eq!(Values::new(&[0x30, 2, 1]).next(SEQUENCE), Err(Malformed::Cut));
        assert_eq!(unsigned(&[0x80]), Err(Malformed::Field));
        assert_eq!(unsigned(&[1, 0, 0, 0, 0]), Err(Malformed::Field));
    }
}
