//! How programs get to a display.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use x11rb::connection::Connection as _;
use x11rb::protocol::randr::{ConnectionExt as _, Rotation};
use x11rb::rust_connection::RustConnection;

const COOKIE_NAME: &str = "MIT-MAGIC-COOKIE-1";

/// How a program gets to a display.
#[derive(Debug, Clone)]
pub struct Access {
    pub number: u32,
    pub xauthority: PathBuf,
    pub cookie: Vec<u8>,
}

impl Access {
    /// What a client's environment must hold.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        [("DISPLAY", format!(":{}", self.number).into()), ("XAUTHORITY", self.xauthority.clone().into())]
    }

    /// A client of the test itself. It logs on by hand: the environment belongs to all tests.
    pub fn connect(&self) -> anyhow::Result<RustConnection> {
        let socket = std::os::unix::net::UnixStream::connect(format!("/tmp/.X11-unix/X{}", self.number))?;
        let (stream, _) = x11rb::rust_connection::DefaultStream::from_unix_stream(socket)?;
        let (name, data) = (COOKIE_NAME.as_bytes().to_vec(), self.cookie.clone());
        Ok(RustConnection::connect_to_stream_with_auth_info(stream, 0, name, data)?)
    }

    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.envs(self.environment()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// A child process that ends with this value.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Gives the screen another size. Its monitors are switched off: they would have to fit into it.
pub fn resize(x: &RustConnection, width: u16, height: u16) -> anyhow::Result<()> {
    let root = x.setup().roots.first().context("no screen")?.root;
    let resources = x.randr_get_screen_resources_current(root)?.reply()?;
    for crtc in resources.crtcs {
        let (time, upright) = (x11rb::CURRENT_TIME, Rotation::ROTATE0);
        let off = x.randr_set_crtc_config(crtc, time, resources.config_timestamp, 0, 0, 0, upright, &[])?;
        off.reply()?;
    }
    Ok(x.randr_set_screen_size(root, width, height, 500, 300)?.check()?)
}
