//! Notices RDP clients coming and going, without asking chansrv.
//!
//! A client that takes the session over from another one comes within milliseconds of the other's
//! going: chansrv makes its socket and removes it again. So it is not enough to look whether the
//! socket is there; that it was made says that the client from before has gone.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::{io, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::sockets::Sockets;

/// The folder of a user appears with his first session (xrdp 0.10); the watch is renewed so often.
const RENEW: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// Changes that wait for the guard; more make the detector wait.
const CHANGES_MAX: usize = 8;
const EVENTS_BYTES: usize = 4096;

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
    let (waiting, mut connected) = (sockets.waiting_name(), false);
    while !changes.is_closed() {
        // Adding a folder that is watched already changes nothing.
        for dir in sockets.dirs().filter(|dir| dir.is_dir()) {
            let kinds = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
            inotify::add_watch(inotify, dir, kinds).map_err(io::Error::from)?;
        }
        let was_made = drain(inotify, waiting.as_bytes())?;
        let now = sockets.client_is_connected();
        for told in news(connected, was_made, now) {
            connected = told;
            if changes.blocking_send(told).is_err() {
                return Ok(());
            }
        }
        match poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&RENEW)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
    Ok(())
}

/// What to tell, if a client was connected before, chansrv's socket was or was not made since, and
/// one is or is not connected now.
fn news(before: bool, was_made: bool, now: bool) -> impl Iterator<Item = bool> {
    let left = before && (was_made || !now);
    let came = now && (left || !before);
    left.then_some(false).into_iter().chain(came.then_some(true))
}

/// Whether the socket of that name was made since the last time. What cannot be known counts as yes.
fn drain(inotify: &OwnedFd, name: &[u8]) -> Result<bool, DetectorError> {
    let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    let mut was_made = false;
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(Errno::AGAIN) => return Ok(was_made),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        let made = event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO)
            && event.file_name().is_some_and(|made| made.to_bytes() == name);
        was_made |= made || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(300);

    #[tokio::test]
    async fn connects_and_disconnects_are_told_also_in_a_folder_that_comes_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = start(Sockets::new(dir.path(), 1000, 10)).unwrap();
        let mut next = async || tokio::time::timeout(PATIENCE, told.recv()).await.unwrap();
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

    #[tokio::test]
    async fn a_client_that_takes_over_at_once_is_another_client() {
        let dir = tempfile::tempdir().unwrap();
        let waiting = dir.path().join("xrdp_chansrv_socket_10");
        fs::write(dir.path().join("xrdpapi_10"), "").unwrap();
        let mut told = start(Sockets::new(dir.path(), 1000, 10)).unwrap();
        let mut next = async || tokio::time::timeout(PATIENCE, told.recv()).await.unwrap();
        assert_eq!(next().await, Some(true));
        // Somebody else's comings and goings say nothing.
        fs::write(dir.path().join("xrdp_chansrv_socket_11"), "").unwrap();
        for _ in 0..20 {
            fs::write(&waiting, "").unwrap();
            fs::remove_file(&waiting).unwrap();
            assert_eq!((next().await, next().await), (Some(false), Some(true)));
        }
    }

    #[test]
    fn a_client_is_told_once_and_a_takeover_always() {
        let told = |before, was_made, now| news(before, was_made, now).collect::<Vec<_>>();
        assert!(told(false, false, false).is_empty());
        // chansrv has begun, or the socket was made a moment before this client came.
        assert!(told(false, true, false).is_empty());
        assert_eq!(told(false, true, true), [true]);
        assert!(told(true, false, true).is_empty());
        assert_eq!(told(true, true, true), [false, true]);
        assert_eq!(told(true, true, false), [false]);
        assert_eq!(told(true, false, false), [false]);
    }
}
