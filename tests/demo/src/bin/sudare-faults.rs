//! Kills recorder, guards and clients, and counts what was lost; this program also plays the guards and clients.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is for people")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sudare_demo::bench::{self, Table};
use sudare_demo::faults::{self, Place, Plan, Programs};

/// Kill recorder, guards and clients in the middle of incidents
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Play a guard until killed
    Guard { place: PathBuf, number: usize },
    /// Play a client until killed
    Client {
        place: PathBuf,
        number: usize,
        device: u8,
        /// Only deliver what is left in the spool
        #[arg(long)]
        quiet: bool,
    },
    /// Kill, and report the outcome
    Run {
        /// Working folder; must be empty
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Program to run as the recorder
        #[arg(long, value_name = "FILE")]
        recorder: PathBuf,
        #[arg(long, default_value_t = 50)]
        kills: u32,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Number of guards, each with one client
        #[arg(long, default_value_t = 3)]
        pairs: usize,
    },
    /// Measure the recorder figures of `cargo xtask bench`
    Figures {
        /// Working folder; emptied first
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Folder with the programs
        #[arg(long, value_name = "DIR")]
        bin: PathBuf,
    },
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match act(Arguments::parse().what) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(what: What) -> anyhow::Result<ExitCode> {
    match what {
        What::Guard { place, number } => faults::guard::run(&place, number)?,
        What::Client { place, number, device, quiet } => faults::client::run(&place, number, device, quiet)?,
        What::Run { dir, recorder, kills, seed, pairs } => {
            let programs = Programs { recorder, sudare_faults: std::env::current_exe()? };
            let place = Place::prepare(&dir, &dir.join("evidence"))?;
            let outcome = faults::run(&place, &programs, Plan { kills, seed, pairs })?;
            println!("{outcome:#?}");
            if !outcome.verdict.is_good() {
                return Ok(ExitCode::FAILURE);
            }
        }
        What::Figures { dir, bin } => {
            let mut table = Table::default();
            bench::evidence::measure(&mut table, &bin, &dir)?;
            table.lines().for_each(|line| println!("{line}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
