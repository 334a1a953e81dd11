//! `sudare watch`: shows when a desktop would be covered, from any source of pictures.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use sudare_client_core::presence::Presence;
use sudare_client_runtime::battery::{Battery, Sparing};
use sudare_client_runtime::{clock, device, operator};
use sudare_protocol::eyes::Recognition;
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::records::{Policy, Signed};
use sudare_protocol::timings::Timings;
use sudare_vision::camera::{self, CameraFault, SourceOptions, SourceSpec};
use sudare_vision::engine::Engine;
use sudare_vision::watch::{Change, watch};
use sudare_vision::{Mode, Vision};

use crate::enroll::shares;
use crate::output;

/// Watch a source and report when the desktop would be covered, and why
#[derive(Debug, Args)]
#[command(after_help = "\
Sources:
  camera:0       a webcam (sudare doctor lists them)
  camera:NAME    the same by what it calls itself, or by its name in /dev/v4l/by-id
  FOLDER         JPEG pictures in the order of their names
  FILE.avi       Motion JPEG
  FILE.y4m       uncompressed video
  mjpeg:PATH     a live stream, such as a FIFO that `ffmpeg -f mjpeg PATH` writes

Examples:
  sudare watch --source camera:0 --operator me.operator
  sudare watch --source scene.avi --operator me.operator --json
  sudare watch --source camera:0 --recognition presence")]
pub(crate) struct Arguments {
    /// Source of the pictures
    #[arg(long, value_name = "SOURCE")]
    source: String,
    /// Operator files created by `sudare enroll` on this device
    #[arg(long, value_name = "OPERATOR", num_args = 1..)]
    operator: Vec<PathBuf>,
    /// A signed policy whose timings and recognition replace the defaults
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The organisation's public key that signed it; by default organisation.pub in SUDARE_HOME
    #[arg(long, value_name = "FILE", requires = "policy")]
    org_key: Option<PathBuf>,
    /// The group of that policy whose timings and recognition count
    #[arg(long, value_name = "NAME", requires = "policy")]
    group: Option<String>,
    /// How alike a face must be; by default as the policy says, otherwise normal
    #[arg(long, value_name = "POINT")]
    recognition: Option<Point>,
    /// Pictures a second: the speed of a folder (default 10), or the limit for a film (default: all)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=120))]
    fps: Option<u32>,
    /// Look less often to spare a battery: while this PC runs on it (auto), always (on) or never (off)
    #[arg(long, value_name = "auto|on|off", default_value = "off")]
    battery: Sparing,
    /// Print one JSON object per change instead of text
    #[arg(long)]
    json: bool,
}

/// [`Recognition`] as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Point {
    /// Fewer strangers open
    Strict,
    Normal,
    /// Operators open in worse light
    Lenient,
    /// No face is compared: one person is there, and no second one
    Presence,
}

impl Point {
    const fn chosen(self) -> Recognition {
        match self {
            Point::Strict => Recognition::Strict,
            Point::Normal => Recognition::Normal,
            Point::Lenient => Recognition::Lenient,
            Point::Presence => Recognition::Presence,
        }
    }
}

/// The last line.
#[derive(Serialize)]
struct End {
    end: bool,
    frames: u64,
    cpu_ms: u64,
    covers: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let spec: SourceSpec = arguments.source.parse()?;
    let live = spec.is_live();
    let (timings, recognition) = rules(arguments)?;
    anyhow::ensure!(
        recognition == Recognition::Presence || !arguments.operator.is_empty(),
        "no operator was given. Give a file of `sudare enroll` with --operator, or --recognition presence"
    );
    let mut source = camera::open(&spec, SourceOptions { fps: arguments.fps }, clock::boottime_ms)?;
    let engine = Engine::from_cache()?;
    let rotation = operator::device_rotation(&operator::device_dir()?)?;
    let operators = operator::load(&arguments.operator, rotation, *engine.embedder_sha256.as_bytes())?;
    for region in operators.marked.regions() {
        output::note(&format!("not a person: {}", shares(region)));
    }
    let mode = if live { Mode::Live } else { Mode::Lockstep };
    let mut vision = Vision::new(engine, operators, recognition, mode)?;
    let spinner = output::spinner(arguments.json);
    spinner.set_message(source.describe());
    let mut failed = None;
    let mut tell = |change: &Change| {
        if arguments.json {
            failed = output::json(change).err();
        } else {
            spinner.suspend(|| output::line(&describe(change)));
        }
    };
    let presence = Presence::new(&timings);
    let mut battery = Battery::new(arguments.battery);
    let mut thrift = |now_ms| battery.is_spared(now_ms);
    let clock = clock::boottime_ms;
    let summary = watch(source.as_mut(), &mut vision, presence, live, clock, &mut thrift, &mut tell);
    spinner.finish_and_clear();
    if let Some(error) = failed {
        return Err(error);
    }
    let end = End { end: true, frames: summary.frames, cpu_ms: clock::cpu_ms(), covers: summary.covers };
    if arguments.json {
        output::json(&end)?;
    } else {
        output::line(&format!(
            "{} frames, covered {} time(s), {} ms of CPU",
            end.frames, end.covers, end.cpu_ms
        ));
    }
    match summary.end {
        CameraFault::Ended { .. } => Ok(()),
        fault => Err(fault.into()),
    }
}

fn rules(arguments: &Arguments) -> anyhow::Result<(Timings, Recognition)> {
    let given = arguments.recognition.map(Point::chosen);
    let Some(policy) = &arguments.policy else { return Ok((Timings::default(), given.unwrap_or_default())) };
    let key = device::organisation(&operator::device_dir()?, arguments.org_key.as_deref())?;
    let bytes = read_small(policy)?;
    let signed = Signed::<Policy>::verify(&key, &bytes, clock::wall_ms())
        .with_context(|| policy.display().to_string())?;
    let in_force =
        signed.record().in_force(arguments.group.as_deref()).with_context(|| policy.display().to_string())?;
    Ok((in_force.timings, given.unwrap_or(in_force.eyes.recognition)))
}

fn read_small(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(RECORD_MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

fn describe(change: &Change) -> String {
    let screen = if change.cover { "covered" } else { "visible" };
    #[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
    let seconds = change.t_ms as f64 / 1000.0;
    let why = if change.cover { format!(" ({})", change.reason) } else { String::new() };
    format!("{seconds:8.1} s  {screen}{why:20}  {} face(s): {}", change.faces, change.state)
}
