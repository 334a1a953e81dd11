//! What a guard must be told, found out on a thread of its own: the user's name may have to come from
//! a directory server, and the user's file lies where the user wants. Neither may hold up the others.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::accounts;
use super::guards::Charge;
use super::origin::Origin;
use super::process;
use super::xauthority::{self, Cookie, XauthorityError};

/// sesman writes the file before it starts the X server, xauth replaces it by renaming.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(25);

#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareError {
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

pub(super) fn charge(display: u32, origin: &Origin) -> Result<Charge, PrepareError> {
    let uid = origin.server.real_uid();
    let user = accounts::name_of(uid).ok_or(PrepareError::NoName { display, uid })?;
    let cookie = cookie(display, origin)?;
    Ok(Charge { number: display, user, uid, server_pid: origin.server.pid.as_raw_pid(), cookie })
}

fn cookie(display: u32, origin: &Origin) -> Result<Cookie, PrepareError> {
    let pid = origin.server.pid;
    let gone = |source| PrepareError::Gone { display, source };
    let arguments = process::arguments(pid).map_err(gone)?;
    let name = authority_file(&arguments).ok_or(PrepareError::NoFile(display))?;
    // A relative name is meant from the server's folder; joining keeps an absolute one.
    let path = process::present_folder(pid).join(name);
    let mut tries = 1;
    loop {
        match xauthority::read(&path, display, origin.server.real_uid()) {
            Ok(cookie) => return Ok(cookie),
            Err(error) if tries >= TRIES => return Err(error.into()),
            Err(_) => std::thread::sleep(BETWEEN_TRIES),
        }
        tries += 1;
    }
}

fn authority_file(arguments: &[Vec<u8>]) -> Option<PathBuf> {
    let mut rest = arguments.iter().skip_while(|argument| argument.as_slice() != b"-auth");
    rest.next()?;
    let name = rest.next().filter(|name| !name.is_empty())?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_file_is_named_by_the_server_s_arguments() {
        let list = |words: &[&str]| words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
        let found = authority_file(&list(&["Xorg", ":10", "-auth", ".Xauthority", "-noreset"]));
        assert_eq!(found, Some(".Xauthority".into()));
        assert_eq!(authority_file(&list(&["Xvfb", ":1"])), None);
        assert_eq!(authority_file(&list(&["Xvfb", "-auth"])), None);
        assert_eq!(authority_file(&list(&["Xvfb", "-auth", ""])), None);
    }
}
