//! Video4Linux's numbers and the places of fields, for 64-bit little-endian machines.
//!
//! A request's number holds the size of its argument, so the argument can be handled as a slice of exactly that
//! many bytes. Fields outside of it read as 0 and are not written.

/// Numbers of error, as the kernel gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

pub const ENOENT: Errno = Errno(2);
pub const EIO: Errno = Errno(5);
pub const EAGAIN: Errno = Errno(11);
pub const EACCES: Errno = Errno(13);
pub const EBUSY: Errno = Errno(16);
pub const ENODEV: Errno = Errno(19);
pub const EINVAL: Errno = Errno(22);
pub const ENOTTY: Errno = Errno(25);

const fn request(direction: u32, number: u32, size: u32) -> u32 {
    direction << 30 | size << 16 | (b'V' as u32) << 8 | number
}

const WRITE: u32 = 1;
const READ: u32 = 2;
const BOTH: u32 = 3;

pub const QUERYCAP: u32 = request(READ, 0, 104);
pub const ENUM_FMT: u32 = request(BOTH, 2, 64);
pub const G_FMT: u32 = request(BOTH, 4, 208);
pub const S_FMT: u32 = request(BOTH, 5, 208);
pub const REQBUFS: u32 = request(BOTH, 8, 20);
pub const QUERYBUF: u32 = request(BOTH, 9, 88);
pub const QBUF: u32 = request(BOTH, 15, 88);
pub const DQBUF: u32 = request(BOTH, 17, 88);
pub const STREAMON: u32 = request(WRITE, 18, 4);
pub const STREAMOFF: u32 = request(WRITE, 19, 4);
pub const G_PARM: u32 = request(BOTH, 21, 204);
pub const S_PARM: u32 = request(BOTH, 22, 204);
pub const ENUM_FRAMESIZES: u32 = request(BOTH, 74, 44);
pub const ENUM_FRAMEINTERVALS: u32 = request(BOTH, 75, 52);

/// How many bytes the argument of a request has.
#[must_use]
pub const fn argument_bytes(request: u32) -> usize {
    (request >> 16 & 0x3FFF) as usize
}

/// Where fields lie in `struct v4l2_capability`.
pub mod capability {
    pub const DRIVER: usize = 0;
    pub const CARD: usize = 16;
    pub const BUS_INFO: usize = 48;
    pub const VERSION: usize = 80;
    pub const CAPABILITIES: usize = 84;
    pub const DEVICE_CAPS: usize = 88;
}

/// `struct v4l2_fmtdesc`, `v4l2_frmsizeenum` and `v4l2_frmivalenum`.
pub mod listing {
    pub const INDEX: usize = 0;
    pub const DESCRIPTION: usize = 12;
    pub const FMTDESC_PIXELFORMAT: usize = 44;
    pub const PIXEL_FORMAT: usize = 4;
    pub const SIZE_TYPE: usize = 8;
    pub const SIZE_WIDTH: usize = 12;
    pub const SIZE_HEIGHT: usize = 16;
    pub const INTERVAL_WIDTH: usize = 8;
    pub const INTERVAL_HEIGHT: usize = 12;
    pub const INTERVAL_TYPE: usize = 16;
    pub const INTERVAL_NUMERATOR: usize = 20;
    pub const INTERVAL_DENOMINATOR: usize = 24;
    /// One value, not a range.
    pub const DISCRETE: u32 = 1;
    /// Any value from the least to the most, in steps.
    pub const STEPWISE: u32 = 3;
    /// Least, most and step of the width, then of the height.
    pub const SIZE_RANGES: usize = 12;
    /// Shortest, longest and step, each a numerator and a denominator.
    pub const INTERVAL_RANGE: usize = 20;
}

/// `struct v4l2_format` with a `v4l2_pix_format` in it.
pub mod format {
    pub const WIDTH: usize = 8;
    pub const HEIGHT: usize = 12;
    pub const PIXELFORMAT: usize = 16;
    pub const FIELD: usize = 20;
    pub const BYTESPERLINE: usize = 24;
    pub const SIZEIMAGE: usize = 28;
    pub const COLORSPACE: usize = 32;
    /// Whole pictures, not half ones.
    pub const PROGRESSIVE: u32 = 1;
    pub const SRGB: u32 = 8;
}

/// `struct v4l2_streamparm` of a capture device.
pub mod parameters {
    pub const CAPABILITY: usize = 4;
    pub const NUMERATOR: usize = 12;
    pub const DENOMINATOR: usize = 16;
    /// The rate can be set.
    pub const TIME_PER_FRAME: u32 = 0x1000;
}

/// `struct v4l2_requestbuffers` and `struct v4l2_buffer`.
pub mod buffer {
    pub const COUNT: usize = 0;
    pub const CAPABILITIES: usize = 12;
    pub const INDEX: usize = 0;
    pub const BYTESUSED: usize = 8;
    pub const FLAGS: usize = 12;
    pub const FIELD: usize = 16;
    pub const TIMESTAMP_S: usize = 24;
    pub const TIMESTAMP_US: usize = 32;
    pub const SEQUENCE: usize = 56;
    pub const OFFSET: usize = 64;
    pub const LENGTH: usize = 72;
    /// `V4L2_BUF_CAP_SUPPORTS_MMAP`
    pub const CAN_MMAP: u32 = 1;
    /// `V4L2_BUF_FLAG_DONE` and `…_TIMESTAMP_MONOTONIC`
    pub const DONE: u32 = 0x4 | 0x2000;
}

/// `V4L2_CAP_VIDEO_CAPTURE` and `V4L2_CAP_STREAMING`
pub const CAPTURE_AND_STREAMING: u32 = 0x0400_0001;
/// `V4L2_CAP_DEVICE_CAPS`
pub const HAS_DEVICE_CAPS: u32 = 0x8000_0000;

#[must_use]
pub fn get_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
}

pub fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

/// Writes what fits.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernels_header() {
        // From a C program that prints the macros of linux/videodev2.h on x86-64.
        assert_eq!(QUERYCAP, 0x8068_5600);
        assert_eq!(S_FMT, 0xC0D0_5605);
        assert_eq!(REQBUFS, 0xC014_5608);
        assert_eq!(DQBUF, 0xC058_5611);
        assert_eq!(STREAMON, 0x4004_5612);
        assert_eq!(S_PARM, 0xC0CC_5616);
        assert_eq!(ENUM_FRAMEINTERVALS, 0xC034_564B);
        assert_eq!(argument_bytes(DQBUF), 88);
    }

    #[test]
    fn nothing_is_written_outside_the_argument() {
        let mut bytes = [0; 6];
        put_u32(&mut bytes, 3, u32::MAX);
        assert_eq!((bytes, get_u32(&bytes, 3)), ([0; 6], 0));
        put_u32(&mut bytes, 2, 0x0403_0201);
        assert_eq!((bytes, get_u32(&bytes, 2)), ([0, 0, 1, 2, 3, 4], 0x0403_0201));
    }
}
