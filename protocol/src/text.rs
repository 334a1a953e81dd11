//! The characters of texts that one party writes and people of another read: names, versions, advice.

/// Whether a character does something instead of being seen: controls (C0, C1, line breaks), marks that change the
/// direction of a text, and characters without width. In a terminal, a page or a log, such a text could change what
/// stands around it.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether every character of a text is seen. Messages and records with any other text are refused.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(is_hidden)
}

/// One line in which every character is seen.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |character| match character {
        '\t' | '\n' | '\r' => ' ',
        hidden if is_hidden(hidden) => '\u{fffd}',
        seen => seen,
    };
    text.chars().map(shown).collect()
}

/// JSON with hidden characters spelt out, so that it says the same and a terminal does nothing.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) && character != '\n' {
            let mut units = [0; 2];
            let units = character.encode_utf16(&mut units);
            units.iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        } else {
            text.push(character);
        }
    }
    text
}

/// A text file as people's editors and mail programs leave it: without a byte order mark, and with line ends of one
/// kind. `None` if it is no text.
#[must_use]
pub fn given(bytes: &[u8]) -> Option<String> {
    let units = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
    };
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => str::from_utf8(rest).ok()?.to_owned(),
        [0xff, 0xfe, rest @ ..] => units(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => units(rest, u16::from_be_bytes)?,
        all => str::from_utf8(all).ok()?.to_owned(),
    };
    Some(text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_commands_are_not() {
        for plain in ["", "sudare 0.1.0 (FreeRDP 3.15)", "株式会社すだれ", "naïve — 100 % ❤", "a b\u{a0}c"]
        {
            assert!(is_plain(plain), "{plain:?}");
        }
        for odd in ['\u{1b}', '\u{9b}', '\n', '\r', '\t', '\u{7f}', '\0', '\u{202e}', '\u{2066}', '\u{200f}']
        {
            assert!(!is_plain(&format!("a{odd}b")), "{odd:?}");
            assert!(is_plain(&printable(&format!("a{odd}b"))), "{odd:?}");
        }
    }

    #[test]
    fn a_file_is_read_whatever_an_editor_did_to_its_ends() {
        let wanted = Some("line ü\nnext\n".to_owned());
        let text = "line ü\r\nnext\r\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(given(text.as_bytes()), wanted);
        assert_eq!(given(&[b"\xef\xbb\xbf", text.as_bytes()].concat()), wanted);
        assert_eq!(given(&[&[0xff, 0xfe], le.as_slice()].concat()), wanted);
        assert_eq!(given(&[&[0xfe, 0xff], be.as_slice()].concat()), wanted);
        assert_eq!(given(&[0xff, 0xfe, 0x41]), None);
        assert_eq!(given(&[0xc3, 0x28]), None);
    }
}
