//! Ids, keys and hashes as text: two lower-case hexadecimal digits for each byte.

use core::fmt::Write as _;

/// The bytes as lower-case digits, as ids are written everywhere.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok());
        text
    })
}

/// Reads exactly `N` bytes; capitals are taken too, because people type ids.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex_all(text)?.try_into().ok()
}

/// As [`unhex`], of any length.
pub fn unhex_all(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let bytes: [u8; 4] = [0, 0x0f, 0xa0, 0xff];
        assert_eq!(hex(&bytes), "000fa0ff");
        assert_eq!(unhex("000fa0ff"), Some(bytes));
        assert_eq!(unhex("000FA0FF"), Some(bytes));
        assert_eq!(unhex_all(""), Some(vec![]));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "0", "000fa0f", "000fa0ff0", "000fa0fg", "+00fa0ff", "0 0fa0ff", "é00fa0f", "０00fa0f"]
        {
            assert_eq!(unhex::<4>(text), None, "{text:?}");
        }
        assert_eq!(unhex_all("+1"), None);
    }
}
