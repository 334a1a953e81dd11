//! The key to a display, read from its X server's authority file.
//!
//! The file belongs to the session's user, who may put anything there: a link, a pipe, gigabytes, garbage. So it is
//! opened without following links or blocking, must be a regular file of that user, and is read with a bound. Format
//! (Xau(3), big-endian), repeated:
//!
//! ```text
//! u16 family | u16 n, address | u16 n, display number in decimal | u16 n, name | u16 n, data
//! ```

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use zeroize::Zeroizing;

/// Enough for a user of hundreds of machines.
const FILE_MAX_BYTES: usize = 256 * 1024;
/// The only protocol that sesman uses; its data is 16 bytes.
const PROTOCOL: &[u8] = b"MIT-MAGIC-COOKIE-1";
const DATA_MAX_BYTES: usize = 64;

#[derive(Debug, thiserror::Error)]
pub(crate) enum XauthorityError {
    #[error(
        "the X authority file of display {display} cannot be opened: {source}. Check that it is a regular file in a folder that root may read"
    )]
    Open { display: u32, source: std::io::Error },
    #[error(
        "the X authority file of display {0} is not a regular file of the session's user. It was replaced: have that user log on again"
    )]
    NotPlain(u32),
    #[error(
        "the X authority file of display {0} has no MIT-MAGIC-COOKIE-1 for it, or is too large. Have the session's user remove it and log on again"
    )]
    NoCookie(u32),
}

/// A display's cookie. It grants seeing and typing there, so it is never printed.
#[derive(Clone)]
pub(crate) struct Cookie {
    data: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cookie({} bytes)", self.data.len())
    }
}

impl Cookie {
    /// The first line of a guard's standard input: protocol and data, in hexadecimal.
    pub(crate) fn line(&self) -> Zeroizing<String> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // At its full capacity from the start: growing would leave copies behind.
        let mut line = Zeroizing::new(String::with_capacity(PROTOCOL.len() + 2 + 2 * self.data.len()));
        line.extend(PROTOCOL.iter().map(|&b| char::from(b)));
        line.push(' ');
        for byte in self.data.iter() {
            for digit in [byte >> 4, byte & 15] {
                line.push(DIGITS.get(usize::from(digit)).map_or('0', |&d| char::from(d)));
            }
        }
        line.push('\n');
        line
    }
}

/// Reads the file's cookie for the display. `owner` is the uid of the session's user.
pub(crate) fn read(path: &Path, display: u32, owner: u32) -> Result<Cookie, XauthorityError> {
    let open = |source: std::io::Error| XauthorityError::Open { display, source };
    // Without NONBLOCK, opening a pipe without a writer would block for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(|e| open(e.into()))?;
    let file = std::fs::File::from(file);
    let meta = file.metadata().map_err(open)?;
    if !meta.file_type().is_file() || meta.uid() != owner {
        return Err(XauthorityError::NotPlain(display));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX_BYTES));
    file.take(FILE_MAX_BYTES as u64).read_to_end(&mut bytes).map_err(open)?;
    // A file that is truncated here ends in half an entry, which the parser refuses.
    find(&bytes, display).ok_or(XauthorityError::NoCookie(display))
}

/// The last cookie for that display: xauth replaces entries, other programs append newer ones.
fn find(mut bytes: &[u8], display: u32) -> Option<Cookie> {
    let number = display.to_string();
    let mut found = None;
    while !bytes.is_empty() {
        let (_family, rest) = bytes.split_first_chunk::<2>()?;
        let (_address, rest) = counted(rest)?;
        let (its_number, rest) = counted(rest)?;
        let (name, rest) = counted(rest)?;
        let (data, rest) = counted(rest)?;
        let here = its_number.is_empty() || its_number == number.as_bytes();
        if here && name == PROTOCOL && (1..=DATA_MAX_BYTES).contains(&data.len()) {
            found = Some(Cookie { data: Zeroizing::new(data.to_vec()) });
        }
        bytes = rest;
    }
    found
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    fn entry(number: &str, name: &[u8], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 0];
        for field in [b"vm".as_slice(), number.as_bytes(), name, data] {
            bytes.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend(field);
        }
        bytes
    }

    struct Home(tempfile::TempDir);

    impl Home {
        fn with(bytes: &[u8]) -> (Self, PathBuf) {
            let home = Home(tempfile::tempdir().unwrap());
            let path = home.0.path().join(".Xauthority");
            std::fs::write(&path, bytes).unwrap();
            (home, path)
        }
    }

    fn me() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[test]
    fn the_display_s_own_cookie_is_found_among_others() {
        let file = [
            entry("11", PROTOCOL, &[1; 16]),
            entry("10", b"XDM-AUTHORIZATION-1", &[2; 16]),
            entry("10", PROTOCOL, &[3; 16]),
            entry("10", PROTOCOL, &[0xab; 16]),
        ]
        .concat();
        let (_home, path) = Home::with(&file);
        let line = read(&path, 10, me()).unwrap().line();
        assert_eq!(line.as_str(), format!("MIT-MAGIC-COOKIE-1 {}\n", "ab".repeat(16)));
        assert!(matches!(read(&path, 12, me()), Err(XauthorityError::NoCookie(12))));
    }

    #[test]
    fn the_secret_is_not_printed() {
        let cookie = find(&entry("1", PROTOCOL, &[0xab; 16]), 1).unwrap();
        assert_eq!(format!("{cookie:?}"), "Cookie(16 bytes)");
    }

    #[test]
    fn links_pipes_folders_and_files_of_others_are_refused_without_waiting() {
        let (home, path) = Home::with(&entry("10", PROTOCOL, &[7; 16]));
        let started = Instant::now();
        assert!(matches!(read(&path, 10, me() + 1), Err(XauthorityError::NotPlain(10))));
        let link = home.0.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(read(&link, 10, me()), Err(XauthorityError::Open { .. })));
        let pipe = home.0.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(read(&pipe, 10, me()), Err(XauthorityError::NotPlain(10))));
        assert!(matches!(read(home.0.path(), 10, me()), Err(XauthorityError::NotPlain(10))));
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn garbage_and_floods_give_no_cookie() {
        let good = entry("10", PROTOCOL, &[7; 16]);
        for cut in 0..good.len() {
            assert!(find(&good[..cut], 10).is_none(), "{cut} bytes");
        }
        assert!(find(&[0xff; 4096], 10).is_none());
        // Longer than the bound: the valid entry at the end is never reached.
        let flood = [vec![0; FILE_MAX_BYTES], good].concat();
        let (_home, path) = Home::with(&flood);
        assert!(read(&path, 10, me()).is_err());
        assert!(find(&entry("10", PROTOCOL, &[7; DATA_MAX_BYTES + 1]), 10).is_none());
    }
}
