//! The file `shipped`: how many entries the copy outside the host has. The shipper writes it; the recorder reads it to
//! know how far the copy is behind.

use std::io;
use std::path::Path;

use sudare_base::files;

/// Entries that are at the destination together with their pictures; 0 before the first.
pub fn shipped_size(dir: &Path) -> io::Result<u64> {
    let path = dir.join("shipped");
    let Some(bytes) = files::read_bounded(&path, 32).map_err(io::Error::other)? else { return Ok(0) };
    let text = String::from_utf8(bytes).ok();
    text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a number", path.display()))
    })
}
