//! Reads a camera as the client does and prints one JSON object per picture or fault.
//!
//! `sudare-camera-probe SOURCE SECONDS`. Tests run it where the camera is another one than this machine's: under
//! the emulation of `tests/v4l2-shim`, and in a virtual machine.
//!
//! * picture: `{"t_ms","frame_ms","width","height","seq","bars":[[r,g,b]×8],"strip"}`: means around the middle of
//!   each of eight bars, and of the strip at the bottom.
//! * fault: `{"t_ms","fault","final","text"}`.
//!
//! Times are milliseconds of CLOCK_BOOTTIME since the start.

use std::io::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};
use sudare_client_core::frame::Frame;
use sudare_client_runtime::clock::boottime_ms;
use sudare_vision::camera::{self, CameraFault, SourceOptions, SourceSpec};

const BARS: u32 = 8;
/// Half the side of the square that a mean is taken over.
const AROUND_PX: u32 = 4;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let spec: SourceSpec = arguments.next().context("give a SOURCE and SECONDS")?.parse()?;
    let seconds: u64 = arguments.next().context("give SECONDS")?.parse()?;
    let started_ms = boottime_ms();
    let mut source = camera::open(&spec, SourceOptions::default(), boottime_ms)?;
    while boottime_ms() < started_ms + seconds * 1000 {
        let next = source.next_frame();
        let t_ms = boottime_ms() - started_ms;
        match next {
            Ok(frame) => print(&picture(&frame, t_ms, started_ms))?,
            Err(fault) => {
                let is_final = fault.is_final();
                let text = fault.to_string();
                print(&json!({ "t_ms": t_ms, "fault": name(&fault), "final": is_final, "text": text }))?;
                if is_final {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn print(value: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

fn picture(frame: &Frame, t_ms: u64, started_ms: u64) -> Value {
    let bars: Vec<_> = (0..BARS)
        .map(|bar| mean(frame, frame.width * (2 * bar + 1) / (2 * BARS), frame.height / 2))
        .collect();
    let strip = mean(frame, frame.width / 2, frame.height - frame.height / 16)[0];
    json!({
        "t_ms": t_ms, "frame_ms": frame.t_ms.saturating_sub(started_ms), "seq": frame.seq,
        "width": frame.width, "height": frame.height, "bars": bars, "strip": strip,
    })
}

fn mean(frame: &Frame, x: u32, y: u32) -> [u64; 3] {
    let mut sum = [0_u64; 3];
    let mut count = 0;
    for row in y.saturating_sub(AROUND_PX)..(y + AROUND_PX).min(frame.height) {
        for column in x.saturating_sub(AROUND_PX)..(x + AROUND_PX).min(frame.width) {
            let at = usize::try_from((u64::from(row) * u64::from(frame.width) + u64::from(column)) * 3);
            let pixel = at.ok().and_then(|at| frame.rgb.get(at..at + 3)).unwrap_or_default();
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += u64::from(*value);
            }
            count += 1;
        }
    }
    sum.map(|sum| sum / count.max(1))
}

fn name(fault: &CameraFault) -> &'static str {
    match fault {
        CameraFault::NotASource { .. } => "not-a-source",
        CameraFault::NotFound { .. } => "not-found",
        CameraFault::Busy { .. } => "busy",
        CameraFault::Denied { .. } => "denied",
        CameraFault::Unplugged { .. } => "unplugged",
        CameraFault::Stalled { .. } => "stalled",
        CameraFault::Frozen { .. } => "frozen",
        CameraFault::Looped { .. } => "looped",
        CameraFault::Unreadable { .. } => "unreadable",
        CameraFault::Damaged { .. } => "damaged",
        CameraFault::Ended { .. } => "ended",
        CameraFault::Unsupported { .. } => "unsupported",
        CameraFault::Driver { .. } => "driver",
    }
}
