//! Bounded reads: outside data never decides how much memory is used.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads all of `path`, which must not be longer than `bytes_max`.
pub(crate) fn read_file(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let expected = file.metadata()?.len();
    read(file, expected, bytes_max)
}

/// Reads all of `reader`, which must not hold more than `bytes_max`. `expected` only saves
/// memory moves; it is not trusted.
pub(crate) fn read(reader: impl Read, expected: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
    let capacity = usize::try_from(expected.min(bytes_max)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(capacity);
    // One byte more than allowed, to see that there is more than allowed.
    reader.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than the {bytes_max} bytes allowed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_source_ends() {
        assert_eq!(read(&[7_u8; 5][..], 0, 5).unwrap(), [7; 5]);
        let mut endless = io::repeat(7).take(1000);
        let error = read(&mut endless, u64::MAX, 5).unwrap_err();
        assert_eq!(error.to_string(), "longer than the 5 bytes allowed");
        assert_eq!(endless.limit(), 994, "one byte more than allowed is read, and no other");
    }
}
