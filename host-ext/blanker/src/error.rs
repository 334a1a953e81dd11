//! What can end the blanker.

use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum BlankerError {
    #[error("cannot read the command line: {0}. See `sudare-blanker --help`")]
    Arguments(String),
    #[error("no guard speaks on standard input ({0}). This program is started by sudare-guard, not by hand")]
    NoGuard(&'static str),
    #[error(
        "cannot reach display :{display} ({cause}). Check that its X server runs and the cookie is its own"
    )]
    Unreachable { display: u32, cause: String },
    #[error("cannot keep pictures in memory ({0}). Give the system more memory")]
    Memory(#[source] std::io::Error),
    #[error("cannot wait for events ({0}). This is a fault of the system")]
    Poll(#[source] std::io::Error),
    #[error("a cover cannot be relied on here: {0}")]
    Unfit(String),
    #[error("the X server refused what every X server can do ({0}). Report this with the server's version")]
    Refused(String),
    #[error("the X server ended the connection ({0}). The windows stay; the guard starts a successor")]
    Lost(#[from] ConnectionError),
}

impl From<ReplyError> for BlankerError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(lost) => Self::Lost(lost),
            ReplyError::X11Error(refused) => Self::Refused(format!("{:?}", refused.error_kind)),
        }
    }
}

impl From<ReplyOrIdError> for BlankerError {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::ConnectionError(lost) => Self::Lost(lost),
            ReplyOrIdError::X11Error(refused) => Self::Refused(format!("{:?}", refused.error_kind)),
            ReplyOrIdError::IdsExhausted => Self::Refused("no more window numbers".into()),
        }
    }
}

impl BlankerError {
    pub(crate) fn unreachable(display: u32, cause: &ConnectError) -> Self {
        Self::Unreachable { display, cause: cause.to_string() }
    }
}

/// The answer to a request about something that others can destroy at any moment: `None` if it is gone.
pub(crate) fn if_there<T>(answer: Result<T, ReplyError>) -> Result<Option<T>, BlankerError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(ReplyError::X11Error(_)) => Ok(None),
        Err(ReplyError::ConnectionError(lost)) => Err(lost.into()),
    }
}
