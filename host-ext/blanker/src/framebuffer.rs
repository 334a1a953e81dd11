//! Reads the screen's pixels through memory shared with the X server (MIT-SHM 1.2: a file
//! descriptor, so that nobody else can attach it).
//!
//! The server runs under the session's user: the memory is sealed against shrinking and read with
//! `pread`, never mapped, so that whatever the server does to it cannot end this process.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use x11rb::connection::Connection as _;
use x11rb::protocol::shm::{ConnectionExt as _, Seg};
use x11rb::protocol::xproto::ImageFormat;

use crate::display::Display;
use crate::error::{BlankerError, if_there};

/// Two pictures: a snapshot that waits to be sent must survive the looks of the health check.
pub(crate) struct Framebuffer {
    memory: File,
    segment: Seg,
    width: u16,
    height: u16,
}

impl Framebuffer {
    pub(crate) fn new(display: &Display, (width, height): (u16, u16)) -> Result<Self, BlankerError> {
        let memory = shared_memory(2 * bytes(width, height)).map_err(BlankerError::Memory)?;
        let segment = display.x.generate_id()?;
        let servers = memory.try_clone().map_err(BlankerError::Memory)?;
        display.x.shm_attach_fd(segment, servers, false)?.check()?;
        Ok(Self { memory, segment, width, height })
    }

    pub(crate) fn free(&self, display: &Display) -> Result<(), BlankerError> {
        display.x.shm_detach(self.segment)?;
        Ok(())
    }

    /// Copies the screen into memory; false if the screen has just changed its size.
    pub(crate) fn snapshot(&self, display: &Display) -> Result<bool, BlankerError> {
        self.get(display, 0, self.height, 0)
    }

    /// The pixels of the last snapshot, and their size.
    pub(crate) fn take_snapshot(&self) -> Result<(u16, u16, Vec<u8>), BlankerError> {
        Ok((self.width, self.height, self.read(0, bytes(self.width, self.height))?))
    }

    /// Some rows of the screen as they are now; `None` if the screen has just changed its size.
    pub(crate) fn rows(&self, display: &Display, y: u16, rows: u16) -> Result<Option<Vec<u8>>, BlankerError> {
        let start = bytes(self.width, self.height);
        if !self.get(display, y, rows, start)? {
            return Ok(None);
        }
        Ok(Some(self.read(start, bytes(self.width, rows))?))
    }

    fn get(&self, display: &Display, y: u16, rows: u16, offset: usize) -> Result<bool, BlankerError> {
        let (Ok(y), Ok(offset)) = (i16::try_from(y), u32::try_from(offset)) else { return Ok(false) };
        let format = ImageFormat::Z_PIXMAP.into();
        let image = display.x.shm_get_image(
            display.root,
            0,
            y,
            self.width,
            rows,
            !0,
            format,
            self.segment,
            offset,
        )?;
        Ok(if_there(image.reply())?.is_some())
    }

    fn read(&self, start: usize, length: usize) -> Result<Vec<u8>, BlankerError> {
        let mut pixels = vec![0; length];
        self.memory.read_exact_at(&mut pixels, start as u64).map_err(BlankerError::Memory)?;
        Ok(pixels)
    }
}

fn bytes(width: u16, rows: u16) -> usize {
    usize::from(width) * usize::from(rows) * 4
}

fn shared_memory(length: usize) -> std::io::Result<File> {
    let fd = memfd_create("sudare-screen", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let file = File::from(fd);
    // Written, not only sized: the first snapshot must not wait for pages.
    let zeros = vec![0; 1 << 20];
    let mut at = 0;
    while at < length {
        let part = zeros.len().min(length - at);
        file.write_all_at(zeros.get(..part).unwrap_or(&zeros), at as u64)?;
        at += part;
    }
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}
