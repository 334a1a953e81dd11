//! Where a fuzzer begins: any bytes, into everything that reads some.
//!
//! | function | what the bytes are |
//! |---|---|
//! | `stream` | a stream of one side |
//! | `wire` | one message, read as each of the kinds that there are |
//! | `negotiation` | a request, and a confirmation behind it |
//! | `credssp` | a TSRequest, or a packet between the gate and `sudare-nla` |
//! | `connection` | a script: which side sends which frame, from the settings on |
//! | `session` | a script: both sides, covers, uncovers and pulls, in a session |
//!
//! None of them may panic. `session` itself panics when something is shown under a cover.

#[cfg(test)]
mod seeds;

pub use crate::live::script::session;

use crate::connect::info::Credential;
use crate::connect::negotiate::{Agreed, Negotiate};
use crate::connect::{Connection, Out, info};
use crate::credssp;
use crate::error::Broken;
use crate::frames::Frames;
use crate::limits::READ_MAX_BYTES;
use crate::live::Shown;
use crate::policy::{Policy, Rule, protocol};
use crate::recording::Recording;
use crate::wire::channel::{self, Assembly};
use crate::wire::{Reader, bitmap, dvc, fastpath, gfx, input, mcs, share};

/// Cuts a stream into frames.
pub fn stream(bytes: &[u8]) {
    let mut frames = Frames::default();
    for read in bytes.chunks(READ_MAX_BYTES) {
        if frames.push(read).is_err() {
            return;
        }
        while let Ok(Some(frame)) = frames.take() {
            wire(frame);
        }
    }
}

/// Reads one message as each kind.
pub fn wire(bytes: &[u8]) {
    mcs::read(bytes).ok();
    share::split(bytes).ok();
    fastpath::updates(bytes).ok();
    bitmap::read(bytes).ok();
    Recording::read(bytes).ok();
    input::fast(bytes).ok();
    input::slow(bytes).ok();
    dvc::read(bytes).ok();
    for pdu in gfx::split(bytes).unwrap_or_default() {
        pdu.of_host().ok();
        pdu.of_client().ok();
    }
    info::edit(bytes, None).ok();
    let logon =
        Credential { domain: String::new(), user: "hanako".into(), password: "word".to_owned().into() };
    info::edit(bytes, Some(&logon)).ok();
    let mut assembly = Assembly::default();
    if let Ok(chunk) = channel::read(bytes) {
        assembly.add(&chunk, READ_MAX_BYTES).ok();
    }
}

/// A request of the client, and what the host answers.
pub fn negotiation(bytes: &[u8]) {
    let Some((request, confirm)) = piece(bytes) else { return };
    let policy = Policy { host_protocols: protocol::TLS | protocol::HYBRID, ..Policy::default() };
    if let Ok((asked, _)) = Negotiate::new(policy).request(request) {
        asked.confirm(confirm).ok();
    }
}

/// A TSRequest, a length of one, and the packets that the gate and `sudare-nla` exchange.
///
/// # Panics
/// If a request that was read is another one when it is written and read again.
pub fn credssp(bytes: &[u8]) {
    credssp::request::length(bytes).ok();
    if let Ok(request) = credssp::Request::read(bytes) {
        assert_eq!(credssp::Request::read(&request.write()), Ok(request));
    }
    if let Some((kind, body)) = bytes.split_first() {
        credssp::ToGate::read(*kind, body.to_vec()).ok();
        credssp::ToNla::read(*kind, body.to_vec()).ok();
    }
    if let Some((header, _)) = bytes.split_first_chunk() {
        credssp::packet::body_length(*header).ok();
    }
}

/// Frames of both sides: a byte that says whose (bit 0: the host's; bit 1: cover or uncover before it), a length of
/// two bytes, the frame.
pub fn connection(bytes: &[u8]) {
    follow(bytes).ok();
}

/// A connection with a channel of each rule, and everything opened that can be.
fn begin() -> Connection {
    let channels = [("cliprdr", Rule::Drop), ("rdpdr", Rule::Hold), ("rdpsnd", Rule::Silence)];
    let static_channels = channels.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect();
    let policy = Policy { static_channels, graphics: true, ..Policy::default() };
    Connection::new(Agreed {
        policy,
        requested: protocol::TLS,
        client: protocol::TLS,
        host: protocol::TLS,
        logon: None,
    })
}

/// As far as a script leads.
fn follow(bytes: &[u8]) -> Result<Connection, Broken> {
    let mut relay = begin();
    let mut rest = bytes;
    let mut out = Out::default();
    while let Some((op, behind)) = rest.split_first()
        && let Some((frame, behind)) = piece(behind)
    {
        rest = behind;
        if op & 2 != 0
            && let Connection::Live(live) = &mut relay
        {
            match live.shown() {
                Shown::Covered => live.uncover(0)?,
                Shown::Visible => live.cover(0)?,
            }
        }
        relay =
            if op & 1 == 0 { relay.client(0, frame, &mut out)? } else { relay.host(0, frame, &mut out)? };
        if let Connection::Live(live) = &mut relay {
            while live.next_to_client(0)?.is_some() {}
            while live.next_to_host().is_some() {}
        }
    }
    Ok(relay)
}

/// A length of two bytes, so many bytes or all that there are, and the rest.
pub(crate) fn piece(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::new(bytes);
    let length = usize::from(reader.u16().ok()?);
    let rest = reader.rest();
    Some(rest.split_at_checked(length).unwrap_or((rest, &[])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connect::tests::ends::{Ends, policy};
    use crate::error::Side;

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let op = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(op, data)| {
            let length = u16::try_from(data.len()).unwrap();
            [&[op][..], &length.to_le_bytes(), &data].concat()
        });
        prop::collection::vec(op, 0..30).prop_map(|ops| ops.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_end_quietly(bytes in prop::collection::vec(any::<u8>(), 0..200), script in pieces()) {
            for bytes in [&bytes, &script] {
                stream(bytes);
                wire(bytes);
                negotiation(bytes);
                credssp(bytes);
                connection(bytes);
                session(bytes);
            }
        }
    }

    /// A surface that is made, shown, drawn on and deleted in a session, with everything changed once.
    #[test]
    fn changed_graphics_end_quietly() {
        const HOST: u8 = 2 | (6 << 3);
        const CLIENT: u8 = 3 | (6 << 3);
        const TAKE: u8 = 6 | (31 << 3);
        let pdu = |command: u8, body: &[u8]| {
            [&[command, 0, 0, 0, u8::try_from(body.len() + 8).unwrap(), 0, 0, 0], body].concat()
        };
        let operation = |operation: u8, message: &[u8]| {
            [&[operation][..], &u16::try_from(message.len()).unwrap().to_le_bytes(), message].concat()
        };
        let made = [pdu(0x09, &[1, 0, 8, 0, 6, 0, 0x20]), pdu(0x0F, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])];
        let fill = pdu(0x04, &[1, 0, 7, 7, 7, 7, 1, 0, 0, 0, 0, 0, 8, 0, 6, 0]);
        let drawn = [pdu(0x0B, &[0, 0, 0, 0, 5, 0, 0, 0]), fill, pdu(0x0C, &[5, 0, 0, 0])];
        let acknowledged = pdu(0x0D, &[0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0]);
        let script = [
            operation(HOST, &made.concat()),
            vec![TAKE, 5, TAKE],
            operation(HOST, &drawn.concat()),
            vec![TAKE, 4, TAKE],
            operation(7, &[1]),
            operation(HOST, &[drawn.concat(), pdu(0x0A, &[1, 0])].concat()),
            vec![TAKE],
            operation(CLIENT, &acknowledged),
            vec![5, TAKE, 4, TAKE],
        ];
        let script = script.concat();
        session(&script);
        for at in 0..script.len() {
            for bits in [0x01, 0x08, 0x55, 0xFF] {
                let mut changed = script.clone();
                changed[at] ^= bits;
                session(&changed);
            }
        }
    }

    #[test]
    fn a_real_connection_is_a_script_that_reaches_the_session() {
        let mut ends = Ends::new(policy(), true);
        let relay = ends.run(Connection::new(ends.agreed.clone())).unwrap();
        assert!(matches!(relay, Connection::Live(_)));
        let script: Vec<u8> = ends
            .said
            .iter()
            .flat_map(|(side, frame)| {
                let length = u16::try_from(frame.len()).unwrap();
                [&[u8::from(*side == Side::Host)][..], &length.to_le_bytes(), frame].concat()
            })
            .collect();
        connection(&script);
        for at in 0..script.len() {
            let mut changed = script.clone();
            changed[at] ^= 0x55;
            connection(&changed);
        }
    }
}
