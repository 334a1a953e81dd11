//! Looks for connections of this user, and listens to each on a thread of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sudare_client_runtime::seat::client::{self, Lines, Talk};
use sudare_client_runtime::seat::message::{Asked, Told};
use sudare_client_runtime::seat::{SeatError, folder};

use crate::model::{Event, SeatId, Use};
use crate::post::Post;
use crate::said::Said;
use crate::shown::Shown;

/// How often the folder of sockets is looked at: one small system call.
const STEP: Duration = Duration::from_secs(1);

type Talks = Arc<Mutex<BTreeMap<SeatId, Talk>>>;

/// Conversations with all connections.
#[derive(Clone)]
pub(crate) struct Seats {
    talks: Talks,
    post: Post,
}

impl Seats {
    /// # Errors
    /// The operating system refused a thread.
    pub(crate) fn start(home: PathBuf, post: Post) -> std::io::Result<Self> {
        let seats = Seats { talks: Talks::default(), post };
        let theirs = seats.clone();
        thread::Builder::new().name("seats".into()).spawn(move || theirs.find(&home))?;
        Ok(seats)
    }

    /// Small lines, which a plugin always has room for.
    pub(crate) fn ask(&self, id: &SeatId, asked: Asked) {
        if let Some(talk) = lock(&self.talks).get(id)
            && let Err(error) = talk.ask(&asked)
        {
            self.post.send(Event::Failed(Said::english(error.to_string())));
        }
    }

    pub(crate) fn ask_all(&self, asked: Asked) {
        let ids: Vec<SeatId> = lock(&self.talks).keys().cloned().collect();
        ids.iter().for_each(|id| self.ask(id, asked));
    }

    fn find(&self, home: &Path) {
        // What was said about a socket is not said again each second.
        let mut said = BTreeMap::new();
        tracing::debug!(folder = %folder(home).display(), "looking for connections");
        loop {
            for socket in client::seats(home) {
                if lock(&self.talks).contains_key(&socket.path) {
                    continue;
                }
                match client::connect(&socket.path) {
                    Ok((talk, lines)) => self.listen(socket.path, talk, lines),
                    // Left by a process that died.
                    Err(SeatError::Io { .. }) => {}
                    Err(error) => {
                        let text = error.to_string();
                        if said.insert(socket.path, text.clone()).as_ref() != Some(&text) {
                            self.post.send(Event::Failed(Said::english(text)));
                        }
                    }
                }
            }
            thread::sleep(STEP);
        }
    }

    fn listen(&self, id: SeatId, talk: Talk, lines: Lines) {
        lock(&self.talks).insert(id.clone(), talk);
        let (theirs, of) = (self.clone(), id.clone());
        let body = move || {
            let error = theirs.hear(&of, lines);
            tracing::debug!(%error, "a connection is gone");
            lock(&theirs.talks).remove(&of);
            theirs.post.send(Event::SeatGone(of));
        };
        if thread::Builder::new().name("seat".into()).spawn(body).is_err() {
            lock(&self.talks).remove(&id);
        }
    }

    fn hear(&self, id: &SeatId, mut lines: Lines) -> SeatError {
        loop {
            match lines.told() {
                Ok(Told::State(state)) => {
                    self.post.send(Event::Seat(id.clone(), state));
                }
                Ok(Told::Receipt { .. }) => {
                    self.post.send(Event::Receipt);
                }
                Ok(Told::Picture(seen)) => {
                    if let Some(shown) = Shown::of_seat(seen) {
                        self.post.picture(Use::Seat(id.clone()), shown);
                    }
                }
                Ok(Told::Hello { .. } | Told::Unknown) => {}
                Err(error) => return error,
            }
        }
    }
}

/// The map is valid after every statement, so a panicked holder does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
