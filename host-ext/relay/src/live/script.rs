//! A session driven by bytes, for fuzzing ([`entry`](crate::entry)).

use ironrdp_graphics::zgfx::{Decompressor, wrap_uncompressed};

use super::activation::Activation;
use super::paint::Size;
use super::unit::Shown;
use super::{Live, Tile};
use crate::connect::info::Logon;
use crate::connect::{Channels, StaticChannel};
use crate::entry::piece;
use crate::error::{Broken, Side};
use crate::frames::{self, Kind};
use crate::limits::GRAPHICS_MESSAGE_MAX_BYTES;
use crate::policy::{GRAPHICS, Policy, Rule};
use crate::wire::channel::{self, Assembly};
use crate::wire::dvc::{self, Pieces};
use crate::wire::gfx::{self, Command};
use crate::wire::mcs::{self, Domain};
use crate::wire::share::{self, data};

const IO: u16 = 1003;
const USER: u16 = 1007;
const MESSAGE: u16 = 1008;
const DRDYNVC: u16 = 1010;
/// The dynamic channel of the graphics pipeline.
const GRAPHICS_ID: u32 = 3;
/// Among the channels of an operation: behind those that have a number.
const GRAPHICS_AT: usize = 6;

/// A session that the host may draw in both ways, with a channel of each rule.
fn begin() -> Live {
    let rules =
        [("drdynvc", Rule::Pass), ("drop", Rule::Drop), ("hold", Rule::Hold), ("closed", Rule::Closed)];
    let channel = |(id, (name, rule)): (u16, (&str, Rule))| StaticChannel { id, name: name.to_owned(), rule };
    let statics = (DRDYNVC..).zip(rules).map(channel).collect();
    let channels = Channels { io: IO, message: Some(MESSAGE), user: USER, statics };
    let logon = Logon { domain: String::new(), user: String::new(), autologon: false };
    let dynamic_channels = rules.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect();
    let policy = Policy { dynamic_channels, graphics: true, ..Policy::default() };
    let mut live = Live::new(policy, channels, logon);
    live.activation = Activation::Active;
    live.size = Some(Size { width: 64, height: 48 });
    live.dynamic_begins(0);
    live.host_dynamic(&dvc::write_create(GRAPHICS_ID, GRAPHICS)).ok();
    live
}

/// Runs a script: an operation of one byte; for a message, its length in two bytes and the message.
pub fn session(bytes: &[u8]) {
    play(bytes).ok();
}

/// As far as a script leads.
pub(crate) fn play(bytes: &[u8]) -> Result<(), Broken> {
    let mut live = begin();
    let mut rest = bytes;
    let mut now_ms = 0_u64;
    while let Some((op, behind)) = rest.split_first() {
        rest = behind;
        now_ms = now_ms.saturating_add(100);
        run(&mut live, now_ms, *op, &mut rest)?;
    }
    Ok(())
}

fn run(live: &mut Live, now_ms: u64, op: u8, rest: &mut &[u8]) -> Result<(), Broken> {
    let mut message = || {
        let (message, behind) = piece(rest).unwrap_or_default();
        *rest = behind;
        message
    };
    match op & 7 {
        0 => live.from_host(now_ms, message())?,
        1 => live.from_client(now_ms, message())?,
        // The same without having to guess a frame: the channel is in the operation.
        2 | 3 => {
            let side = if op & 1 == 0 { Side::Host } else { Side::Client };
            let channels = [IO, MESSAGE, DRDYNVC, 1011, 1012, 1013];
            let at = usize::from(op >> 3);
            let frames = match channels.get(at) {
                None if at == GRAPHICS_AT => graphics(side, message()),
                channel => {
                    let channel = channel.copied().unwrap_or(IO);
                    mcs::send_data(side, USER, channel, message()).into_iter().collect()
                }
            };
            for frame in frames {
                match side {
                    Side::Host => live.from_host(now_ms, &frame)?,
                    Side::Client => live.from_client(now_ms, &frame)?,
                }
            }
        }
        4 => {
            // With the screenshot that a cover often asks for.
            if op & 8 != 0 {
                live.record(now_ms, now_ms)?;
            }
            live.cover(now_ms)?;
        }
        5 => live.uncover(now_ms)?,
        6 => {
            for _ in 0..=(op >> 3) {
                pull(live, now_ms)?;
            }
        }
        _ => {
            live.tick(now_ms)?;
            live.send(message());
            live.paint(Tile::flat(0, 0, Size { width: 8, height: 8 }, 1).as_slice());
            while live.next_to_host().is_some() {}
            live.events().for_each(drop);
        }
    }
    Ok(())
}

/// Frames with PDUs of the graphics pipeline.
fn graphics(side: Side, pdus: &[u8]) -> Vec<Vec<u8>> {
    let message = match side {
        Side::Host => wrap_uncompressed(pdus),
        Side::Client => pdus.to_vec(),
    };
    let pdus = dvc::write_data(GRAPHICS_ID, &message).unwrap_or_default();
    let frames = pdus.iter().filter_map(|pdu| channel::write(side, USER, DRDYNVC, pdu).ok());
    frames.collect()
}

fn pull(live: &mut Live, now_ms: u64) -> Result<(), Broken> {
    if let Some(unit) = live.next_to_client(now_ms)? {
        let covered = live.shown() == Shown::Covered;
        assert!(!covered || unit.injected || !shows(&unit.bytes), "something is shown under a cover");
        unit.mark.into_iter().for_each(|mark| live.written(mark));
    }
    Ok(())
}

/// Whether a picture, a pointer or a sound is in these frames.
fn shows(bytes: &[u8]) -> bool {
    let (mut chunks, mut pieces) = (Assembly::default(), Pieces::default());
    let mut rest = bytes;
    while let Ok(Some(length)) = frames::length(rest)
        && let Some((frame, behind)) = rest.split_at_checked(length)
    {
        rest = behind;
        if frame.first().is_some_and(|first| frames::kind(*first) == Ok(Kind::FastPath)) {
            return true;
        }
        let Ok(Domain::Send(send)) = mcs::read(frame) else { continue };
        if send.channel == DRDYNVC {
            let chunk = channel::read(send.data);
            let pdu = chunk.and_then(|chunk| chunks.add(&chunk, GRAPHICS_MESSAGE_MAX_BYTES));
            if draws(&pdu.ok().flatten().unwrap_or_default(), &mut pieces) {
                return true;
            }
            continue;
        }
        let Ok(controls) = share::split(send.data) else { continue };
        let kinds = controls.iter().filter_map(|control| control.data).map(|of| of.kind);
        if send.channel == IO && kinds.into_iter().any(is_shown) {
            return true;
        }
    }
    false
}

/// Whether this PDU of drdynvc ends a message that draws on a surface.
fn draws(pdu: &[u8], pieces: &mut Pieces) -> bool {
    let message = match dvc::read(pdu) {
        Ok(dvc::Pdu::Data { id: GRAPHICS_ID, data }) => pieces.add(None, data, GRAPHICS_MESSAGE_MAX_BYTES),
        Ok(dvc::Pdu::DataFirst { id: GRAPHICS_ID, total, data }) => {
            pieces.add(Some(total), data, GRAPHICS_MESSAGE_MAX_BYTES)
        }
        _ => return false,
    };
    let mut plain = Vec::new();
    let message = message.ok().flatten().unwrap_or_default();
    Decompressor::new().decompress(&message, &mut plain).ok();
    let pdus = gfx::split(&plain).unwrap_or_default();
    pdus.iter().any(|pdu| matches!(pdu.of_host(), Ok(Command::Draw { .. } | Command::Other)))
}

fn is_shown(kind: u8) -> bool {
    matches!(kind, data::UPDATE | data::POINTER | data::PLAY_SOUND)
}
