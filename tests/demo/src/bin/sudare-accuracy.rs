//! `cargo xtask accuracy`: a table, `target/accuracy/accuracy.json`, and a page with drawings.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is for people")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use sudare_demo::accuracy::{Options, Part, files, run};

/// Measure how accurate the eyes are, on people that you give
///
/// A figure that misses what is needed is printed as MISSED. What this version cannot measure is null in the file, with
/// its reason. Pictures of people stay in the output folder.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder with a clip, or a folder of pictures, of each person
    #[arg(long, env = "SUDARE_PEOPLE", value_name = "DIR")]
    people: Option<PathBuf>,
    /// Output folder
    #[arg(long, default_value = "target/accuracy", value_name = "DIR")]
    out: PathBuf,
    /// A few people and scenes, in two minutes: to see whether something broke, and not how accurate it is
    #[arg(long)]
    quick: bool,
    /// One part alone
    #[arg(long, value_name = "PART", value_parser = PossibleValuesParser::new(Part::all().iter().map(|part| part.as_str())))]
    only: Option<String>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match measure(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("accuracy: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: Arguments) -> anyhow::Result<()> {
    let people = arguments.people.context(
        "there are no people to measure with, and none belong to the project. Give a folder of clips with --people, see docs/accuracy.md",
    )?;
    let python = std::env::var_os("SUDARE_BENCH_PYTHON")
        .context("SUDARE_BENCH_PYTHON is not set. Run `cargo xtask accuracy`, which sets it")?;
    let only = arguments.only.and_then(|name| Part::all().into_iter().find(|part| part.as_str() == name));
    let options = Options { people, python: python.into(), out: arguments.out, quick: arguments.quick, only };
    for line in run(&options)? {
        println!("{line}");
    }
    for file in files(&options.out) {
        println!("{}", file.display());
    }
    Ok(())
}
