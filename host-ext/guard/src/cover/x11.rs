//! The cover of an X11 display: the process that draws it, and the words on it.
//!
//! The blanker is a program of its own, so that a fault in the guard cannot take the cover away.
//! It is given ready-made pixels; fonts and words stay on this side.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{io, thread};

use sudare_blanker::wire::{self, Rect, Reply, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::fonts::Fonts;
use crate::screen::CoverText;

/// Replies that wait for the guard; pictures are among them, so few.
const REPLIES_MAX: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum BlankerError {
    #[error(
        "{path} cannot be started: {source}. Install sudare-blanker there, or correct the setting `blanker`"
    )]
    Start { path: PathBuf, source: io::Error },
    #[error("no connection to the blanker: {0}. The system is out of file descriptors")]
    Socket(#[from] io::Error),
}

/// What lets a program draw on the display.
#[derive(Clone)]
pub struct Cookie {
    /// The X server's name of the way to log on, such as MIT-MAGIC-COOKIE-1.
    pub name: String,
    pub data: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cookie({})", self.name)
    }
}

/// A running blanker. Dropping it leaves the process running, and covering.
#[derive(Debug)]
pub struct Blanker {
    child: Child,
    requests: mpsc::UnboundedSender<Vec<u8>>,
    replies: mpsc::Receiver<Reply>,
}

impl Blanker {
    /// Starts it; the cover comes first, without being asked.
    pub fn start(
        program: &Path,
        display: u32,
        server_pid: i32,
        cookie: &Cookie,
    ) -> Result<Self, BlankerError> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(program)
            .args(["--server-pid", &server_pid.to_string()])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| BlankerError::Start { path: program.to_owned(), source })?;
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        let (requests, requests_out) = mpsc::unbounded_channel();
        let (replies_in, replies) = mpsc::channel(REPLIES_MAX);
        tokio::spawn(read(reader, replies_in));
        tokio::spawn(write(writer, requests_out));
        let blanker = Blanker { child, requests, replies };
        let (auth_name, auth_data) = (cookie.name.clone(), cookie.data.to_vec());
        blanker.send(Request::Display { number: display, auth_name, auth_data }.to_bytes());
        Ok(blanker)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next reply; `None` when the process ended.
    pub async fn next(&mut self) -> Option<Reply> {
        self.replies.recv().await
    }

    /// Sends a request. Few are under way at a time: each is caused by a change of the session.
    pub fn send(&self, message: Vec<u8>) {
        // An error means that it ended; its end is told by `next`.
        self.requests.send(message).ok();
    }

    /// Lets the process end by itself, as it does when its display is somebody else's to cover.
    pub fn leave(mut self) {
        let reap = move || self.child.wait().map(|_| ());
        if let Err(error) = thread::Builder::new().name("reaper".into()).spawn(reap) {
            tracing::warn!(%error, "an old blanker cannot be waited for");
        }
    }

    /// Ends the process at once. Its windows stay.
    pub fn kill(mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!(%error, "an old blanker could not be ended");
        }
    }
}

async fn read(mut reader: OwnedReadHalf, replies: mpsc::Sender<Reply>) {
    loop {
        let reply = match read_one(&mut reader).await {
            Ok(reply) => reply,
            Err(error) => return tracing::warn!(%error, "the blanker ended"),
        };
        if replies.send(reply).await.is_err() {
            return;
        }
    }
}

async fn read_one(reader: &mut OwnedReadHalf) -> Result<Reply, wire::WireError> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).await?;
    let mut body = vec![0; wire::checked_length(length)?];
    reader.read_exact(&mut body).await?;
    Reply::from_body(&body)
}

async fn write(mut writer: OwnedWriteHalf, mut requests: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(message) = requests.recv().await {
        if writer.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// Draws words on a thread of its own: it takes some tens of milliseconds.
#[derive(Debug)]
pub struct Painter {
    work: std::sync::mpsc::Sender<(u32, Vec<Rect>, CoverText)>,
    done: mpsc::Receiver<Vec<Vec<u8>>>,
}

impl Painter {
    /// `fonts` is called on the new thread.
    pub fn start(fonts: impl FnOnce() -> Fonts + Send + 'static) -> Self {
        let (work, jobs) = std::sync::mpsc::channel::<(u32, Vec<Rect>, CoverText)>();
        let (done_in, done) = mpsc::channel(4);
        let draw = move || {
            let fonts = fonts();
            while let Ok(mut job) = jobs.recv() {
                // Only the newest words matter.
                while let Ok(newer) = jobs.try_recv() {
                    job = newer;
                }
                let (layout, monitors, text) = job;
                let paints = monitors.iter().map(|monitor| paint(&fonts, layout, *monitor, &text)).collect();
                if done_in.blocking_send(paints).is_err() {
                    return;
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("words".into()).spawn(draw) {
            // A cover without words is still a cover.
            tracing::error!(%error, "no thread to draw words; covers are black");
        }
        Painter { work, done }
    }

    pub fn draw(&self, layout: u32, monitors: Vec<Rect>, text: CoverText) {
        // An error means that there is no thread, which was told.
        self.work.send((layout, monitors, text)).ok();
    }

    /// The next requests to paint, one a monitor.
    pub async fn painted(&mut self) -> Vec<Vec<u8>> {
        match self.done.recv().await {
            Some(paints) => paints,
            None => std::future::pending().await,
        }
    }
}

/// The panel of one monitor with its words.
fn paint(fonts: &Fonts, layout: u32, monitor: Rect, text: &CoverText) -> Vec<u8> {
    let picture = super::draw(fonts, text, monitor.width, monitor.height);
    let panel = super::panel(monitor.width, monitor.height);
    let stride = usize::from(picture.width) * 4;
    let (left, width) = (usize::from(panel.x) * 4, usize::from(panel.width) * 4);
    let rows =
        picture.bgra.chunks_exact(stride.max(4)).skip(usize::from(panel.y)).take(usize::from(panel.height));
    let bgra = rows.filter_map(|row| row.get(left..left + width)).flatten().copied().collect();
    let place = Rect {
        x: monitor.x.saturating_add(panel.x),
        y: monitor.y.saturating_add(panel.y),
        width: panel.width,
        height: panel.height,
    };
    Request::Paint { layout, place, bgra }.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_monitor_gets_its_own_panel() {
        let mut painter = Painter::start(Fonts::load);
        let left = Rect { x: 0, y: 0, width: 640, height: 480 };
        let right = Rect { x: 640, y: 100, width: 320, height: 200 };
        painter.draw(7, vec![left, right], CoverText { lines: vec!["covered".into()] });
        let paints = painter.painted().await;
        let places: Vec<_> = paints
            .iter()
            .map(|paint| match Request::from_body(&paint[4..]).unwrap() {
                Request::Paint { layout: 7, place, .. } => place,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(places[0], Rect { x: 96, y: 120, width: 448, height: 240 });
        assert_eq!(places[1], Rect { x: 640 + 48, y: 150, width: 224, height: 100 });
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let cookie = Cookie { name: String::new(), data: Zeroizing::new(vec![]) };
        let error = Blanker::start(Path::new("/nowhere/blanker"), 1, 1, &cookie).unwrap_err().to_string();
        assert!(error.contains("/nowhere/blanker") && error.contains("`blanker`"), "{error}");
    }
}
