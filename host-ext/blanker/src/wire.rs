//! Messages between guard and blanker over one stream socket (the blanker's standard input).
//!
//! ```text
//! u32 length (little-endian, of what follows) | u8 kind | fields, little-endian
//! ```
//! Both ends run under the same system user and are of the same version, so there is no version
//! number; a message that cannot be read ends the conversation, and the blanker then covers.

use std::io::{self, Read, Write};

/// The largest message: a picture of an 8192 by 4320 screen and a little.
pub const MESSAGE_MAX_BYTES: usize = 8192 * 4320 * 4 + 64;
/// More monitors than any RDP client offers ([MS-RDPBCGR] 2.2.1.3.6: 16).
pub const MONITORS_MAX: usize = 16;

/// A part of the screen in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rect {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

impl Rect {
    /// Bytes of a picture of this size, four a pixel.
    pub fn bytes(&self) -> usize {
        usize::from(self.width) * usize::from(self.height) * 4
    }
}

/// What the guard asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// First of all: how to log on to the display. The name is that of X's authorisation protocol.
    Display { number: u32, auth_name: String, auth_data: Vec<u8> },
    /// Cover now; with `picture`, take a picture of the screen just before. Also asked again while
    /// covered, which is answered again, but without a picture: there is only the cover to be seen.
    Cover { ticket: u64, picture: bool },
    /// Show the desktop.
    Uncover { ticket: u64 },
    /// Take a picture of the screen as it is, without covering.
    Picture { ticket: u64 },
    /// Words for the cover: BGRA pixels for this part of it, everything else stays black. Kept for
    /// the next cover if there is none now. Ignored when made for another layout than the present.
    Paint { layout: u32, place: Rect, bgra: Vec<u8> },
    /// Light everything but the words with this colour, or put it back to black. Only while covered; ended by whatever
    /// ends the cover, and by the end of the guard.
    Light { rgb: [u8; 3] },
}

/// What the blanker tells.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// The size of the screen and its monitors; told first and at each change.
    Layout { layout: u32, width: u16, height: u16, monitors: Vec<Rect> },
    /// The answer to `Cover`: the cover was read back from the screen, and input is taken.
    Covered { ticket: u64 },
    /// The answer to `Uncover`: the desktop is shown and has its input back.
    Uncovered { ticket: u64 },
    /// While covered, several times a second: whether the cover was read back from the screen
    /// just now, and whether the desktop's input is taken.
    Health { pixels: bool, input: bool },
    /// The picture asked for: BGRA, top row first.
    Picture { ticket: u64, width: u16, height: u16, bgra: Vec<u8> },
    /// Somebody pressed one of the cover's keys.
    Key(Key),
    /// Something that an administrator should know; the blanker goes on.
    Notice(Notice),
    /// A cover cannot be relied on here, and why; the blanker ends after this.
    Unfit { why: String },
}

/// The keys that work on a cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// F1.
    Help,
    /// F2.
    Break,
    /// F3.
    WrongBlock,
}

/// What somebody on the display tried, or what had to be done against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A compositor was found and made to give up its place.
    CompositorEnded,
    /// A window inside the cover's own layer was removed together with its client.
    IntruderRemoved,
    /// Somebody unmapped or destroyed a window of the cover; it was put back.
    CoverRestored,
    /// An application held the keyboard or the pointer; its windows were hidden for a moment.
    GrabTaken,
    /// The windows of a blanker that had died were taken over.
    PredecessorReplaced,
    /// Windows were on the screen before the first cover: how the session began was seen.
    LateStart,
}

// Pictures show confidential data and the cookie is a secret: neither may reach a log by habit.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Display { number, .. } => write!(f, "Display(:{number})"),
            Self::Cover { ticket, picture } => write!(f, "Cover({ticket}, picture {picture})"),
            Self::Uncover { ticket } => write!(f, "Uncover({ticket})"),
            Self::Picture { ticket } => write!(f, "Picture({ticket})"),
            Self::Paint { layout, place, .. } => write!(f, "Paint(layout {layout}, {place:?})"),
            Self::Light { rgb } => write!(f, "Light({rgb:?})"),
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Layout { layout, width, height, monitors } => {
                write!(f, "Layout({layout}: {width}x{height}, {} monitors)", monitors.len())
            }
            Self::Covered { ticket } => write!(f, "Covered({ticket})"),
            Self::Uncovered { ticket } => write!(f, "Uncovered({ticket})"),
            Self::Health { pixels, input } => write!(f, "Health(pixels {pixels}, input {input})"),
            Self::Picture { ticket, width, height, .. } => write!(f, "Picture({ticket}: {width}x{height})"),
            Self::Key(key) => write!(f, "Key({key:?})"),
            Self::Notice(notice) => write!(f, "Notice({notice:?})"),
            Self::Unfit { why } => write!(f, "Unfit({why})"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the connection between guard and blanker broke: {0}. The supervisor starts both again")]
    Io(#[from] io::Error),
    #[error("guard and blanker do not understand each other ({0}). Install both from the same package")]
    Malformed(&'static str),
}

impl Request {
    /// The whole message with its length.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Display { number, auth_name, auth_data } => {
                out.kind(1).u32(*number).bytes(auth_name.as_bytes()).bytes(auth_data);
            }
            Self::Cover { ticket, picture } => {
                out.kind(2).u64(*ticket).u8(u8::from(*picture));
            }
            Self::Uncover { ticket } => {
                out.kind(3).u64(*ticket);
            }
            Self::Picture { ticket } => {
                out.kind(4).u64(*ticket);
            }
            Self::Paint { layout, place, bgra } => {
                out.kind(5).u32(*layout).rect(*place).rest(bgra);
            }
            Self::Light { rgb } => {
                out.kind(6).rest(rgb);
            }
        }
        out.finish()
    }

    /// Reads one message without its length.
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader { body };
        let request = match reader.u8()? {
            1 => Self::Display {
                number: reader.u32()?,
                auth_name: reader.text()?,
                auth_data: reader.bytes()?.to_vec(),
            },
            2 => Self::Cover { ticket: reader.u64()?, picture: reader.flag()? },
            3 => Self::Uncover { ticket: reader.u64()? },
            4 => Self::Picture { ticket: reader.u64()? },
            5 => {
                let (layout, place) = (reader.u32()?, reader.rect()?);
                Self::Paint { layout, place, bgra: reader.pixels(place.bytes())? }
            }
            6 => Self::Light { rgb: reader.take()? },
            _ => return Err(WireError::Malformed("unknown request")),
        };
        reader.end()?;
        Ok(request)
    }
}

impl Reply {
    /// The whole message with its length.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Layout { layout, width, height, monitors } => {
                out.kind(1).u32(*layout).u16(*width).u16(*height);
                monitors.iter().take(MONITORS_MAX).for_each(|rect| {
                    out.rect(*rect);
                });
            }
            Self::Covered { ticket } => {
                out.kind(2).u64(*ticket);
            }
            Self::Uncovered { ticket } => {
                out.kind(3).u64(*ticket);
            }
            Self::Health { pixels, input } => {
                out.kind(4).u8(u8::from(*pixels)).u8(u8::from(*input));
            }
            Self::Picture { ticket, width, height, bgra } => {
                out.kind(5).u64(*ticket).u16(*width).u16(*height).rest(bgra);
            }
            Self::Key(key) => {
                out.kind(6).u8(*key as u8);
            }
            Self::Notice(notice) => {
                out.kind(7).u8(*notice as u8);
            }
            Self::Unfit { why } => {
                out.kind(8).bytes(why.as_bytes());
            }
        }
        out.finish()
    }

    /// Reads one message without its length.
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader { body };
        let reply = match reader.u8()? {
            1 => {
                let (layout, width, height) = (reader.u32()?, reader.u16()?, reader.u16()?);
                let mut monitors = Vec::new();
                while !reader.body.is_empty() && monitors.len() < MONITORS_MAX {
                    monitors.push(reader.rect()?);
                }
                Self::Layout { layout, width, height, monitors }
            }
            2 => Self::Covered { ticket: reader.u64()? },
            3 => Self::Uncovered { ticket: reader.u64()? },
            4 => Self::Health { pixels: reader.flag()?, input: reader.flag()? },
            5 => {
                let (ticket, width, height) = (reader.u64()?, reader.u16()?, reader.u16()?);
                let bgra = reader.pixels(Rect { x: 0, y: 0, width, height }.bytes())?;
                Self::Picture { ticket, width, height, bgra }
            }
            6 => Self::Key(match reader.u8()? {
                0 => Key::Help,
                1 => Key::Break,
                2 => Key::WrongBlock,
                _ => return Err(WireError::Malformed("unknown key")),
            }),
            7 => Self::Notice(match reader.u8()? {
                0 => Notice::CompositorEnded,
                1 => Notice::IntruderRemoved,
                2 => Notice::CoverRestored,
                3 => Notice::GrabTaken,
                4 => Notice::PredecessorReplaced,
                5 => Notice::LateStart,
                _ => return Err(WireError::Malformed("unknown notice")),
            }),
            8 => Self::Unfit { why: reader.text()? },
            _ => return Err(WireError::Malformed("unknown reply")),
        };
        reader.end()?;
        Ok(reply)
    }
}

/// Reads one message's body; `None` at an orderly end.
pub fn read_body(stream: &mut impl Read) -> Result<Option<Vec<u8>>, WireError> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..])?;
    let length = checked_length(length)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(body))
}

/// The length that leads a message, if it is one.
pub fn checked_length(bytes: [u8; 4]) -> Result<usize, WireError> {
    let length = u32::from_le_bytes(bytes) as usize;
    if length == 0 || length > MESSAGE_MAX_BYTES {
        return Err(WireError::Malformed("impossible length"));
    }
    Ok(length)
}

/// Writes one whole message, as `to_bytes` made it.
pub fn write(stream: &mut impl Write, message: &[u8]) -> Result<(), WireError> {
    stream.write_all(message)?;
    Ok(stream.flush()?)
}

#[derive(Default)]
struct Writer {
    body: Vec<u8>,
}

impl Writer {
    fn kind(&mut self, kind: u8) -> &mut Self {
        self.body.extend([0; 4]);
        self.u8(kind)
    }

    fn u8(&mut self, value: u8) -> &mut Self {
        self.body.push(value);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.rest(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.rest(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.rest(&value.to_le_bytes())
    }

    fn rect(&mut self, rect: Rect) -> &mut Self {
        self.u16(rect.x).u16(rect.y).u16(rect.width).u16(rect.height)
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let length = bytes.len().min(usize::from(u16::MAX));
        self.u16(u16::try_from(length).unwrap_or(u16::MAX)).rest(&bytes[..length])
    }

    fn rest(&mut self, bytes: &[u8]) -> &mut Self {
        self.body.extend_from_slice(bytes);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.body.len() - 4).unwrap_or(u32::MAX);
        self.body[..4].copy_from_slice(&length.to_le_bytes());
        self.body
    }
}

struct Reader<'a> {
    body: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (first, rest) = self.body.split_first_chunk().ok_or(WireError::Malformed("too short"))?;
        self.body = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.take()?))
    }

    fn flag(&mut self) -> Result<bool, WireError> {
        Ok(self.u8()? != 0)
    }

    fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn rect(&mut self) -> Result<Rect, WireError> {
        Ok(Rect { x: self.u16()?, y: self.u16()?, width: self.u16()?, height: self.u16()? })
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::from(self.u16()?);
        let (bytes, rest) = self.body.split_at_checked(length).ok_or(WireError::Malformed("too short"))?;
        self.body = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, WireError> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    fn pixels(&mut self, expected: usize) -> Result<Vec<u8>, WireError> {
        if self.body.len() != expected {
            return Err(WireError::Malformed("a picture of another size than announced"));
        }
        Ok(std::mem::take(&mut self.body).to_vec())
    }

    fn end(&self) -> Result<(), WireError> {
        if self.body.is_empty() { Ok(()) } else { Err(WireError::Malformed("too long")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(message: &[u8]) -> Vec<u8> {
        read_body(&mut &message[..]).unwrap().unwrap()
    }

    #[test]
    fn every_message_survives_the_way() {
        let place = Rect { x: 1, y: 2, width: 3, height: 1 };
        for request in [
            Request::Display { number: 10, auth_name: "MIT-MAGIC-COOKIE-1".into(), auth_data: vec![7; 16] },
            Request::Cover { ticket: 1, picture: true },
            Request::Uncover { ticket: 2 },
            Request::Picture { ticket: 3 },
            Request::Paint { layout: 4, place, bgra: vec![9; 12] },
            Request::Light { rgb: [1, 2, 255] },
        ] {
            assert_eq!(Request::from_body(&body(&request.to_bytes())).unwrap(), request);
        }
        for reply in [
            Reply::Layout { layout: 1, width: 800, height: 600, monitors: vec![place, place] },
            Reply::Covered { ticket: 5 },
            Reply::Uncovered { ticket: 6 },
            Reply::Health { pixels: true, input: false },
            Reply::Picture { ticket: 7, width: 2, height: 1, bgra: vec![1; 8] },
            Reply::Key(Key::WrongBlock),
            Reply::Notice(Notice::LateStart),
            Reply::Unfit { why: "no X".into() },
        ] {
            assert_eq!(Reply::from_body(&body(&reply.to_bytes())).unwrap(), reply);
        }
    }

    #[test]
    fn damaged_messages_are_errors() {
        assert!(read_body(&mut &[0, 0, 0, 0][..]).is_err(), "empty");
        assert!(read_body(&mut &[255, 255, 255, 255, 1][..]).is_err(), "longer than any screen");
        assert!(read_body(&mut &[9, 0, 0, 0, 1][..]).is_err(), "cut off");
        assert!(Request::from_body(&[2, 1]).is_err());
        assert!(Request::from_body(&[99]).is_err());
        let long = [Request::Uncover { ticket: 2 }.to_bytes()[4..].to_vec(), vec![0]].concat();
        assert!(Request::from_body(&long).is_err());
        let place = Rect { x: 0, y: 0, width: 2, height: 2 };
        let mut short = Request::Paint { layout: 0, place, bgra: vec![0; 16] }.to_bytes();
        short.pop();
        assert!(Request::from_body(&short[4..]).is_err());
    }
}
