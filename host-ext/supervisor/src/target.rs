//! Whom a guard is started for, and why that may not be known.

use crate::xauthority::{Cookie, XauthorityError};

/// Whose guard it becomes.
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
        "the X server of display {0} was started without an authority file: everybody on this machine may look. See sesman.ini and how its X server is started"
    )]
    NoFile(u32),
    #[error("the X server of display {display} cannot be looked at: {source}. It probably ended")]
    Gone { display: u32, source: std::io::Error },
    #[error(
        "the user {uid} of display {display} has no name. See whether the directory service answers: `getent passwd {uid}`"
    )]
    NoName { display: u32, uid: u32 },
    #[error(transparent)]
    Xauthority(#[from] XauthorityError),
}
