//! What the camera offers, and what it is set to.

use crate::abi::{self, Errno, format, get_u32, listing, parameters, put, put_u32};
use crate::plan::{Format, Plan};

/// What ranges go up to, in what steps.
const RANGE: [u32; 3] = [32, 1920, 2];
/// The shortest and the longest interval of a range, and their step: 1/60 s to 1 s.
const INTERVALS: [(u32, u32); 3] = [(256, 15_360), (1, 1), (1, 60)];

/// See the module text.
#[derive(Debug)]
pub struct Formats {
    offered: Vec<Format>,
    pub(crate) current: Format,
    row_padding: u32,
    has_ranges: bool,
}

type Done = Result<(), Errno>;

impl Formats {
    /// It starts in the first.
    #[must_use]
    pub fn new(plan: &Plan) -> Option<Self> {
        let offered = plan.formats.clone();
        let (row_padding, has_ranges) = (plan.row_padding, plan.has_ranges);
        Some(Self { current: *offered.first()?, offered, row_padding, has_ranges })
    }

    /// Answers a request about formats; `None` if it is about something else.
    pub fn ioctl(&mut self, request: u32, argument: &mut [u8]) -> Option<Done> {
        Some(match request {
            abi::ENUM_FMT => self.list_formats(argument),
            abi::ENUM_FRAMESIZES => self.list_sizes(argument),
            abi::ENUM_FRAMEINTERVALS => self.list_intervals(argument),
            abi::G_FMT => self.show_format(argument),
            abi::S_FMT => self.set_format(argument),
            abi::G_PARM => self.show_rate(argument),
            abi::S_PARM => self.set_rate(argument),
            _ => return None,
        })
    }

    /// Real cameras reserve for MJPG what an uncompressed picture would take.
    #[must_use]
    pub fn picture_bytes(&self) -> u32 {
        (self.current.width * 2 + self.row_padding) * self.current.height
    }

    fn list_formats(&self, argument: &mut [u8]) -> Done {
        let mut codes: Vec<[u8; 4]> = self.offered.iter().map(|f| f.fourcc).collect();
        codes.dedup();
        let code = codes.get(index(argument)).ok_or(abi::EINVAL)?;
        put(argument, listing::DESCRIPTION, b"emulated\0");
        put(argument, listing::FMTDESC_PIXELFORMAT, code);
        Ok(())
    }

    fn list_sizes(&self, argument: &mut [u8]) -> Done {
        let code = get_u32(argument, listing::PIXEL_FORMAT).to_le_bytes();
        if self.has_ranges {
            self.first_only(argument, code)?;
            put_u32(argument, listing::SIZE_TYPE, listing::STEPWISE);
            for (number, value) in RANGE.iter().chain(&RANGE).enumerate() {
                put_u32(argument, listing::SIZE_RANGES + 4 * number, *value);
            }
            return Ok(());
        }
        let mut sizes: Vec<(u32, u32)> =
            self.offered.iter().filter(|f| f.fourcc == code).map(|f| (f.width, f.height)).collect();
        sizes.dedup();
        let (width, height) = sizes.get(index(argument)).ok_or(abi::EINVAL)?;
        put_u32(argument, listing::SIZE_TYPE, listing::DISCRETE);
        put_u32(argument, listing::SIZE_WIDTH, *width);
        put_u32(argument, listing::SIZE_HEIGHT, *height);
        Ok(())
    }

    fn list_intervals(&self, argument: &mut [u8]) -> Done {
        let code = get_u32(argument, listing::PIXEL_FORMAT).to_le_bytes();
        if self.has_ranges {
            self.first_only(argument, code)?;
            put_u32(argument, listing::INTERVAL_TYPE, listing::STEPWISE);
            for (number, (numerator, denominator)) in INTERVALS.iter().enumerate() {
                put_u32(argument, listing::INTERVAL_RANGE + 8 * number, *numerator);
                put_u32(argument, listing::INTERVAL_RANGE + 8 * number + 4, *denominator);
            }
            return Ok(());
        }
        let size = (get_u32(argument, listing::INTERVAL_WIDTH), get_u32(argument, listing::INTERVAL_HEIGHT));
        let mut fitting = self.offered.iter().filter(|f| f.fourcc == code && (f.width, f.height) == size);
        let (numerator, denominator) = fitting.nth(index(argument)).ok_or(abi::EINVAL)?.interval;
        put_u32(argument, listing::INTERVAL_TYPE, listing::DISCRETE);
        put_u32(argument, listing::INTERVAL_NUMERATOR, numerator);
        put_u32(argument, listing::INTERVAL_DENOMINATOR, denominator);
        Ok(())
    }

    /// A range is one entry of its list.
    fn first_only(&self, argument: &[u8], code: [u8; 4]) -> Done {
        let is_offered = self.offered.iter().any(|format| format.fourcc == code);
        if index(argument) == 0 && is_offered { Ok(()) } else { Err(abi::EINVAL) }
    }

    fn show_format(&self, argument: &mut [u8]) -> Done {
        put_u32(argument, format::WIDTH, self.current.width);
        put_u32(argument, format::HEIGHT, self.current.height);
        put(argument, format::PIXELFORMAT, &self.current.fourcc);
        put_u32(argument, format::FIELD, format::PROGRESSIVE);
        let is_packed = is_packed(&self.current);
        let line = if is_packed { self.current.width * 2 + self.row_padding } else { 0 };
        put_u32(argument, format::BYTESPERLINE, line);
        put_u32(argument, format::SIZEIMAGE, self.picture_bytes());
        put_u32(argument, format::COLORSPACE, format::SRGB);
        Ok(())
    }

    /// Takes what comes nearest, as drivers do, and says what that was.
    fn set_format(&mut self, argument: &mut [u8]) -> Done {
        let code = get_u32(argument, format::PIXELFORMAT).to_le_bytes();
        let size = (get_u32(argument, format::WIDTH), get_u32(argument, format::HEIGHT));
        let rank = |f: &&Format| (f.fourcc != code, (f.width, f.height) != size);
        self.current = self.offered.iter().min_by_key(rank).copied().unwrap_or(self.current);
        if self.has_ranges {
            let [least, most, step] = RANGE;
            let [width, height] = [size.0, size.1].map(|side| side.clamp(least, most) / step * step);
            self.current = Format { width, height, ..self.current };
        }
        self.show_format(argument)
    }

    fn show_rate(&self, argument: &mut [u8]) -> Done {
        put_u32(argument, parameters::CAPABILITY, parameters::TIME_PER_FRAME);
        put_u32(argument, parameters::NUMERATOR, self.current.interval.0);
        put_u32(argument, parameters::DENOMINATOR, self.current.interval.1);
        Ok(())
    }

    /// A rate that the present format lacks changes nothing; the answer says so.
    fn set_rate(&mut self, argument: &mut [u8]) -> Done {
        let interval = (get_u32(argument, parameters::NUMERATOR), get_u32(argument, parameters::DENOMINATOR));
        let wanted = Format { interval, ..self.current };
        let is_whole = interval.0 > 0 && interval.1 > 0;
        if self.offered.contains(&wanted) || self.has_ranges && is_whole {
            self.current = wanted;
        }
        self.show_rate(argument)
    }
}

pub(crate) fn is_packed(format: &Format) -> bool {
    matches!(&format.fourcc, b"YUYV" | b"UYVY")
}

fn index(argument: &[u8]) -> usize {
    usize::try_from(get_u32(argument, listing::INDEX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(formats: &mut Formats, request: u32, fields: &[(usize, u32)]) -> (Option<Done>, Vec<u8>) {
        let mut argument = vec![0; abi::argument_bytes(request)];
        for (at, value) in fields {
            put_u32(&mut argument, *at, *value);
        }
        let done = formats.ioctl(request, &mut argument);
        (done, argument)
    }

    #[test]
    fn what_is_offered_is_listed_and_can_be_set() {
        let small = Format { fourcc: *b"YUYV", width: 16, height: 8, interval: (1, 25) };
        let slow = Format { interval: (2, 15), ..small };
        let wide = Format { width: 32, ..small };
        let plan = Plan { formats: vec![small, slow, wide], ..Plan::default() };
        let mut formats = Formats::new(&plan).unwrap();
        let yuyv = u32::from_le_bytes(*b"YUYV");

        let (done, argument) = ask(&mut formats, abi::ENUM_FMT, &[]);
        assert_eq!((done, get_u32(&argument, listing::FMTDESC_PIXELFORMAT)), (Some(Ok(())), yuyv));
        assert_eq!(ask(&mut formats, abi::ENUM_FMT, &[(listing::INDEX, 1)]).0, Some(Err(abi::EINVAL)));
        let second = [(listing::INDEX, 1), (listing::PIXEL_FORMAT, yuyv)];
        assert_eq!(get_u32(&ask(&mut formats, abi::ENUM_FRAMESIZES, &second).1, listing::SIZE_WIDTH), 32);

        let wanted = [(format::PIXELFORMAT, yuyv), (format::WIDTH, 32), (format::HEIGHT, 8)];
        let (_, argument) = ask(&mut formats, abi::S_FMT, &wanted);
        assert_eq!(get_u32(&argument, format::SIZEIMAGE), 32 * 8 * 2);
        assert_eq!(formats.current, wide);
        let (_, argument) =
            ask(&mut formats, abi::S_PARM, &[(parameters::NUMERATOR, 2), (parameters::DENOMINATOR, 15)]);
        assert_eq!(get_u32(&argument, parameters::DENOMINATOR), 25, "not offered at this size");
        assert_eq!(ask(&mut formats, abi::QBUF, &[]).0, None);
    }
    #[test]
    fn ranges_are_listed_once_and_any_size_and_rate_of_them_can_be_set() {
        let offered = Format { fourcc: *b"UYVY", width: 32, height: 32, interval: (1, 30) };
        let plan = Plan { formats: vec![offered], has_ranges: true, row_padding: 10, ..Plan::default() };
        let mut formats = Formats::new(&plan).unwrap();
        let uyvy = u32::from_le_bytes(*b"UYVY");
        let first = [(listing::PIXEL_FORMAT, uyvy)];
        let (done, argument) = ask(&mut formats, abi::ENUM_FRAMESIZES, &first);
        assert_eq!((done, get_u32(&argument, listing::SIZE_TYPE)), (Some(Ok(())), listing::STEPWISE));
        assert_eq!(get_u32(&argument, listing::SIZE_RANGES + 16), RANGE[1]);
        let second = [(listing::PIXEL_FORMAT, uyvy), (listing::INDEX, 1)];
        assert_eq!(ask(&mut formats, abi::ENUM_FRAMESIZES, &second).0, Some(Err(abi::EINVAL)));
        let wanted = [(format::PIXELFORMAT, uyvy), (format::WIDTH, 640), (format::HEIGHT, 480)];
        let (_, argument) = ask(&mut formats, abi::S_FMT, &wanted);
        assert_eq!(get_u32(&argument, format::BYTESPERLINE), 640 * 2 + 10);
        assert_eq!(get_u32(&argument, format::SIZEIMAGE), (640 * 2 + 10) * 480);
        ask(&mut formats, abi::S_PARM, &[(parameters::NUMERATOR, 1), (parameters::DENOMINATOR, 15)]);
        assert_eq!(formats.current.interval, (1, 15));
    }
}
