//! What a guard must be told about its session, and why that may be unknown.

use crate::xauthority::{Cookie, XauthorityError};

/// The session that a guard is started for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) number: u32,
    pub(crate) user: String,
    pub(crate) uid: u32,
    pub(crate) server_pid: i32,
    pub(crate) cookie: Cookie,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error(
        "the X server of display {0} was started without an authority file, so every user of this machine may look. Check the X server's arguments in sesman.ini"
    )]
    NoFile(u32),
    #[error("the X server of display {display} cannot be inspected: {source}. It has probably ended")]
    Gone { display: u32, source: std::io::Error },
    #[error(
        "the user {uid} of display {display} has no name. Check that the directory service answers: `getent passwd {uid}`"
    )]
    NoName { display: u32, uid: u32 },
    #[error(transparent)]
    Xauthority(#[from] XauthorityError),
}
