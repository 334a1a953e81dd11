//! Runs scenarios on a real xrdp session in namespaces, one JSON object for each.
//!
//! Exit code 0: all checks hold; 1: at least one does not; 77: this machine cannot run it, and the output says why.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is for people")]

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Parser;
use sudare_stack::booted;
use sudare_stack::xrdp::{Report, namespace, needs, scenarios};
use sudare_test_kit::needs::find;

/// The exit code by which test runners recognise a skipped test.
const SKIPPED: u8 = 77;
/// Size limit of one scenario's report.
const REPORT_BYTES_MAX: u64 = 4 << 20;

/// Run scenarios on a real xrdp session, in separate namespaces
#[derive(Debug, Parser)]
struct Arguments {
    /// Scenarios to run; without any, list them all
    scenarios: Vec<String>,
    /// Output folder for pictures, logs and reports
    #[arg(long, default_value = "target/stack", value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object per scenario
    #[arg(long)]
    json: bool,
    /// Run as pid 1 of a namespace
    #[arg(long, hide = true)]
    init: bool,
    /// Root of Debian 13 for a scenario that needs it
    #[arg(long, hide = true)]
    newer: Option<PathBuf>,
    /// Run inside the prepared namespace
    #[arg(long, hide = true)]
    inside: bool,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "warn,sudare_stack::xrdp::report=info".into()),
        )
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stack: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.init {
        let inside: Vec<OsString> =
            std::env::args_os().skip(1).map(|a| if a == "--init" { "--inside".into() } else { a }).collect();
        return namespace::init(&inside);
    }
    if arguments.inside {
        return play_inside(arguments);
    }
    if arguments.scenarios.is_empty() {
        for (name, says, _) in scenarios::ALL.concat() {
            println!("{name:28} {says}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    for name in &arguments.scenarios {
        let report = match needs::missing().map_or_else(|| newer(name), Err) {
            Err(reason) => Report { ok: false, skipped: Some(reason), ..Report::new(name) },
            Ok(newer) => play_outside(name, &arguments.out, newer.as_deref())?,
        };
        tell(&report, arguments.json, &arguments.out.join(name))?;
        if report.skipped.is_some() {
            code = ExitCode::from(SKIPPED);
        } else if !report.ok {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// The root of Debian 13, made if it is not there yet, if the scenario needs one; or why there is none.
fn newer(name: &str) -> Result<Option<PathBuf>, String> {
    if !scenarios::needs_debian_13(name) {
        return Ok(None);
    }
    if find(booted::TOOLS[0].0).is_none() {
        return Err(format!("apt-get install {}", booted::TOOLS[0].1));
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let kept = this.ancestors().nth(2).unwrap_or(&this).join("booted");
    booted::root(booted::TRIXIE_HOSTS, &kept).map(Some).map_err(|error| format!("{error:#}"))
}

/// Starts this program again in a namespace, and reads its report.
fn play_outside(name: &str, out: &Path, newer: Option<&Path>) -> anyhow::Result<Report> {
    let out = out.join(name);
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    std::fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let mut arguments: Vec<OsString> = vec!["--init".into(), name.into(), "--out".into(), out.clone().into()];
    arguments.extend(newer.into_iter().flat_map(|root| ["--newer".into(), root.into()]));
    let _alone = wait_for_others()?;
    let mut command: Command = namespace::command(&arguments)?;
    let status = command.stdin(Stdio::null()).status().context("cannot start setpriv")?;
    let file = out.join("report.json");
    let length = std::fs::metadata(&file).map_or(0, |about| about.len());
    ensure!(length > 0, "{name} ended ({status}) without a report; see its output above");
    ensure!(length <= REPORT_BYTES_MAX, "the report of {name} has {length} bytes");
    serde_json::from_slice(&std::fs::read(&file)?).with_context(|| format!("{} is damaged", file.display()))
}

/// Two stages at once would only slow each other down. The lock is on the program itself, so that
/// no file is left behind.
fn wait_for_others() -> anyhow::Result<File> {
    let program = File::open(std::env::current_exe()?)?;
    program.lock().context("cannot wait for another stage")?;
    Ok(program)
}

fn play_inside(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let name = arguments.scenarios.first().context("name a scenario")?;
    let this = std::env::current_exe()?;
    let programs = this.parent().context("the folder of this program is unknown")?;
    let given = needs::folders();
    let mut keep: Vec<&Path> = given.iter().map(PathBuf::as_path).collect();
    // Attackers are started from where this program lies.
    keep.extend([programs, &arguments.out]);
    let isolated = namespace::isolate(&keep, programs, arguments.newer.as_deref());
    let report = match isolated {
        Ok(()) => scenarios::play(name, &arguments.out),
        Err(error) => Report::new(name).finish(started, Err(error)),
    };
    std::fs::write(arguments.out.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(report: &Report, json: bool, out: &Path) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    if let Some(reason) = &report.skipped {
        println!("{}: NOT RUN: {reason}", report.scenario);
        return Ok(());
    }
    println!("{}: {} in {} ms", report.scenario, if report.ok { "ok" } else { "FAILED" }, report.took_ms);
    for check in &report.checks {
        println!("  {} {}: {}", if check.ok { "ok    " } else { "FAILED" }, check.name, check.detail);
    }
    if let Some(error) = &report.error {
        println!("  FAILED {error}");
    }
    draw(report, out)
}

/// One picture of all pictures, to look at.
fn draw(report: &Report, out: &Path) -> anyhow::Result<()> {
    if report.pictures.is_empty() {
        return Ok(());
    }
    let caption = |path: &PathBuf| {
        path.file_stem().map(|name| name.to_string_lossy().replace('-', " ")).unwrap_or_default()
    };
    let pictures: Vec<_> = report.pictures.iter().map(|path| (caption(path), out.join(path))).collect();
    let sheet = out.join("contact-sheet.png");
    sudare_stack::gallery::draw(&pictures, &sheet)?;
    println!("contact sheet: {}", sheet.display());
    let page = out.join(scenarios::INCIDENT_PAGE);
    if page.exists() {
        println!("incident page: {}", page.display());
    }
    Ok(())
}
