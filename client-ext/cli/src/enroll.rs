//! `sudare enroll`: creates an operator file from pictures.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use sudare_client_runtime::operator;
use sudare_client_runtime::random::random;
use sudare_vision::engine::Engine;
use sudare_vision::enroll;

use crate::output;

/// Create an operator file from pictures of one person
///
/// Give one to six pictures that show nobody else. The file works on this device only.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sudare enroll --image glasses.jpg --image evening.jpg --out me.operator")]
pub(crate) struct Arguments {
    /// A JPEG or PNG picture of the operator; may be repeated, or list several files
    #[arg(long = "image", value_name = "FILE", required = true, num_args = 1..)]
    images: Vec<PathBuf>,
    /// The operator file to write
    #[arg(long, value_name = "OPERATOR")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut engine = Engine::from_cache()?;
    let rotation = operator::device_rotation(&operator::device_dir()?)?;
    let operator_id = random().map_err(|_| operator::OperatorError::NoRandomness)?;
    let template = enroll::enroll(&mut engine, &arguments.images, &rotation, operator_id)?;
    let bytes = template.to_bytes().context("cannot create the operator file")?;
    operator::write_private(&arguments.out, &bytes)?;
    let (count, out) = (template.vectors.len(), arguments.out.display());
    output::line(&format!("enrolled from {count} picture(s): {out}"));
    Ok(())
}
