//! What comes to the thread that decides, from all the others.

use std::sync::mpsc::SyncSender;

use rustix::process::Pid;

use crate::line::Line;
use crate::sockets::SocketError;
use crate::target::{PrepareError, Target};

/// A message of another thread.
#[derive(Debug)]
pub(crate) enum Inbox {
    Sockets(Vec<u32>),
    Broken(SocketError),
    Prepared {
        number: u32,
        server: Pid,
        target: Box<Result<Target, PrepareError>>,
    },
    Guard {
        number: u32,
        run: u64,
        at_ms: u64,
        output: Output,
    },
    /// Somebody signs in as this user; `answer` is told once the user's sessions are covered.
    SignIn {
        uid: u32,
        answer: SyncSender<()>,
    },
    Stop,
}

/// What a guard said on its standard output.
#[derive(Debug)]
pub(crate) enum Output {
    Line(Line),
    /// Something that no guard of this build says.
    Babble,
    /// It greeted as a guard of another build, or not at all.
    OtherBuild,
    End,
}
