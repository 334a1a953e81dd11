//! The graphics pipeline ([MS-RDPEGFX]): what it shows, followed; what it shows under a cover, held.
//!
//! ```text
//!  pieces ─► message ─► ZGFX ─► PDUs ─► judged when taken ─► one message of one or more PDUs, not compressed
//!                                        └─ covered: held, but for what only makes or places surfaces
//! ```
//! A client shows its surfaces where they are mapped, and there is no order among them, nor a way to take one away
//! that stays. So a cover takes the pictures out: each mapped surface is copied to one of ours that is not mapped,
//! and filled with black. The uncover copies back. No codec notices, because what codecs remember is not in surfaces,
//! and the picture is there again without any help of the host.
//!
//! | module | what |
//! |---|---|
//! | `zgfx` | the host's compression, which ends here |
//! | `surfaces` | which there are, and which are shown |
//! | `frames` | the host's frames and ours, and whose an acknowledgement is |
//! | `cover` | black and back again |
//! | `paint` | words and light on the black |
//! | `relay` | both directions, in the session |

mod cover;
mod frames;
mod paint;
mod relay;
mod surfaces;
mod zgfx;

use super::paint::{Size, Tile};
use crate::error::Fault;
use crate::wire::dvc::Pieces;
use crate::wire::gfx::{self, Command, Pdu, Place};
use frames::Frames;
use surfaces::Surfaces;
use zgfx::Zgfx;

/// The channel of the graphics pipeline, as the client knows it: only what was taken counts.
#[derive(Debug)]
pub(super) struct Graphics {
    /// The dynamic channel's number.
    id: u32,
    from_host: Pieces,
    from_client: Pieces,
    zgfx: Zgfx,
    surfaces: Surfaces,
    frames: Frames,
    /// Whether the client has said what it can do.
    advertised: bool,
    /// It has begun anew, and takes nothing before the host has answered ([MS-RDPEGFX] 3.3.5.19).
    resetting: bool,
    /// The client must be sent black before anything else.
    due: bool,
    /// The client must be sent its surfaces again before anything else.
    restores: bool,
    tiles: std::collections::VecDeque<Tile>,
}

/// A host's PDU that may pass, with what is ours around it.
#[derive(Debug, Default)]
struct Around {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Graphics {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            from_host: Pieces::default(),
            from_client: Pieces::default(),
            zgfx: Zgfx::default(),
            surfaces: Surfaces::default(),
            frames: Frames::default(),
            advertised: false,
            resetting: false,
            due: false,
            restores: false,
            tiles: std::collections::VecDeque::new(),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Whether anything is shown by surfaces.
    pub(super) fn shows(&self) -> bool {
        self.surfaces.shown().next().is_some()
    }

    /// Whether nothing else is to be seen beside one of the surfaces.
    pub(super) fn fills(&self, size: Size) -> bool {
        self.surfaces.shown().any(|(_, surface)| match surface.place {
            Some(Place::Output { x: 0, y: 0, scaled }) => {
                let own = (u32::from(surface.width), u32::from(surface.height));
                let (width, height) = scaled.unwrap_or(own);
                width >= size.width.into() && height >= size.height.into()
            }
            _ => false,
        })
    }

    /// Follows a PDU that the client gets now.
    fn follow(&mut self, pdu: &Pdu<'_>) -> Result<Around, Fault> {
        let mut around = Around::default();
        match pdu.of_host()? {
            Command::Create { surface, width, height, format } => {
                self.surfaces.create(surface, (width, height), format)?;
            }
            Command::Delete { surface } => {
                if let Some(kept) = self.surfaces.delete(surface) {
                    gfx::write_delete(&mut around.behind, kept)?;
                }
            }
            Command::Map { surface, place } => self.surfaces.map(surface, place),
            Command::Draw { surface } => self.surfaces.drawn(surface),
            Command::Start { time, frame } => self.frames.start(time, frame),
            Command::End { frame } => self.frames.end(frame),
            Command::Reset { .. } => {
                // Some clients keep their surfaces, some paint them white, some have none any more. Ours would
                // be in the way of whatever the host makes next, so they go while they surely exist.
                for kept in self.surfaces.reset() {
                    gfx::write_delete(&mut around.before, kept)?;
                }
            }
            Command::CapsConfirm | Command::CacheImportReply | Command::Other => {}
        }
        Ok(around)
    }

    /// The client begins anew: it has no surfaces and no frames any more.
    fn reset(&mut self) {
        self.surfaces = Surfaces::default();
        self.frames = Frames::default();
        self.tiles.clear();
        self.resetting = true;
        self.due = false;
        self.restores = false;
    }
}
