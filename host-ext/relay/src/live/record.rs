//! What a screenshot needs: the host is asked to draw everything again, and what it draws is copied on its way.
//!
//! ```text
//!  record(ticket) ─► Refresh Rect ─► host
//!  host ─► updates ─┬─► client (visible), or held (covered), as without a screenshot
//!                   └─► copied, until every pixel has been drawn once ─► Recorded
//! ```
//! **Which moment it shows.** At a suspicion the desktop stays visible, and each pixel of the picture is what the client
//! was sent for it from then on, the first time at the latest when all of it has been drawn again. At a cover the
//! picture is of the same kind, but the client gets it only after the uncover: it is the desktop as the host has it
//! when it hears of the cover, with what was on its way to the client before. So what changes within the time that one
//! drawing of the screen takes (70 ms for xrdp) may show as it is a moment later, and nothing of the cover is in it.
//!
//! A cover does not wait: black goes first, and what is copied is what is held anyhow. Only the wish that the host draw
//! nothing waits until the screen is complete or the time is over, because a host that draws nothing repaints nothing.

use sudare_protocol::evidence::note::Missing;

use super::activation::Activation;
use super::paint::Size;
use super::unit::Shown;
use super::{Event, Live};
use crate::error::{Broken, Fault, Side, Stage};
use crate::frames::{self, Kind as Frame};
use crate::limits::{
    RECORDING_GAPS_MAX, RECORDING_HELD_MAX_BYTES, RECORDING_MAX_BYTES, RECORDING_WAIT_MS, RECORDINGS_MAX,
};
use crate::recording::{Kind, Recording};
use crate::wire::Reader;
use crate::wire::bitmap::{self, kind};
use crate::wire::fastpath::{self, Fragment};
use crate::wire::mcs::{self, Domain};
use crate::wire::share::{self, data};

/// One screenshot on its way.
#[derive(Debug)]
pub(super) struct Recorder {
    ticket: u64,
    due_ms: u64,
    /// What has not been drawn since it was asked for.
    gaps: Gaps,
    recording: Recording,
    has_palette: bool,
}

impl Recorder {
    fn new(ticket: u64, size: Size, now_ms: u64) -> Self {
        Self {
            ticket,
            due_ms: now_ms.saturating_add(RECORDING_WAIT_MS),
            gaps: Gaps::all(size),
            recording: Recording::new(size),
            has_palette: false,
        }
    }

    fn add(&mut self, updates: &[Update]) -> Result<(), Missing> {
        for update in updates {
            match update.kind {
                Some(Kind::Bitmaps) => {
                    for bitmap in bitmap::read(&update.bytes).map_err(|_| Missing::Undecodable)? {
                        match bitmap.bits {
                            15 | 16 | 24 | 32 => {}
                            8 if self.has_palette => {}
                            _ => return Err(Missing::Codec),
                        }
                        self.gaps.fill(bitmap.corners)?;
                    }
                    self.recording.push(Kind::Bitmaps, update.bytes.clone())?;
                }
                Some(Kind::Palette) => {
                    self.has_palette = true;
                    self.recording.push(Kind::Palette, update.bytes.clone())?;
                }
                None => return Err(Missing::Codec),
            }
        }
        Ok(())
    }
}

/// An update that draws; without a kind, in a way that nothing here decodes.
#[derive(Debug)]
struct Update {
    kind: Option<Kind>,
    bytes: Vec<u8>,
}

impl Live {
    /// Takes a screenshot of what is visible, answered by [`Event::Recorded`] with this ticket. Ask before the cover
    /// of which it shows the moment.
    ///
    /// # Errors
    /// If what must be written cannot be; the connection must end.
    pub fn record(&mut self, ticket: u64, now_ms: u64) -> Result<(), Broken> {
        let shown =
            self.shown == Shown::Visible && self.activation == Activation::Active && self.client_looks;
        let draws = self.graphics.as_ref().is_some_and(super::Graphics::shows);
        let missing = match self.size {
            Some(size)
                if shown && !draws && self.recorders.len() < RECORDINGS_MAX && Recording::takes(size) =>
            {
                self.recorders.push(Recorder::new(ticket, size, now_ms));
                return self.refresh().map_err(|fault| fault.of(Side::Host, Stage::Session));
            }
            Some(_) if shown && draws => Missing::Codec,
            Some(_) if shown => Missing::TooMuch,
            _ => Missing::Interrupted,
        };
        self.events.push(Event::Recorded { ticket, recording: Err(missing) });
        Ok(())
    }

    /// A message that draws is on its way to the client, or is about to be held.
    pub(super) fn recorded(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.recorders.is_empty() {
            return Ok(());
        }
        let updates = updates(bytes);
        let mut kept: usize = self.recorders.iter().map(|recorder| recorder.recording.bytes()).sum();
        let covered = self.shown == Shown::Covered;
        let holds_much = covered && self.held.bytes() > RECORDING_HELD_MAX_BYTES;
        let mut running = Vec::new();
        for mut recorder in std::mem::take(&mut self.recorders) {
            let before = recorder.recording.bytes();
            let added = match &updates {
                _ if holds_much => Err(Missing::TooMuch),
                Ok(updates) => recorder.add(updates),
                Err(_) => Err(Missing::Undecodable),
            };
            kept = kept.saturating_add(recorder.recording.bytes().saturating_sub(before));
            let ended = match added {
                Ok(()) if recorder.gaps.is_empty() => Ok(recorder.recording),
                Ok(()) if kept <= RECORDING_MAX_BYTES => {
                    running.push(recorder);
                    continue;
                }
                Ok(()) => Err(Missing::TooMuch),
                Err(missing) => Err(missing),
            };
            self.events.push(Event::Recorded { ticket: recorder.ticket, recording: ended });
        }
        self.recorders = running;
        self.suppress_if_due()
    }

    /// Those whose time is over.
    pub(super) fn recording_tick(&mut self, now_ms: u64) -> Result<(), Fault> {
        let (running, late) =
            std::mem::take(&mut self.recorders).into_iter().partition(|recorder| now_ms < recorder.due_ms);
        self.recorders = running;
        self.missed(late, Missing::Incomplete);
        self.suppress_if_due()
    }

    /// The screen is about to be another one.
    pub(super) fn recording_interrupted(&mut self) {
        let all = std::mem::take(&mut self.recorders);
        self.missed(all, Missing::Interrupted);
    }

    fn missed(&mut self, recorders: Vec<Recorder>, why: Missing) {
        let missed = recorders.into_iter().map(|recorder| recorder.ticket);
        self.events.extend(missed.map(|ticket| Event::Recorded { ticket, recording: Err(why) }));
    }

    /// Tells the host to draw nothing, unless it is drawing for a screenshot.
    pub(super) fn suppress_if_due(&mut self) -> Result<(), Fault> {
        let covered = self.shown == Shown::Covered && self.activation == Activation::Active;
        if covered && !self.suppressed && self.recorders.is_empty() { self.suppress() } else { Ok(()) }
    }
}

/// The updates in whole frames of the host.
fn updates(mut bytes: &[u8]) -> Result<Vec<Update>, Fault> {
    let mut found = Vec::new();
    // Fast-path updates may be spread over frames.
    let mut whole = Vec::new();
    while !bytes.is_empty() {
        let length = frames::length(bytes)?.ok_or(Fault::Short)?;
        let (frame, behind) = bytes.split_at_checked(length).ok_or(Fault::Short)?;
        bytes = behind;
        if frames::kind(*frame.first().ok_or(Fault::Short)?)? == Frame::FastPath {
            for update in fastpath::updates(frame)? {
                whole.extend_from_slice(update.data);
                if matches!(update.fragment, Fragment::Single | Fragment::Last) {
                    found.extend(fast(update.code, std::mem::take(&mut whole)));
                }
            }
            continue;
        }
        let Domain::Send(send) = mcs::read(frame)? else { continue };
        for control in share::split(send.data)? {
            if control.data.is_some_and(|of| of.kind == data::UPDATE) {
                let kind = match Reader::new(control.body).u16()? {
                    kind::SYNCHRONIZE => continue,
                    kind::BITMAP => Some(Kind::Bitmaps),
                    kind::PALETTE => Some(Kind::Palette),
                    _ => None,
                };
                found.push(Update { kind, bytes: control.body.to_vec() });
            }
        }
    }
    Ok(found)
}

fn fast(code: u8, bytes: Vec<u8>) -> Option<Update> {
    let kind = match code {
        fastpath::BITMAP => Some(Kind::Bitmaps),
        fastpath::PALETTE => Some(Kind::Palette),
        fastpath::ORDERS | fastpath::SURFACE => None,
        // Pointers are not part of the picture, as in screenshots elsewhere.
        _ => return None,
    };
    Some(Update { kind, bytes })
}

/// Rectangles of the screen that are still missing, each from a left and a top to a right and a bottom outside of it.
#[derive(Debug, PartialEq, Eq)]
struct Gaps(Vec<[u32; 4]>);

impl Gaps {
    fn all(size: Size) -> Self {
        Self(vec![[0, 0, size.width.into(), size.height.into()]])
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This part has been drawn; all four corners are inside.
    fn fill(&mut self, [left, top, right, bottom]: [u16; 4]) -> Result<(), Missing> {
        let drawn = [left.into(), top.into(), u32::from(right) + 1, u32::from(bottom) + 1];
        self.0 = std::mem::take(&mut self.0).into_iter().flat_map(|gap| without(gap, drawn)).collect();
        if self.0.len() > RECORDING_GAPS_MAX { Err(Missing::TooMuch) } else { Ok(()) }
    }
}

/// What is left of a rectangle: above, below, to the left and to the right of another.
fn without(gap: [u32; 4], drawn: [u32; 4]) -> impl Iterator<Item = [u32; 4]> {
    let [left, top, right, bottom] = gap;
    let (first, last) = (drawn[0].clamp(left, right), drawn[2].clamp(left, right));
    let (upper, lower) = (drawn[1].clamp(top, bottom), drawn[3].clamp(top, bottom));
    let parts = if first < last && upper < lower {
        [
            [left, top, right, upper],
            [left, lower, right, bottom],
            [left, upper, first, lower],
            [last, upper, right, lower],
        ]
    } else {
        [gap, [0; 4], [0; 4], [0; 4]]
    };
    parts.into_iter().filter(|[left, top, right, bottom]| left < right && top < bottom)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gaps_are_exactly_what_has_not_been_drawn(
            drawn in prop::collection::vec((0_u16..12, 0_u16..12, 0_u16..12, 0_u16..12), 0..12),
        ) {
            let mut gaps = Gaps::all(Size { width: 9, height: 7 });
            for (left, top, right, bottom) in &drawn {
                gaps.fill([*left, *top, *right, *bottom]).unwrap();
            }
            for (x, y) in (0_u16..9).flat_map(|x| (0_u16..7).map(move |y| (x, y))) {
                let is_drawn = drawn.iter().any(|(left, top, right, bottom)| {
                    (left..=right).contains(&&x) && (top..=bottom).contains(&&y)
                });
                let (x, y) = (u32::from(x), u32::from(y));
                let inside = |gap: &&[u32; 4]| gap[0] <= x && x < gap[2] && gap[1] <= y && y < gap[3];
                prop_assert_eq!(gaps.0.iter().filter(inside).count(), usize::from(!is_drawn), "{}, {}", x, y);
            }
        }
    }
}
