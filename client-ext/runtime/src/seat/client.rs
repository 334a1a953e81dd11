//! The window's end of the seat socket: finds the connections of this user, and talks to one.

use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::platform::{self, SeatStream};
use crate::seat::message::{self, Asked, TOLD_MAX_BYTES, Told, VERSION};
use crate::seat::{ENDING, SeatError, folder};

/// Sockets that are looked at.
const SOCKETS_MAX: usize = 64;
/// A plugin that takes nothing for so long has a problem of its own.
const WRITE_MAX: Duration = Duration::from_secs(2);

/// A socket in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket {
    /// Of the plugin's process.
    pub pid: u32,
    /// Which of its connections.
    pub number: u32,
    pub path: PathBuf,
}

/// The sockets of this user's connections, in a fixed order. Some may be left by processes that died.
pub fn seats(home: &Path) -> Vec<Socket> {
    let folder = folder(home);
    match platform::is_private_folder(&folder) {
        true => sockets(&folder),
        false => Vec::new(),
    }
}

pub(super) fn sockets(folder: &Path) -> Vec<Socket> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut sockets: Vec<Socket> =
        entries.take(SOCKETS_MAX).filter_map(|entry| socket(&entry.ok()?.path())).collect();
    sockets.sort_unstable();
    sockets
}

fn socket(path: &Path) -> Option<Socket> {
    let (pid, number) = path.file_name()?.to_str()?.strip_suffix(ENDING)?.split_once('-')?;
    Some(Socket { pid: pid.parse().ok()?, number: number.parse().ok()?, path: path.to_owned() })
}

/// A conversation with one connection's plugin.
#[derive(Debug)]
pub struct Talk {
    stream: SeatStream,
    path: PathBuf,
}

/// What the plugin tells, line after line.
pub struct Lines {
    lines: BufReader<SeatStream>,
    path: PathBuf,
    greeted: bool,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({})", self.path.display())
    }
}

/// Connects, and says hello.
///
/// # Errors
/// Nobody listens there any more, or it is somebody else.
pub fn connect(path: &Path) -> Result<(Talk, Lines), SeatError> {
    let io = |source| SeatError::Io { path: path.to_owned(), source };
    let stream = SeatStream::connect(path).map_err(io)?;
    if !stream.is_own_user() {
        return Err(SeatError::NotYours { path: path.to_owned() });
    }
    stream.set_write_timeout(WRITE_MAX).map_err(io)?;
    let reading = stream.try_clone().map_err(io)?;
    let talk = Talk { stream, path: path.to_owned() };
    talk.ask(&Asked::Hello { version: VERSION })?;
    Ok((talk, Lines { lines: BufReader::new(reading), path: path.to_owned(), greeted: false }))
}

impl Talk {
    /// # Errors
    /// The plugin is gone, or does not read.
    pub fn ask(&self, asked: &Asked) -> Result<(), SeatError> {
        let line = message::asked_line(asked)?;
        let written = (&self.stream).write_all(&line);
        written.map_err(|source| SeatError::Io { path: self.path.clone(), source })
    }

    /// Lets whoever reads lines end.
    pub fn hang_up(&self) {
        self.stream.shutdown();
    }
}

impl Lines {
    /// Gives up on a plugin that says nothing for so long.
    ///
    /// # Errors
    /// The operating system refused.
    pub fn wait_at_most(&self, at_most: Duration) -> Result<(), SeatError> {
        let set = self.lines.get_ref().set_read_timeout(at_most);
        set.map_err(|source| SeatError::Io { path: self.path.clone(), source })
    }

    /// Waits for the next thing that this version knows.
    ///
    /// # Errors
    /// The plugin is gone, or speaks another version.
    pub fn told(&mut self) -> Result<Told, SeatError> {
        loop {
            let line = message::read_line(&mut self.lines, TOLD_MAX_BYTES)
                .map_err(|source| SeatError::Io { path: self.path.clone(), source })?;
            let told = message::parse_told(&line.ok_or(SeatError::Closed)?)?;
            match told {
                Told::Hello { version } if version == VERSION => self.greeted = true,
                Told::Hello { .. } => return Err(SeatError::Version),
                _ if !self.greeted => return Err(SeatError::Version),
                Told::Unknown => {}
                told => return Ok(told),
            }
        }
    }
}
