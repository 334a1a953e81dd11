//! The file `shipped`: how far the copy of the store outside the host has come. The shipper writes it, and the recorder
//! waits for it where policy says so.

use std::io;
use std::path::Path;

use sudare_base::files;

/// Entries that are at the destination together with everything they name; 0 before the first.
pub fn shipped_size(dir: &Path) -> io::Result<u64> {
    let path = dir.join("shipped");
    let Some(bytes) = files::read_bounded(&path, 32).map_err(io::Error::other)? else { return Ok(0) };
    let text = String::from_utf8(bytes).ok();
    text.and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{} is no number", path.display())))
}
