//! Finds out what a guard must be told, on a thread of its own: the user's name may come from a directory server, and
//! the user chooses where the authority file is. Neither may delay other sessions.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use sudare_base::accounts;

use crate::origin::Origin;
use crate::process;
use crate::target::{PrepareError, Target};
use crate::xauthority::{self, Cookie};

/// sesman writes the file before it starts the X server; xauth replaces it by renaming.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(25);

pub(crate) fn target(display: u32, origin: &Origin) -> Result<Target, PrepareError> {
    let uid = origin.server.real_uid();
    let user = accounts::name_of(uid).ok_or(PrepareError::NoName { display, uid })?;
    let cookie = cookie(display, origin)?;
    Ok(Target { number: display, user, uid, server_pid: origin.server.pid.as_raw_pid(), cookie })
}

fn cookie(display: u32, origin: &Origin) -> Result<Cookie, PrepareError> {
    let pid = origin.server.pid;
    let gone = |source| PrepareError::Gone { display, source };
    let arguments = process::arguments(pid).map_err(gone)?;
    let name = authority_file(&arguments).ok_or(PrepareError::NoFile(display))?;
    // A relative path is relative to the server's working directory; joining keeps an absolute one.
    let path = process::working_directory(pid).join(name);
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
    fn the_authority_file_is_in_the_server_s_arguments() {
        let list = |words: &[&str]| words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
        let found = authority_file(&list(&["Xorg", ":10", "-auth", ".Xauthority", "-noreset"]));
        assert_eq!(found, Some(".Xauthority".into()));
        assert_eq!(authority_file(&list(&["Xvfb", ":1"])), None);
        assert_eq!(authority_file(&list(&["Xvfb", "-auth"])), None);
        assert_eq!(authority_file(&list(&["Xvfb", "-auth", ""])), None);
    }
}
