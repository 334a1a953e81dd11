//! `cargo xtask demo`: plays the main job on this machine and checks every step.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is for people")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sudare_demo::story::{self, Played, Player};
use sudare_test_kit::Pace;
use sudare_test_kit::scene::{Camera, Seat};
use sudare_test_kit::stage::{self, Stage};

/// Play the main job on this machine: a stranger looks, and the remote desktop turns black
#[derive(Debug, Parser)]
struct Arguments {
    /// Use this machine's webcam instead of the scene made from photographs
    #[arg(long)]
    camera: bool,
    /// Output folder
    #[arg(long, default_value = "target/demo", value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(&Arguments::parse()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<String> {
    let bin = folder("SUDARE_BIN_DIR")?;
    let mut stage = Stage::new(&arguments.out, &bin)?;
    if arguments.camera {
        return story::live::run(&mut stage);
    }
    let photographs = folder("SUDARE_TEST_PICTURES")?;
    let bar = ProgressBar::new(u64::try_from(story::STORY.len())? + 6);
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let say = |text: &str| {
        bar.set_message(text.to_owned());
        bar.inc(1);
    };
    say("keys, records, enrolment");
    let (pace, started) = (Pace::start(), Instant::now());
    stage.prepare_with(&Stage::enrolment_pictures(&photographs), story::POLICY)?;
    say("the host");
    stage.serve()?;
    let camera = Camera::start(Seat::load(&photographs)?, &stage.dir.join("camera.fifo"))?;
    let seat = Seat::load(&photographs)?;
    say("the client");
    let client = Player::connect(&stage, &camera)?;
    let mut player =
        Player { stage: &stage, camera: &camera, seat: &seat, client, pace, started, reconnects: 0 };
    let mut steps = vec![story::log_on(&mut player.client, &stage, started, &player.pace)?];
    tell(&bar, &steps[0]);
    let mut show = |step: &Played| {
        tell(&bar, step);
        bar.inc(1);
    };
    steps.extend(player.play(&mut show)?);
    say("pictures on their way");
    player.end()?;
    let Player { pace, reconnects, .. } = player;
    say("what comes after a killed client");
    let after = story::after_kill(&stage, started, &pace)?;
    tell(&bar, &after);
    steps.push(after);
    stage.end()?;
    say("the evidence");
    let proof = stage::prove(&stage)?;
    bar.suspend(|| println!("evidence: {} entries verify; incidents: {}", proof.entries, proof.reasons()));
    story::draw(&stage.dir, &steps, &proof, &stage.dir.join("contact-sheet.png"))?;
    let machine = json!({ "slowness": pace.worst(), "reconnects": reconnects });
    let timeline = json!({ "machine": machine, "steps": steps, "incidents": proof.incidents });
    std::fs::write(stage.dir.join("timeline.json"), serde_json::to_vec_pretty(&timeline)?)?;
    bar.finish_and_clear();
    println!("contact sheet: {}", stage.dir.join("contact-sheet.png").display());
    println!("incident page: {}", proof.page.display());
    println!("this machine was up to {:.1} times slower than an idle one", pace.worst());
    if reconnects > 0 {
        println!("the host ended {reconnects} connections whose client was too slow, and it connected again");
    }
    last_line(&steps)
}

fn tell(bar: &ProgressBar, step: &Played) {
    let shown = if step.covered { format!("covered ({})", step.reason) } else { "desktop".to_owned() };
    let latency = match step.latency_ms {
        Some(ms) => format!("{ms} ms after the decision"),
        None if step.reaction_ms > 0 => format!("{} ms after it began", step.reaction_ms),
        None => String::new(),
    };
    let seconds = Duration::from_millis(step.t_ms).as_secs_f32();
    // Not `bar.println`, which is silent where there is no terminal.
    let slow =
        if step.slowness >= 2.0 { format!("  machine {:.1}x slower", step.slowness) } else { String::new() };
    bar.suspend(|| println!("{seconds:6.1} s  {:<34} {shown:<36} {latency}{slow}", step.step));
}

fn last_line(steps: &[Played]) -> anyhow::Result<String> {
    let mut black: Vec<u64> = steps.iter().filter(|s| s.covered).filter_map(|s| s.latency_ms).collect();
    ensure!(!black.is_empty(), "no step measured how fast the cover came");
    black.sort_unstable();
    let (median, worst) = (black[black.len() / 2], black[black.len() - 1]);
    let n = steps.len();
    Ok(format!(
        "demo: ok, {n} of {n} steps, black after {median} ms median / {worst} ms worst, evidence verified"
    ))
}

fn folder(variable: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .with_context(|| format!("{variable} is not set. Run `cargo xtask demo`, which sets it"))?;
    ensure!(
        Path::new(&path).is_dir(),
        "{variable} = {} is not a folder. Run `cargo xtask demo`",
        path.display()
    );
    Ok(path)
}
