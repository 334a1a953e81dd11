//! The lines of the seat socket, both ways. Pure.
//!
//! Each line is one JSON object with a `kind`. The plugin speaks first: `hello`, then its state. A reader skips kinds and
//! fields that it does not know; another `version` is refused.

use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

use crate::seat::state::SeatState;

/// Of both ends.
pub const VERSION: u16 = 1;
/// A line from a window.
pub const ASKED_MAX_BYTES: usize = 1024;
/// A line to a window; a picture is the longest.
pub const TOLD_MAX_BYTES: usize = 256 * 1024;
/// A name, a number of a camera or a sentence in it.
pub(crate) const TEXT_MAX_CHARS: usize = 500;

/// What the plugin tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Told {
    Hello {
        version: u16,
    },
    State(SeatState),
    /// A host keeps an incident of this seat; the receipt itself is in the device's folder.
    Receipt {
        incident: String,
        leaf_index: u64,
    },
    Picture(SeenPicture),
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// What a window asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Asked {
    Hello {
        version: u16,
    },
    /// Cover the desktop at once.
    CoverNow,
    /// End the cover that was asked for.
    EndCover,
    /// Whether to send pictures. Ends with the connection.
    Preview {
        on: bool,
    },
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// Whose face it is, as the models see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Person {
    Operator,
    Somebody,
    Undecided,
}

/// A face in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeenFace {
    /// Left, top, width and height in shares of the picture.
    pub area: [f32; 4],
    pub who: Person,
    /// About how far away, for a webcam of 70 degrees.
    pub metres: Option<f32>,
}

/// A picture of the camera, small, with what the models saw in it. Personal data: `Debug` shows sizes only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SeenPicture {
    /// JPEG, in base64.
    pub jpeg: String,
    pub faces: Vec<SeenFace>,
    /// Phones, in shares of the picture.
    pub phones: Vec<[f32; 4]>,
}

impl std::fmt::Debug for SeenPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeenPicture({} characters, {} faces)", self.jpeg.len(), self.faces.len())
    }
}

/// Why a line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    #[error("it is not an object of a known form")]
    Form,
    #[error("it cannot be written")]
    NotWritten,
}

/// A line without its end, from a window.
///
/// # Errors
/// It is too long, or no such object.
pub fn parse_asked(line: &[u8]) -> Result<Asked, BadLine> {
    parse(line, ASKED_MAX_BYTES)
}

/// A line without its end, from the plugin.
///
/// # Errors
/// As [`parse_asked`].
pub fn parse_told(line: &[u8]) -> Result<Told, BadLine> {
    parse(line, TOLD_MAX_BYTES)
}

fn parse<T: for<'a> Deserialize<'a>>(line: &[u8], max_bytes: usize) -> Result<T, BadLine> {
    if line.len() > max_bytes {
        return Err(BadLine::TooLong(max_bytes));
    }
    serde_json::from_slice(line).map_err(|_| BadLine::Form)
}

/// The next line without its end; `None` when the other end has closed.
///
/// # Errors
/// The connection failed, or the line is longer than that: it is not read on.
pub fn read_line(from: &mut impl BufRead, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let cap = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    from.take(cap).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, BadLine::TooLong(max_bytes))),
    }
}

/// A line with its end.
///
/// # Errors
/// It would be longer than a reader takes.
pub fn told_line(told: &Told) -> Result<Vec<u8>, BadLine> {
    line(told, TOLD_MAX_BYTES)
}

/// A line with its end.
///
/// # Errors
/// As [`told_line`].
pub fn asked_line(asked: &Asked) -> Result<Vec<u8>, BadLine> {
    line(asked, ASKED_MAX_BYTES)
}

fn line(value: &impl Serialize, max_bytes: usize) -> Result<Vec<u8>, BadLine> {
    let mut line = serde_json::to_vec(value).map_err(|_| BadLine::NotWritten)?;
    if line.len() > max_bytes {
        return Err(BadLine::TooLong(max_bytes));
    }
    line.push(b'\n');
    Ok(line)
}

/// What people read of somebody else's text: short, and nothing but characters that are seen.
pub(crate) fn short(text: &str) -> String {
    sudare_protocol::text::printable(text).chars().take(TEXT_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(told: &Told) -> Told {
        let line = told_line(told).unwrap();
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1, "one line");
        parse_told(&line[..line.len() - 1]).unwrap()
    }

    #[test]
    fn every_line_is_read_as_it_was_written() {
        let face = SeenFace { area: [0.1, 0.2, 0.3, 0.4], who: Person::Operator, metres: Some(0.6) };
        let picture =
            SeenPicture { jpeg: "AAAA".into(), faces: vec![face], phones: vec![[0.5, 0.5, 0.1, 0.1]] };
        let state = SeatState { host: Some("vdi\n1".into()), ..SeatState::new("camera:0") };
        for told in [
            Told::Hello { version: VERSION },
            Told::State(state),
            Told::Receipt { incident: "1d".repeat(16), leaf_index: 7 },
            Told::Picture(picture),
        ] {
            assert_eq!(read_back(&told), told);
        }
        for asked in
            [Asked::Hello { version: 1 }, Asked::CoverNow, Asked::EndCover, Asked::Preview { on: true }]
        {
            let line = asked_line(&asked).unwrap();
            assert_eq!(parse_asked(&line[..line.len() - 1]), Ok(asked));
        }
        assert_eq!(asked_line(&Asked::CoverNow).unwrap(), b"{\"kind\":\"cover-now\"}\n");
    }

    #[test]
    fn what_is_unknown_is_skipped_and_nonsense_is_refused() {
        assert_eq!(parse_asked(br#"{"kind":"dance","how":"slowly"}"#), Ok(Asked::Unknown));
        assert_eq!(parse_asked(br#"{"kind":"cover-now","later":1}"#), Ok(Asked::CoverNow));
        assert_eq!(parse_told(br#"{"kind":"song"}"#), Ok(Told::Unknown));
        for line in ["", "{", "7", "null", "[]", r#"{"kind":7}"#, r#"{"on":true}"#, r#"{"kind":"preview"}"#] {
            assert_eq!(parse_asked(line.as_bytes()), Err(BadLine::Form), "{line}");
        }
        let deep = "[".repeat(ASKED_MAX_BYTES);
        assert_eq!(parse_asked(deep.as_bytes()), Err(BadLine::Form));
        let long = vec![b' '; ASKED_MAX_BYTES + 1];
        assert_eq!(parse_asked(&long), Err(BadLine::TooLong(ASKED_MAX_BYTES)));
    }

    #[test]
    fn a_line_is_read_up_to_its_end_and_no_longer_than_it_may_be() {
        let mut bytes: &[u8] = b"one\n\nthree";
        assert_eq!(read_line(&mut bytes, 8).unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(read_line(&mut bytes, 8).unwrap().as_deref(), Some(&b""[..]));
        assert!(read_line(&mut bytes, 8).is_err(), "cut off");
        assert!(read_line(&mut bytes, 8).unwrap().is_none());
        assert!(read_line(&mut &[b'x'; 9][..], 8).is_err());
        assert!(read_line(&mut &b"12345678\n"[..], 8).unwrap().is_some());
    }

    #[test]
    fn a_line_that_no_reader_takes_is_not_written_and_a_picture_does_not_print() {
        let jpeg = "A".repeat(TOLD_MAX_BYTES);
        let picture = SeenPicture { jpeg, faces: Vec::new(), phones: Vec::new() };
        assert!(!format!("{picture:?}").contains("AAA"));
        assert_eq!(told_line(&Told::Picture(picture)), Err(BadLine::TooLong(TOLD_MAX_BYTES)));
        assert_eq!(short("a\u{7}b").chars().count(), 3);
        assert!(!short("a\u{7}b").contains('\u{7}'));
    }
}
