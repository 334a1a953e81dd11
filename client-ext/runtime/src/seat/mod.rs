//! The seat socket: how the employee's own programs see what the plugin does, and ask it for a cover.
//!
//! ```text
//!  driver ─ Event ───► Seat ─► Hub ─ newest state, receipts ─┐
//!     └─── Picture ──► Pictures ─── newest picture ──────────┴─► Outbox ─► writer ─► socket ─► window, `sudare cover`
//!  Inbox ◄─ cover now ──────────────────────────────────────────────────── reader ◄─┘
//! ```
//! One socket for each connection, `PID-N.sock` in a private folder, for programs of the same user only. Lines of JSON
//! (`message`), bounded both ways. The driver only ever puts something down and goes on: a window that does not read sees
//! the newest later, or is dropped.
//!
//! | module | what |
//! |---|---|
//! | `message` | the lines, both ways. Pure |
//! | `state` | what a window is told of a session, folded from its events. Pure |
//! | `outbox` | what waits for one window: the newest of everything |
//! | `picture` | the newest picture, small, with what the models saw in it |
//! | `server` | threads of the plugin's end |
//! | `client` | the other end: finds seats, and talks to one |

pub mod client;
pub mod message;
mod outbox;
pub mod picture;
mod server;
pub mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sudare_client_core::event::Event;

use crate::inbox::Inbox;
use crate::platform;
pub use crate::seat::outbox::Pictures;
use crate::seat::outbox::{Hub, SharedHub};
use crate::seat::server::Server;

/// Name of the folder in which sockets are.
const FOLDER: &str = "sudare";
/// Ends the name of each socket.
const ENDING: &str = ".sock";

/// Why a seat cannot be reached, or not be offered.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    #[error(
        "the folder {path} for the seat's socket is not private: it must be yours, with mode 0700. Correct it, or set XDG_RUNTIME_DIR to a folder of yours"
    )]
    NotPrivate { path: PathBuf },
    #[error("the seat's socket in {path} cannot be used: {source}. Check the folder, and whether it is full")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the program at the other end of the seat's socket is not yours. Look who wrote to {path}")]
    NotYours { path: PathBuf },
    #[error(
        "the program at the other end does not speak this version. Update both to the same version of Sudare"
    )]
    Version,
    #[error(
        "the program at the other end sent no valid line: {0}. Update both to the same version of Sudare"
    )]
    Line(#[from] message::BadLine),
    #[error("the plugin closed the seat's socket. It ended, or this program did not read fast enough")]
    Closed,
}

/// The folder of sockets: in the user's runtime folder, or in this device's own where there is none.
pub fn folder(home: &Path) -> PathBuf {
    match platform::runtime_folder() {
        Some(runtime) => runtime.join(FOLDER),
        None => home.join("run"),
    }
}

/// The plugin's end, as long as its connection lives.
pub struct Seat {
    hub: SharedHub,
    /// Ends with the seat.
    _server: Server,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat")
    }
}

impl Seat {
    /// Offers this connection's seat. Without one the connection goes on; the log says why.
    pub fn open(home: &Path, camera: &str, inbox: Inbox) -> Option<Self> {
        Self::open_in(&folder(home), camera, inbox)
    }

    /// The same with a socket in this folder.
    pub fn open_in(folder: &Path, camera: &str, inbox: Inbox) -> Option<Self> {
        let hub: SharedHub = Arc::new(Hub::new(camera));
        match Server::start(folder, Arc::clone(&hub), inbox) {
            Ok(server) => Some(Seat { hub, _server: server }),
            Err(error) => {
                tracing::warn!("the window will not see this connection: {error}");
                None
            }
        }
    }

    /// What happened. Never waits.
    pub fn event(&self, event: &Event) {
        self.hub.event(event);
    }

    /// Where the driver puts each picture.
    pub fn pictures(&self) -> Pictures {
        Pictures::new(&self.hub)
    }
}
