//! Messages from all other threads to the one that decides.

use std::sync::mpsc::SyncSender;

use rustix::process::Pid;

use crate::line::Line;
use crate::sockets::SocketError;
use crate::target::{PrepareError, Target};

/// A message from another thread.
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
    /// A user signs in; `answer` gets a value once that user's sessions are covered.
    SignIn {
        uid: u32,
        answer: SyncSender<()>,
    },
    Stop,
}

/// What a guard wrote to its standard output.
#[derive(Debug)]
pub(crate) enum Output {
    Line(Line),
    /// A line that no guard of this build writes.
    Babble,
    /// A first line of another build, or of no guard.
    OtherBuild,
    /// It closed its output.
    End,
}
