//! `cargo xtask bench`: a table, and `target/bench/bench.json`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is for people")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sudare_tests::bench::{self, Row};
use sudare_tests::demo::Stage;

const WAN_RTT: Duration = Duration::from_millis(150);

/// Measures this machine, beside the same work in OpenCV.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where everything is put
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
    /// How often the desktop is covered over loopback
    #[arg(long, default_value_t = 120)]
    rounds: usize,
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
    let (bin, photographs, python) =
        (path("SUDARE_BIN_DIR")?, path("SUDARE_TEST_PICTURES")?, path("SUDARE_BENCH_PYTHON")?);
    let models = sudare_models::Store::default_dir()?;
    let bar = ProgressBar::new(6);
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let step = |text: &str| {
        bar.set_message(text.to_owned());
        bar.inc(1);
    };
    step("keys, records, enrolment, the host");
    let mut stage = Stage::new(&arguments.out, &bin)?;
    // The shortest release that a policy may have, so that a hundred rounds take minutes.
    stage.prepare_with(&Stage::enrolment_pictures(&photographs), "[numbers]\nrelease_ms = 1000\n")?;
    stage.serve()?;
    step("signing and verifying");
    let crypto_us = bench::attest_sign_verify_us()?;
    step("CPU beside OpenCV");
    let cpu = bench::cpu(&stage, &photographs, &python, &models)?;
    step("decision to black over loopback");
    let near = bench::latency(&stage, arguments.rounds, None)?;
    step("decision to black over 150 ms");
    let far = bench::latency(&stage, arguments.rounds / 4, Some(WAN_RTT))?;
    step("peak memory of the client");
    let peak_mb = bench::client_peak_mb(&stage, &photographs)?;
    stage.end()?;
    bar.finish_and_clear();

    let (near, far) = (bench::summary(near.to_black_ms), bench::summary(far.to_black_ms));
    let ratio = cpu.sudare / cpu.opencv;
    let figure = |value: &serde_json::Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
    let rows = [
        Row { name: "CPU, Sudare", value: cpu.sudare, unit: "ms/s", needed: None },
        Row { name: "CPU, OpenCV on every frame", value: cpu.opencv, unit: "ms/s", needed: None },
        Row { name: "CPU ratio", value: ratio, unit: "", needed: Some(0.35) },
        Row { name: "decision to black, p50", value: figure(&near, "p50"), unit: "ms", needed: Some(40.0) },
        Row { name: "decision to black, p99", value: figure(&near, "p99"), unit: "ms", needed: Some(100.0) },
        Row {
            name: "decision to black, 150 ms RTT p50",
            value: figure(&far, "p50"),
            unit: "ms",
            needed: None,
        },
        Row {
            name: "decision to black, 150 ms RTT p99",
            value: figure(&far, "p99"),
            unit: "ms",
            needed: None,
        },
        Row { name: "attestation, sign and verify", value: crypto_us, unit: "us", needed: Some(300.0) },
        Row { name: "peak memory of the client", value: peak_mb, unit: "MB", needed: Some(250.0) },
    ];
    rows.iter().for_each(|row| println!("{}", row.text()));
    let figures = json!({
        "cpu_ratio_vs_opencv": ratio,
        "cpu_ms_per_watched_second": { "sudare": cpu.sudare, "opencv": cpu.opencv },
        "decision_to_black_ms": near,
        "wan_lock_to_black_ms": far,
        "wan_rtt_ms": u64::try_from(WAN_RTT.as_millis())?,
        "attest_sign_verify_us": crypto_us,
        "client_peak_mb": peak_mb,
    });
    let file = arguments.out.join("bench.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&figures)?)?;
    println!("{}", file.display());
    Ok(())
}

fn path(variable: &str) -> anyhow::Result<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .with_context(|| format!("{variable} is not set. Run `cargo xtask bench`, which sets it"))
}
