//! Fields of a message, each of which may be missing.

use crate::error::Fault;

/// Reads from the front; nothing is read twice, and nothing behind the end.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// Of a whole message.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, total: bytes.len() }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| Fault::Short)
    }

    /// The next byte.
    ///
    /// # Errors
    /// If none is left.
    pub fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes, as most of RDP has them.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    /// Two bytes, as TPKT and MCS have them.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn u16_be(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    /// These very bytes.
    ///
    /// # Errors
    /// If others come.
    pub fn expect(&mut self, expected: &[u8]) -> Result<(), Fault> {
        if self.take(expected.len())? == expected { Ok(()) } else { Err(Fault::Unknown) }
    }

    /// Everything that is left.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn at(&self) -> usize {
        self.total.saturating_sub(self.rest.len())
    }
}

/// A length as a field of 16 bits.
pub(crate) fn length_u16(length: usize) -> Result<u16, Fault> {
    u16::try_from(length).map_err(|_| Fault::TooMuch)
}

/// Writes over what is at `at`.
pub(crate) fn patch(bytes: &mut [u8], at: usize, with: &[u8]) -> Result<(), Fault> {
    let end = at.checked_add(with.len()).ok_or(Fault::Short)?;
    bytes.get_mut(at..end).ok_or(Fault::Short)?.copy_from_slice(with);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_never_behind_the_end() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0302));
        assert_eq!(reader.u16_be(), Ok(0x0405));
        assert_eq!(reader.u32(), Ok(0x0908_0706));
        assert_eq!((reader.at(), reader.left()), (9, 1));
        assert_eq!(reader.u16(), Err(Fault::Short));
        assert_eq!(reader.expect(&[11]), Err(Fault::Unknown));
        assert_eq!(reader.rest(), [0; 0]);
    }

    #[test]
    fn a_patch_never_grows_what_it_is_written_over() {
        let mut bytes = [0; 4];
        assert_eq!(patch(&mut bytes, 3, &[1, 2]), Err(Fault::Short));
        assert_eq!(patch(&mut bytes, usize::MAX, &[1]), Err(Fault::Short));
        assert_eq!(patch(&mut bytes, 1, &[1, 2]), Ok(()));
        assert_eq!(bytes, [0, 1, 2, 0]);
    }
}
