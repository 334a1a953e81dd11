//! The connection to the X server.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, Screen, Visualid, Window};
use x11rb::rust_connection::{DefaultStream, RustConnection};

use crate::error::BlankerError;

/// Between the server's bind and its listen nobody answers yet.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const CONNECT_EVERY: Duration = Duration::from_millis(5);

/// Where the display is and how to log on to it.
pub(crate) struct Address {
    pub(crate) number: u32,
    pub(crate) auth_name: String,
    pub(crate) auth_data: Vec<u8>,
    /// The process that must be listening, if the caller knows it.
    pub(crate) server_pid: Option<i32>,
}

/// A connection and what its set-up told.
pub(crate) struct Display {
    pub(crate) x: RustConnection,
    pub(crate) root: Window,
    pub(crate) depth: u8,
    pub(crate) visual: Visualid,
    id_base: u32,
    id_mask: u32,
}

impl Display {
    /// Waits until the server serves its clients, which may be long after its socket appeared.
    pub(crate) fn connect(address: &Address) -> Result<Self, BlankerError> {
        let unreachable = |cause: String| BlankerError::Unreachable { display: address.number, cause };
        let stream = open(address.number).map_err(|error| unreachable(error.to_string()))?;
        if let Some(expected) = address.server_pid {
            let peer = socket_peercred(&stream).map_err(|error| unreachable(error.to_string()))?;
            let found = peer.pid.as_raw_nonzero().get();
            if found != expected {
                return Err(unreachable(format!("process {found} listens, not the X server {expected}")));
            }
        }
        let (stream, _) =
            DefaultStream::from_unix_stream(stream).map_err(|error| unreachable(error.to_string()))?;
        let (name, data) = (address.auth_name.clone().into_bytes(), address.auth_data.clone());
        let x = RustConnection::connect_to_stream_with_auth_info(stream, 0, name, data)
            .map_err(|error| BlankerError::unreachable(address.number, &error))?;
        Self::from_connection(x)
    }

    pub(crate) fn from_connection(x: RustConnection) -> Result<Self, BlankerError> {
        let setup = x.setup();
        let Some(screen) = setup.roots.first() else {
            return Err(BlankerError::Unfit("this X server has no screen".into()));
        };
        let (root, depth, visual) = (screen.root, screen.root_depth, screen.root_visual);
        let (id_base, id_mask) = (setup.resource_id_base, setup.resource_id_mask);
        Ok(Self { x, root, depth, visual, id_base, id_mask })
    }

    pub(crate) fn screen(&self) -> Option<&Screen> {
        self.x.setup().roots.first()
    }

    /// Whether a window was made by this connection.
    pub(crate) fn is_ours(&self, id: u32) -> bool {
        id & !self.id_mask == self.id_base
    }

    /// Whether two windows were made by one connection.
    pub(crate) fn same_client(&self, one: u32, other: u32) -> bool {
        one & !self.id_mask == other & !self.id_mask
    }

    /// The size of the screen as it is now.
    pub(crate) fn size(&self) -> Result<(u16, u16), BlankerError> {
        let root = self.x.get_geometry(self.root)?.reply()?;
        Ok((root.width, root.height))
    }
}

fn open(number: u32) -> std::io::Result<UnixStream> {
    let path = format!("/tmp/.X11-unix/X{number}");
    let since = Instant::now();
    loop {
        match UnixStream::connect(&path) {
            Ok(stream) => return Ok(stream),
            Err(error) if since.elapsed() >= CONNECT_PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(CONNECT_EVERY),
        }
    }
}
