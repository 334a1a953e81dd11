//! `verify`: checks whether the evidence can be relied on.

use std::path::PathBuf;

use clap::Args;
use sudare_audit::authority::Authority;
use sudare_audit::{Report, Timestamps, Walk};
use sudare_base::language::Language;
use sudare_evidence::reader::Store;
use sudare_protocol::VerifyingKey;
use sudare_protocol::verify::Depth;
use sudare_records::keys;

use crate::cli::inputs::{read_key, read_note, read_witnesses, require_outside};
use crate::cli::{messages, output};

const EXAMPLES: &str = "\
Examples:
  sudare-audit verify /srv/evidence --key log.vkey
  sudare-audit verify /srv/evidence --key log.vkey --org-key organisation.pub --witness witness.vkey --json
  sudare-audit verify /srv/evidence --key log.vkey --receipt checkpoint-of-monday
  sudare-audit verify /srv/copy --key log.vkey --timestamps /srv/copy/timestamps --tsa-cert authority.pem

Every root is computed from the entries; stored hashes are compared, never trusted. There are two classes of findings:
integrity (something was changed, removed or forged) and plausibility (it is genuine but looks odd).
Exit codes: 0 intact, 1 findings, 2 the audit could not be done.";

const ORG_KEY_ADVICE: &str =
    "Give the file with the organisation's public key that the security team gave you";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// File with the log's public key (name+hexid+base64)
    #[arg(long)]
    key: PathBuf,
    /// Checkpoint or receipt kept elsewhere; may be given several times
    #[arg(long)]
    receipt: Vec<PathBuf>,
    /// File with the organisation's public key: verify host records and policies as well
    #[arg(long)]
    org_key: Option<PathBuf>,
    /// File with a witness's public key: require its cosignature; may be given several times
    #[arg(long)]
    witness: Vec<PathBuf>,
    /// Folder of the time-stamp tokens that the shipper kept; needs openssl
    #[arg(long, value_name = "DIR", requires = "tsa_cert")]
    timestamps: Option<PathBuf>,
    /// Certificate of the time-stamp service, or of the authority that issued it (PEM)
    #[arg(long, value_name = "FILE", requires = "timestamps")]
    tsa_cert: Option<PathBuf>,
    /// Compute the tree only, without checking pictures or the signatures of entries and messages
    #[arg(long)]
    hash_only: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn verify(args: &VerifyArgs, language: Language) -> anyhow::Result<bool> {
    let report = audit(args)?;
    if args.json {
        output::json(&report)?;
    } else {
        messages::report(&report, language).iter().for_each(|line| output::line(line));
    }
    Ok(report.ok)
}

fn audit(args: &VerifyArgs) -> anyhow::Result<Report> {
    let verifier = read_key(&args.dir, &args.key)?;
    let receipts = args.receipt.iter().map(|path| read_note(path)).collect::<Result<Vec<_>, _>>()?;
    let organisation: Option<VerifyingKey> =
        args.org_key.as_ref().map(|path| keys::read_public(path, ORG_KEY_ADVICE)).transpose()?;
    let depth = if args.hash_only { Depth::Hashes } else { Depth::Signatures };
    let store = Store::open(&args.dir)?;
    let bar = output::progress(0);
    let mut progress = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let walk = Walk::new(&store, &verifier, &receipts)
        .with_organisation(organisation)
        .with_witnesses(read_witnesses(&args.witness)?)
        .with_timestamps(timestamps(args)?)
        .with_depth(depth)
        .with_progress(&mut progress);
    let report = walk.verify()?;
    bar.finish_and_clear();
    Ok(report)
}

fn timestamps(args: &VerifyArgs) -> anyhow::Result<Option<Timestamps>> {
    let (Some(folder), Some(certificate)) = (&args.timestamps, &args.tsa_cert) else { return Ok(None) };
    require_outside(&args.dir, certificate)?;
    require_outside(folder, certificate)?;
    Ok(Some(Timestamps { folder: folder.clone(), authority: Authority::new(certificate)? }))
}
