//! `cargo xtask bench`: a table, and `target/bench/bench.json`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is for people")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use sudare_demo::bench::clips::Cast;
use sudare_demo::bench::{self, Needed, Table};
use sudare_test_kit::stage::Stage;

const WAN_RTT: Duration = Duration::from_millis(150);
/// Pictures over which memory must not grow.
const FRAMES: u64 = 10_000;
const FRAMES_LONG: u64 = 100_000;
/// For all parts, on two cores.
const MINUTES_MAX: f64 = 60.0;

/// Measure this machine, next to the same work in OpenCV
///
/// A figure that misses what is needed is printed as MISSED; one that is missing altogether makes this program fail.
#[derive(Debug, Parser)]
struct Arguments {
    /// Output folder
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
    /// How often the desktop is covered over loopback
    #[arg(long, default_value_t = 120)]
    rounds: usize,
    /// Measure one part alone; bench.json keeps what others measured before
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Ten times as many pictures to see whether memory grows
    #[arg(long)]
    long: bool,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The person's end: CPU, memory, decision to black
    Seat,
    /// Incidents, entries, audits, kills
    Evidence,
    /// The gate: what it adds, how soon it covers in a session of xrdp, and the attacks
    Gate,
    /// A seat by a code, what takes it away, and a bundle of 10,000 devices
    Fleet,
    /// What a site would see: hosts with systemd, attacks and desktops; alone or with --long, for it takes 40 minutes
    Field,
    /// Packages, what a change rebuilds, the demo on a busy machine
    Build,
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        match self.only {
            Some(only) => only == part,
            None => part != Part::Field || self.long,
        }
    }
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let bar = ProgressBar::new(20);
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let step = |text: &str| {
        bar.set_message(text.to_owned());
        bar.inc(1);
    };
    std::fs::create_dir_all(&arguments.out)?;
    let file = arguments.out.join("bench.json");
    let mut figures = earlier(&file, arguments.only)?;
    let (started, mut missing) = (Instant::now(), Vec::new());
    for part in Part::value_variants().iter().filter(|part| arguments.wants(**part)) {
        let (mut table, begun) = (Table::default(), Instant::now());
        if let Err(error) = measure(*part, &mut table, arguments, &step) {
            table.broke_off(&part.name(), &format!("{error:#}"));
        }
        let took_s = begun.elapsed().as_secs_f64();
        bar.suspend(|| {
            table.lines().for_each(|line| println!("{line}"));
            println!("the part {} took {took_s:.0} s", part.name());
        });
        table.merge_into(&mut figures, &part.name(), took_s);
        missing.extend_from_slice(table.missing());
        // Each part at once: what was measured is kept whatever comes after.
        std::fs::write(&file, serde_json::to_vec_pretty(&figures)?)?;
    }
    bar.finish_and_clear();
    if arguments.only.is_none() {
        let mut all = Table::default();
        let minutes = started.elapsed().as_secs_f64() / 60.0;
        all.row("all parts together", Some(minutes), "min", Needed::AtMost(MINUTES_MAX));
        all.lines().for_each(|line| println!("{line}"));
        figures.insert("took_min".to_owned(), json!(minutes));
        std::fs::write(&file, serde_json::to_vec_pretty(&figures)?)?;
    }
    println!("{}", file.display());
    ensure!(missing.is_empty(), "{} figures are missing:\n{}", missing.len(), missing.join("\n"));
    Ok(())
}

/// What other parts measured before; a whole run starts anew.
fn earlier(file: &Path, only: Option<Part>) -> anyhow::Result<Map<String, Value>> {
    match std::fs::read(file) {
        Ok(bytes) if only.is_some() => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged. Remove it, and measure all parts", file.display())),
        _ => Ok(Map::new()),
    }
}

fn measure(part: Part, table: &mut Table, arguments: &Arguments, step: &dyn Fn(&str)) -> anyhow::Result<()> {
    let (bin, out) = (path("SUDARE_BIN_DIR")?, &arguments.out);
    match part {
        Part::Seat => seat(table, arguments, &bin, step),
        Part::Evidence => {
            step("evidence: durable incidents, entries, kills");
            bench::evidence::measure(table, &bin, &out.join("recorder"))?;
            step("evidence: the log and its audit");
            bench::log::measure(&out.join("log"), &bin.join("sudare-audit"))?.tell(table);
            Ok(())
        }
        Part::Gate => bench::gate::measure(table, &bin, &std::path::absolute(out.join("gate"))?, step),
        Part::Fleet => bench::fleet::measure(table, &bin, &std::path::absolute(out.join("fleet"))?, step),
        Part::Field => {
            let (photographs, out) = (path("SUDARE_TEST_PICTURES")?, std::path::absolute(out.join("field"))?);
            bench::field::measure(table, &bin, &photographs, &out, step)
        }
        Part::Build => {
            step("packages, rebuilds, the demo on a busy machine");
            bench::build::measure(table, &std::env::current_dir()?, &std::path::absolute(out.join("demo"))?)
        }
    }
}

/// One stage for all that is measured at the person's end.
fn seat(table: &mut Table, arguments: &Arguments, bin: &Path, step: &dyn Fn(&str)) -> anyhow::Result<()> {
    let (photographs, python) = (path("SUDARE_TEST_PICTURES")?, path("SUDARE_BENCH_PYTHON")?);
    step("keys, records, enrolment, the host");
    let mut stage = Stage::new(&arguments.out.join("seat"), bin)?;
    // The shortest release that a policy may have, so that a hundred rounds take minutes.
    stage.prepare_with(&Stage::enrolment_pictures(&photographs), "[timings]\nrelease_ms = 1000\n")?;
    stage.serve()?;
    eyes(table, &stage, &photographs, &python, arguments.long, step)?;
    loopback(table, &stage, &photographs, arguments.rounds, step)?;
    step("cost of the plugin in xfreerdp");
    bench::plugin::measure(table, &stage, &photographs)?;
    stage.end()
}

/// What watching costs, beside the peer.
fn eyes(
    table: &mut Table,
    stage: &Stage,
    photographs: &Path,
    python: &Path,
    long: bool,
    step: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let models = sudare_models::Store::default_dir()?;
    for (cast, key, name, needed) in [
        (Cast::Mixed, "cpu_ratio_vs_opencv", "CPU ratio", 0.35),
        (Cast::Quiet, "cpu_ratio_quiet", "CPU ratio, the operator alone", 0.15),
        (Cast::ThreeFaces, "cpu_ratio_three_faces", "CPU ratio, three faces", 0.5),
    ] {
        step("CPU beside OpenCV");
        let clip = bench::clips::write(stage, photographs, cast)?;
        let cpu = bench::cpu(stage, &clip, python, &models)?;
        table.row(&format!("{name}: Sudare"), Some(cpu.sudare), "ms/s", Needed::Nothing);
        table.row(&format!("{name}: OpenCV on every frame"), Some(cpu.opencv), "ms/s", Needed::Nothing);
        table.row(name, Some(cpu.ratio()), "", Needed::AtMost(needed));
        table.keep(key, cpu.ratio());
        if cast == Cast::Mixed {
            table.keep("cpu_ms_per_watched_second", json!({ "sudare": cpu.sudare, "opencv": cpu.opencv }));
            step("from bytes to pictures");
            let capture = bench::summary(bench::capture_ms(&clip)?);
            table.row("picture decoded, p95", capture["p95"].as_f64(), "ms", Needed::AtMost(8.0));
            table.keep("capture_ms", capture);
            step("memory over many pictures");
            let frames = if long { FRAMES_LONG } else { FRAMES };
            let growth_mb = bench::growth_mb(stage, &bench::clips::repeated(&clip, frames)?)?;
            table.row("memory grows while watching", Some(growth_mb), "MB", Needed::AtMost(5.0));
            table.keep("rss_growth_mb", json!({ "value": growth_mb, "frames": frames }));
        }
    }
    Ok(())
}

/// The embedded host over loopback.
fn loopback(
    table: &mut Table,
    stage: &Stage,
    photographs: &Path,
    rounds: usize,
    step: &dyn Fn(&str),
) -> anyhow::Result<()> {
    step("signing and verifying");
    let crypto_us = bench::attest_sign_verify_us()?;
    step("decision to black over loopback");
    let near = bench::summary(bench::latency(stage, rounds, None)?.to_black_ms);
    step("decision to black over 150 ms");
    let far = bench::summary(bench::latency(stage, rounds / 4, Some(WAN_RTT))?.to_black_ms);
    step("peak memory of the client");
    let peak_mb = bench::client_peak_mb(stage, photographs)?;
    for (name, value, unit, needed) in [
        ("decision to black, p50", near["p50"].as_f64(), "ms", Needed::AtMost(40.0)),
        ("decision to black, p99", near["p99"].as_f64(), "ms", Needed::AtMost(100.0)),
        ("decision to black, 150 ms RTT p50", far["p50"].as_f64(), "ms", Needed::Nothing),
        ("decision to black, 150 ms RTT p99", far["p99"].as_f64(), "ms", Needed::Nothing),
        ("attestation, sign and verify", Some(crypto_us), "us", Needed::AtMost(300.0)),
        ("peak memory of the client", Some(peak_mb), "MB", Needed::AtMost(300.0)),
    ] {
        table.row(name, value, unit, needed);
    }
    table.keep("decision_to_black_ms", near);
    table.keep("wan_lock_to_black_ms", far);
    table.keep("wan_rtt_ms", u64::try_from(WAN_RTT.as_millis())?);
    table.keep("attest_sign_verify_us", crypto_us);
    table.keep("client_peak_mb", peak_mb);
    Ok(())
}

fn path(variable: &str) -> anyhow::Result<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .with_context(|| format!("{variable} is not set. Run `cargo xtask bench`, which sets it"))
}
