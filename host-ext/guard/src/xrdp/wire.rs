//! How a program asks xrdp's chansrv for a channel to the RDP client.
//!
//! Two layouts of the request exist (xrdp's `common/xrdpapi` and `sesman/chansrv/chansrv.c`):
//! ```text
//! up to 0.10.4    u32 16+n | u32 0 | u32 n | name, n bytes | u32 flags       little-endian
//! from 0.10.5     u32 version = 1 | u32 private = 0 | u32 flags | name, 261 bytes, zero-padded | zeros to 384
//! ```
//! The reply is one u32: 0, or why not. From then on the socket carries the channel's bytes in
//! both directions, without any framing: chansrv joins and splits what is written.
//! A chansrv that is given the other layout waits for more bytes, so that an answer has a time-out.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

/// Asks for a dynamic channel ([MS-RDPEDYC]) and not a static one.
const DYNAMIC: u32 = 1;
/// The client has no listener of this name ([MS-RDPEDYC] 2.2.2.2, a failed creation status).
const NO_LISTENER: u32 = 0xC000_0001;
const NAME_BYTES: usize = 261;
const REQUEST_BYTES: usize = 384;

/// Which request chansrv understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// xrdp up to 0.10.4.
    Counted,
    /// xrdp from 0.10.5.
    Fixed,
}

impl Layout {
    pub(super) fn other(self) -> Layout {
        match self {
            Layout::Counted => Layout::Fixed,
            Layout::Fixed => Layout::Counted,
        }
    }
}

/// What chansrv answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Open,
    /// The client has no such extension.
    NoListener,
    /// Anything else; the number is chansrv's own.
    Refused(u32),
}

/// The request for a dynamic channel called `name`, which is cut at 260 bytes.
pub(super) fn request(layout: Layout, name: &str) -> Vec<u8> {
    let name = &name.as_bytes()[..name.len().min(NAME_BYTES - 1)];
    let length = u32::try_from(name.len()).unwrap_or(0);
    match layout {
        Layout::Counted => {
            let head = [16 + length, 0, length].map(u32::to_le_bytes).concat();
            [&head[..], name, &DYNAMIC.to_le_bytes()].concat()
        }
        Layout::Fixed => {
            // Native-endian, as a C struct: both programs are on the same machine.
            let mut bytes = [1, 0, DYNAMIC].map(u32::to_ne_bytes).concat();
            bytes.extend_from_slice(name);
            bytes.resize(REQUEST_BYTES, 0);
            bytes
        }
    }
}

pub(super) fn answer(reply: [u8; 4]) -> Answer {
    match u32::from_le_bytes(reply) {
        0 => Answer::Open,
        NO_LISTENER => Answer::NoListener,
        other => Answer::Refused(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_as_chansrv_reads_them() {
        let counted = request(Layout::Counted, "SUDARE");
        assert_eq!(counted.len(), 22);
        assert_eq!(counted[..12], [22, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(&counted[12..], b"SUDARE\x01\0\0\0");
        let fixed = request(Layout::Fixed, "SUDARE");
        assert_eq!((fixed.len(), &fixed[12..19]), (384, &b"SUDARE\0"[..]));
        let long = request(Layout::Fixed, &"x".repeat(400));
        assert_eq!((long.len(), long[12 + 259], long[12 + 260]), (384, b'x', 0), "always ends with a zero");
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(answer([0; 4]), Answer::Open);
        assert_eq!(answer(0xC000_0001_u32.to_le_bytes()), Answer::NoListener);
        assert_eq!(answer([1, 0, 0, 0]), Answer::Refused(1));
    }
}
