//! Notices RDP clients coming and going, without asking chansrv.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::sockets::Sockets;

/// The folder of a user appears with his first session (xrdp 0.10); the watch is renewed so often.
const RENEW: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// Changes that wait for the guard; more make the detector wait.
const CHANGES_MAX: usize = 8;

#[derive(Debug, thiserror::Error)]
#[error(
    "changes of xrdp's socket folder cannot be watched: {0}. Raise fs.inotify.max_user_instances, or end programs that use many"
)]
pub struct DetectorError(#[from] io::Error);

/// Tells each change of "a client is connected", on a thread of its own. The channel ends when
/// it cannot tell any more.
pub(super) fn start(sockets: Sockets) -> Result<mpsc::Receiver<bool>, DetectorError> {
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io::Error::from)?;
    let (changes_in, changes) = mpsc::channel(CHANGES_MAX);
    let watch = move || {
        if let Err(error) = watch(&sockets, &inotify, &changes_in) {
            tracing::error!(%error, "nobody knows any more whether a client is connected");
        }
    };
    thread::Builder::new().name("detector".into()).spawn(watch)?;
    Ok(changes)
}

fn watch(sockets: &Sockets, inotify: &OwnedFd, changes: &mpsc::Sender<bool>) -> Result<(), DetectorError> {
    let mut connected = false;
    while !changes.is_closed() {
        // Adding a folder that is watched already changes nothing.
        for dir in sockets.dirs().filter(|dir| dir.is_dir()) {
            let kinds = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
            inotify::add_watch(inotify, dir, kinds).map_err(io::Error::from)?;
        }
        let now = sockets.client_is_connected();
        if now != connected {
            connected = now;
            if changes.blocking_send(now).is_err() {
                break;
            }
        }
        match poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&RENEW)) {
            Ok(_) | Err(Errno::INTR) => drain(inotify)?,
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
    Ok(())
}

/// What changed is looked up; that something changed is enough.
fn drain(inotify: &OwnedFd) -> Result<(), DetectorError> {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(inotify, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    #[tokio::test]
    async fn connects_and_disconnects_are_told_also_in_a_folder_that_comes_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = start(Sockets::new(dir.path(), 1000, 10)).unwrap();
        let mut next = async || tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let place = dir.path().join("1000");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("xrdp_chansrv_socket_10"), "").unwrap();
        fs::write(place.join("xrdpapi_10"), "").unwrap();
        fs::remove_file(place.join("xrdp_chansrv_socket_10")).unwrap();
        assert_eq!(next().await, Some(true));
        fs::write(place.join("xrdp_chansrv_socket_10"), "").unwrap();
        assert_eq!(next().await, Some(false));
    }
}
