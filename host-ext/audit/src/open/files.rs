//! Writes private files: pictures and headers that must be new, and records that grow line by line.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::Serialize;

use crate::error::AuditError;

/// Creates a folder for its owner only, with its parents.
pub(super) fn create_folder(path: &Path) -> Result<(), AuditError> {
    create(path).map_err(unwritable(path))
}

/// Writes a private file that must not exist yet.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(unwritable(path))
}

/// Appends a line of JSON to a private file and waits until it is durable.
pub(super) fn append_line(path: &Path, line: &impl Serialize) -> Result<(), AuditError> {
    let write = || -> io::Result<()> {
        create(path.parent().unwrap_or(Path::new(".")))?;
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().map_err(unwritable(path))
}

fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> AuditError {
    move |source| AuditError::Unwritable { path: path.to_owned(), source }
}
