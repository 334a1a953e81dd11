//! What the two halves of a session's handshake say. Their signatures are not checked here: the walk reports a wrong
//! one as a finding.

use minicbor::Decode;
use sudare_protocol::cose;
use sudare_protocol::evidence::event::SessionStart;
use sudare_protocol::message::{self, Bounded, Hello, Open, kind};

/// The host's half.
pub(crate) fn hello(start: &SessionStart) -> Option<Hello> {
    read(cose::unverified_payload(&start.hello).ok()?, kind::HELLO)
}

/// The device's half.
pub(crate) fn open(start: &SessionStart) -> Option<Open> {
    read(cose::unverified_payload(&start.open).ok()?, kind::OPEN)
}

/// The body of a message, if it has the expected kind.
pub(crate) fn read<'b, T: Decode<'b, ()> + Bounded>(payload: &'b [u8], expected: u8) -> Option<T> {
    let (kind, _, body) = message::split(payload).ok()?;
    if kind == expected { message::body(body).ok() } else { None }
}
