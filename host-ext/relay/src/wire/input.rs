//! What the client types and points at, in both ways of writing it ([MS-RDPBCGR] 2.2.8.1.1.3.1, 2.2.8.1.2).

use super::{Reader, fastpath};
use crate::error::Fault;
use crate::limits::PDUS_PER_FRAME_MAX;

/// Slow-path message types.
const SYNC: u16 = 0;
const UNUSED: u16 = 2;
const SCANCODE: u16 = 4;
const UNICODE: u16 = 5;
const MOUSE: u16 = 0x8001;
const MOUSE_X: u16 = 0x8002;
const MOUSE_RELATIVE: u16 = 0x8004;
/// Keyboard flags of the slow path, and of a unicode character.
const EXTENDED: u16 = 0x0100;
const EXTENDED1: u16 = 0x0200;
const RELEASE: u16 = 0x8000;
/// Keyboard flags of the fast path.
const FAST_RELEASE: u8 = 1;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A key goes down or up.
    Key(Key, bool),
    /// A character that has no key here goes down or up.
    Character(u16, bool),
    /// The mouse: flags, x, y.
    Mouse(u16, u16, u16),
    /// Its further buttons: flags, x, y.
    MouseExtended(u16, u16, u16),
    /// It moved by so much; has the flags of `Mouse`.
    MouseRelative(u16, u16, u16),
    /// The lock keys, as they are now.
    Synchronize(u8),
    /// When the client noticed it.
    Time,
}

/// A key, as keyboards number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The scancode.
    pub code: u8,
    /// Which prefixes it has: 1 is 0xE0, 2 is 0xE1.
    pub prefix: u8,
}

/// The events of a fast-path frame of the client.
///
/// # Errors
/// If one is cut or unknown.
pub fn fast(frame: &[u8]) -> Result<Vec<Event>, Fault> {
    let (first, body) = fastpath::body(frame)?;
    let mut reader = Reader::new(body);
    let count = match (first >> 2) & 0xF {
        0 => reader.u8()?,
        count => count,
    };
    let events = (0..count).map(|_| fast_event(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    if reader.left() == 0 { Ok(events) } else { Err(Fault::Length) }
}

fn fast_event(reader: &mut Reader<'_>) -> Result<Event, Fault> {
    let header = reader.u8()?;
    let flags = header & 0x1F;
    let down = flags & FAST_RELEASE == 0;
    Ok(match header >> 5 {
        0 => Event::Key(Key { code: reader.u8()?, prefix: (flags >> 1) & 3 }, down),
        1 => Event::Mouse(reader.u16()?, reader.u16()?, reader.u16()?),
        2 => Event::MouseExtended(reader.u16()?, reader.u16()?, reader.u16()?),
        3 => Event::Synchronize(flags),
        4 => Event::Character(reader.u16()?, down),
        5 => Event::MouseRelative(reader.u16()?, reader.u16()?, reader.u16()?),
        6 => {
            reader.u32()?;
            Event::Time
        }
        _ => return Err(Fault::Unknown),
    })
}

/// The events of a slow-path input PDU's body.
///
/// # Errors
/// If one is cut or unknown.
pub fn slow(body: &[u8]) -> Result<Vec<Event>, Fault> {
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u16()?);
    reader.u16()?;
    if count > PDUS_PER_FRAME_MAX {
        return Err(Fault::TooMuch);
    }
    let events = (0..count).map(|_| slow_event(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    if reader.left() == 0 { Ok(events) } else { Err(Fault::Length) }
}

fn slow_event(reader: &mut Reader<'_>) -> Result<Event, Fault> {
    reader.u32()?;
    let kind = reader.u16()?;
    let (a, b, c) = (reader.u16()?, reader.u16()?, reader.u16()?);
    Ok(match kind {
        SYNC => Event::Synchronize(b.to_le_bytes()[0] & 0x1F),
        UNUSED => Event::Time,
        SCANCODE => {
            let [code, _] = b.to_le_bytes();
            let prefix = u8::from(a & EXTENDED != 0) | (u8::from(a & EXTENDED1 != 0) << 1);
            Event::Key(Key { code, prefix }, a & RELEASE == 0)
        }
        UNICODE => Event::Character(b, a & RELEASE == 0),
        MOUSE => Event::Mouse(a, b, c),
        MOUSE_X => Event::MouseExtended(a, b, c),
        MOUSE_RELATIVE => Event::MouseRelative(a, b, c),
        _ => return Err(Fault::Unknown),
    })
}

/// Events that one frame of [`write_fast`] takes: their number stands in four bits of its header. There is a longer
/// form, which xrdp 0.9 refuses.
pub const FAST_EVENTS_MAX: usize = 15;

/// A fast-path frame with these events; [`Event::Time`] is left out.
///
/// # Errors
/// If there are more than [`FAST_EVENTS_MAX`], or none.
pub fn write_fast(events: &[Event]) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    let mut count = 0_u8;
    for event in events {
        let key = |code: u8, flags: u8, down: bool| (code << 5) | (flags << 1) | u8::from(!down);
        match *event {
            Event::Key(Key { code, prefix }, down) => body.extend([key(0, prefix, down), code]),
            Event::Character(character, down) => {
                body.push(key(4, 0, down));
                body.extend(character.to_le_bytes());
            }
            Event::Mouse(flags, x, y) => mouse(&mut body, 1, [flags, x, y]),
            Event::MouseExtended(flags, x, y) => mouse(&mut body, 2, [flags, x, y]),
            Event::MouseRelative(flags, x, y) => mouse(&mut body, 5, [flags, x, y]),
            Event::Synchronize(toggles) => body.push((3 << 5) | (toggles & 0x1F)),
            Event::Time => continue,
        }
        count = count.saturating_add(1);
    }
    if count == 0 || usize::from(count) > FAST_EVENTS_MAX {
        return Err(Fault::TooMuch);
    }
    let length = u8::try_from(body.len().saturating_add(2)).map_err(|_| Fault::TooMuch)?;
    Ok([&[count << 2, length][..], &body].concat())
}

fn mouse(body: &mut Vec<u8>, code: u8, fields: [u16; 3]) {
    body.push(code << 5);
    body.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
}

/// The body of a slow-path input PDU with these events; [`Event::Time`] is left out.
///
/// # Errors
/// If they do not fit.
pub fn write_slow(events: &[Event]) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    let mut count = 0_u16;
    for event in events {
        let up = |down: bool| if down { 0 } else { RELEASE };
        let (kind, fields) = match *event {
            Event::Key(Key { code, prefix }, down) => {
                (SCANCODE, [up(down) | (u16::from(prefix & 3) << 8), code.into(), 0])
            }
            Event::Character(character, down) => (UNICODE, [up(down), character, 0]),
            Event::Mouse(flags, x, y) => (MOUSE, [flags, x, y]),
            Event::MouseExtended(flags, x, y) => (MOUSE_X, [flags, x, y]),
            Event::MouseRelative(flags, x, y) => (MOUSE_RELATIVE, [flags, x, y]),
            Event::Synchronize(toggles) => (SYNC, [0, toggles.into(), 0]),
            Event::Time => continue,
        };
        count = count.checked_add(1).ok_or(Fault::TooMuch)?;
        body.extend([0; 4]);
        body.extend(u16::to_le_bytes(kind));
        body.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    }
    Ok([&count.to_le_bytes()[..], &[0, 0], &body].concat())
}

#[cfg(test)]
mod tests {
    use ironrdp_pdu::input::fast_path::{FastPathInput, FastPathInputEvent, KeyboardFlags};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_implementation_writes_the_same() {
        let down = FastPathInputEvent::KeyboardEvent(KeyboardFlags::EXTENDED, 0x1D);
        let up = FastPathInputEvent::KeyboardEvent(KeyboardFlags::RELEASE, 0x2A);
        let unicode = FastPathInputEvent::UnicodeKeyboardEvent(KeyboardFlags::empty(), 0x7C3E);
        let frame = ironrdp_core::encode_vec(&FastPathInput::new(vec![down, up, unicode]).unwrap()).unwrap();
        let events = [
            Event::Key(Key { code: 0x1D, prefix: 1 }, true),
            Event::Key(Key { code: 0x2A, prefix: 0 }, false),
            Event::Character(0x7C3E, true),
        ];
        assert_eq!(fast(&frame).unwrap(), events);
        let written = write_fast(&events).unwrap();
        assert_eq!(fast(&written).unwrap(), events);
        // The number of events is in the header, where every host looks for it.
        assert_eq!(written[..2], [3 << 2, 2 + 2 + 2 + 3]);
        assert_eq!(write_fast(&[events[0]; 16]), Err(Fault::TooMuch));
        assert_eq!(write_fast(&[]), Err(Fault::TooMuch));
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (any::<u8>(), 0_u8..4, any::<bool>())
                .prop_map(|(code, prefix, down)| Event::Key(Key { code, prefix }, down)),
            (any::<u16>(), any::<bool>()).prop_map(|(character, down)| Event::Character(character, down)),
            any::<[u16; 3]>().prop_map(|[flags, x, y]| Event::Mouse(flags, x, y)),
            any::<[u16; 3]>().prop_map(|[flags, x, y]| Event::MouseExtended(flags, x, y)),
            any::<[u16; 3]>().prop_map(|[flags, x, y]| Event::MouseRelative(flags, x, y)),
            (0_u8..32).prop_map(Event::Synchronize),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_events_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            fast(&bytes).ok();
            slow(&bytes).ok();
            if let Ok(length) = u8::try_from(bytes.len() + 2) {
                fast(&[&[0x18, length][..], &bytes].concat()).ok();
            }
        }

        #[test]
        fn both_ways_read_back(events in prop::collection::vec(event(), 0..40)) {
            for events in events.chunks(FAST_EVENTS_MAX) {
                prop_assert_eq!(&fast(&write_fast(events).unwrap()).unwrap(), events);
            }
            prop_assert_eq!(&slow(&write_slow(&events).unwrap()).unwrap(), &events);
        }
    }
}
