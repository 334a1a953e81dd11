//! What the environment asks the camera to do.

use std::path::PathBuf;

/// A pixel format, a size and a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub fourcc: [u8; 4],
    pub width: u32,
    pub height: u32,
    /// Seconds a picture, numerator and denominator.
    pub interval: (u32, u32),
}

/// What can go wrong with a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The cable is out: no device node, and ENODEV on what was open.
    Unplug,
    /// The device is there and sends nothing.
    Stall,
    /// The same, until somebody plugs it in again: who had it open gets ENODEV, and it can be opened at once.
    StallUntilReplugged,
    /// The same picture again and again.
    Freeze,
    /// Another program streams: it opens, but EBUSY where something would change (uvcvideo).
    Busy,
    /// It cannot even be opened twice: EBUSY.
    BusyOpen,
    /// The node belongs to a group that the user is not in: EACCES.
    Denied,
    /// Pictures end in EIO, as with a bad cable.
    Io,
}

impl Trouble {
    /// Whether the descriptor never becomes readable.
    #[must_use]
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Stall | Self::StallUntilReplugged)
    }
}

/// What goes wrong, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub trouble: Trouble,
    pub when: When,
}

/// See [`Outage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Once, after so many pictures; without an end if it is not given.
    After { pictures: u64, lasts_ms: Option<u64> },
    /// As long as this file exists.
    While(PathBuf),
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Never empty; the camera starts in the first.
    pub formats: Vec<Format>,
    pub pictures: Option<PathBuf>,
    pub outage: Option<Outage>,
    /// Bytes behind each row of packed pixels.
    pub row_padding: u32,
    /// Sizes and rates are listed as ranges, and any of them can be set.
    pub has_ranges: bool,
    /// After so many pictures the very same ones come again.
    pub loop_after: Option<u64>,
    /// When it is plugged in again, it has another number.
    pub renumbers: bool,
}

/// A test that asks for 8K pictures is mistaken, and would take all memory.
const MAX_SIDE_PX: u32 = 4096;

impl Plan {
    /// Reads it from variables.
    ///
    /// # Errors
    /// Names the variable and what it may say.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let text = variable("SHIM_FORMATS").unwrap_or_else(|| "YUYV:640x480@30".to_owned());
        let formats: Option<Vec<Format>> = text.split(',').map(parse_format).collect();
        let formats = formats.ok_or_else(|| {
            format!("SHIM_FORMATS={text}: give for example MJPG:640x480@30,YUYV:640x480@15/2")
        })?;
        let number = |name: &str| match variable(name).map(|text| text.parse::<u64>()) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(format!("{name}: give a whole number")),
        };
        let outage = match variable("SHIM_OUTAGE") {
            None => None,
            Some(name) => Some(Outage {
                trouble: parse_trouble(&name).ok_or_else(|| format!("SHIM_OUTAGE={name} is not known"))?,
                when: match variable("SHIM_OUTAGE_FILE") {
                    Some(file) => When::While(file.into()),
                    None => When::After {
                        pictures: number("SHIM_OUTAGE_AFTER")?.unwrap_or(0),
                        lasts_ms: number("SHIM_OUTAGE_MS")?,
                    },
                },
            }),
        };
        if let Some(Outage { trouble, when: When::While(_) }) = &outage
            && trouble.is_silent()
        {
            // Who waits for a silent camera asks nothing, so nothing would notice that the file is gone.
            return Err("a stall needs SHIM_OUTAGE_MS, not SHIM_OUTAGE_FILE".to_owned());
        }
        let pictures = variable("SHIM_PICTURES").map(PathBuf::from);
        if pictures.is_none() && formats.iter().any(|f| &f.fourcc == b"MJPG") {
            return Err("MJPG needs SHIM_PICTURES, a folder of JPEG files".to_owned());
        }
        Ok(Self {
            formats,
            pictures,
            outage,
            row_padding: u32::try_from(number("SHIM_ROW_PADDING")?.unwrap_or(0))
                .unwrap_or(0)
                .min(MAX_SIDE_PX),
            has_ranges: variable("SHIM_RANGES").is_some(),
            loop_after: number("SHIM_LOOP")?.filter(|pictures| *pictures > 0),
            renumbers: variable("SHIM_RENUMBER").is_some(),
        })
    }
}

/// `MJPG:640x480@30` or `…@15/2`.
fn parse_format(text: &str) -> Option<Format> {
    let (fourcc, rest) = text.split_once(':')?;
    let (size, rate) = rest.split_once('@')?;
    let (width, height) = size.split_once('x')?;
    let (pictures, seconds) = rate.split_once('/').unwrap_or((rate, "1"));
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| (2..=MAX_SIDE_PX).contains(side));
    let count = |text: &str| text.parse::<u32>().ok().filter(|count| (1..=1000).contains(count));
    Some(Format {
        fourcc: fourcc.as_bytes().try_into().ok()?,
        width: side(width)?,
        height: side(height)?,
        interval: (count(seconds)?, count(pictures)?),
    })
}

fn parse_trouble(name: &str) -> Option<Trouble> {
    Some(match name {
        "unplug" => Trouble::Unplug,
        "stall" => Trouble::Stall,
        "stall-replug" => Trouble::StallUntilReplugged,
        "freeze" => Trouble::Freeze,
        "busy" => Trouble::Busy,
        "busy-open" => Trouble::BusyOpen,
        "denied" => Trouble::Denied,
        "io" => Trouble::Io,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Plan, String> {
        Plan::read(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn everything_can_be_said() {
        let plan = read(&[
            ("SHIM_FORMATS", "MJPG:640x480@30,YUYV:320x240@15/2"),
            ("SHIM_PICTURES", "/pictures"),
            ("SHIM_OUTAGE", "unplug"),
            ("SHIM_OUTAGE_AFTER", "40"),
            ("SHIM_OUTAGE_MS", "1500"),
            ("SHIM_ROW_PADDING", "64"),
            ("SHIM_LOOP", "20"),
            ("SHIM_RANGES", "1"),
        ])
        .unwrap();
        assert_eq!(
            (plan.row_padding, plan.loop_after, plan.has_ranges, plan.renumbers),
            (64, Some(20), true, false)
        );
        assert_eq!(plan.formats[1], Format { fourcc: *b"YUYV", width: 320, height: 240, interval: (2, 15) });
        assert_eq!(
            plan.outage,
            Some(Outage {
                trouble: Trouble::Unplug,
                when: When::After { pictures: 40, lasts_ms: Some(1500) }
            })
        );
        assert_eq!(read(&[]).unwrap().formats.len(), 1);
    }

    #[test]
    fn a_mistake_is_named_and_not_passed_over() {
        for (pair, word) in [
            (("SHIM_FORMATS", "MJPG"), "SHIM_FORMATS"),
            (("SHIM_FORMATS", "MJPG:640x480@0"), "SHIM_FORMATS"),
            (("SHIM_FORMATS", "YUYV:640x99999@30"), "SHIM_FORMATS"),
            (("SHIM_FORMATS", "MJPG:640x480@30"), "SHIM_PICTURES"),
            (("SHIM_OUTAGE", "fire"), "SHIM_OUTAGE"),
        ] {
            assert!(read(&[pair]).unwrap_err().contains(word), "{pair:?}");
        }
        assert!(read(&[("SHIM_OUTAGE", "io"), ("SHIM_OUTAGE_MS", "soon")]).is_err());
        assert!(read(&[("SHIM_OUTAGE", "stall"), ("SHIM_OUTAGE_FILE", "/file")]).is_err());
    }
}
