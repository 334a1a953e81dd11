//! A webcam that is not there, for tests of programs that read one through Video4Linux.
//!
//! Put into `LD_PRELOAD`, the library stands before the C library's `open`, `close`, `ioctl`, `syscall`, `mmap`,
//! `opendir` and `readdir64`. What concerns `/dev/video77` it answers itself; everything else passes through.
//!
//! ```text
//! program ─ open, ioctl, mmap ─► sys (foreign calls) ─► camera (pure: buffer queue) ─► formats, outage, pictures
//!                                 │ a timerfd is the device's descriptor, so `poll` works without our help
//!                                 └ a memfd holds the buffers, so `mmap` gives shared memory as a driver does
//! ```
//! It is steered by environment variables, read at the first use:
//!
//! | variable | meaning |
//! |---|---|
//! | `SHIM_FORMATS` | what the camera offers, such as `MJPG:640x480@30,YUYV:640x480@15/2`; it starts in the first |
//! | `SHIM_PICTURES` | folder of JPEG files that MJPG sends in the order of their names, over and over |
//! | `SHIM_OUTAGE` | one of `unplug`, `stall`, `stall-replug`, `freeze`, `busy`, `busy-open`, `denied`, `io` |
//! | `SHIM_OUTAGE_AFTER` | pictures sent before it begins (0) |
//! | `SHIM_OUTAGE_MS` | how long it lasts (for ever) |
//! | `SHIM_OUTAGE_FILE` | instead of these two: it lasts as long as this file exists (not for stalls) |
//! | `SHIM_ROW_PADDING` | bytes behind each row of packed pixels (0) |
//! | `SHIM_RANGES` | if set, sizes and rates are listed as ranges, and any of them can be set |
//! | `SHIM_LOOP` | after so many pictures, the very same ones come again (never) |
//! | `SHIM_RENUMBER` | if set, it is `/dev/video78` once it was unplugged and is back |
//!
//! YUYV and UYVY send colour bars over a strip that changes with each picture. No two pictures have the same pixels,
//! even when the folder starts over (for 32 rounds).
//!
//! Sources: Linux's Documentation/userspace-api/media/v4l and `linux/videodev2.h`, 64-bit little-endian layout.
//!
//! | module | what |
//! |---|---|
//! | `sys` | the C library's functions that are stood in for; all `unsafe` |
//! | `camera`, `abi` | the device as pure code; Video4Linux's numbers |
//! | `plan`, `formats`, `outage`, `pictures` | what the variables ask for; what it offers; what goes wrong; what it sees |

pub mod abi;
pub mod camera;
pub mod formats;
pub mod outage;
pub mod pictures;
pub mod plan;
// In this package's own tests the stand-ins would take the test program's `open` away.
#[cfg(not(test))]
mod sys;
