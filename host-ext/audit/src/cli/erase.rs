//! `approve` and `erase`: pictures go before their time only if two people want it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use sudare_audit::erase::{self, Announce, Erased, Survey};
use sudare_audit::live_log::LiveStore;
use sudare_base::clock;
use sudare_base::files::write_private;
use sudare_base::language::Language::{self, En, Ja};
use sudare_evidence::log::{LogKeys, LogStore, Settings};
use sudare_evidence::reader::Store;
use sudare_protocol::approval::{self, APPROVAL_MAX_BYTES, Approval};
use sudare_protocol::evidence::Id;
use sudare_protocol::evidence::event::BlobId;
use sudare_protocol::hex::unhex;
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use sudare_records::keys;

use crate::cli::commands::{find_one, read, read_key};
use crate::cli::output;

const HOUR_MS: u64 = 3_600_000;
const KEY_ADVICE: &str = "Give the file that Sudare wrote, or that the security team gave you";

const APPROVE_EXAMPLES: &str = "\
Examples:
  sudare-audit approve 3f5c00112233445566778899aabbccdd --log log.vkey --key mine.key --reason-code 2 --out mine.approval
  sudare-audit approve 3f5c00112233445566778899aabbccdd --log log.vkey --key mine.key --reason-code 2 --blob 0011… --out mine.approval

The reason is a number to which your organisation gives a meaning: the log holds no texts.
Exit codes: 0 signed, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = APPROVE_EXAMPLES)]
pub(crate) struct ApproveArgs {
    /// Id of the incident, all 32 digits
    incident: String,
    /// Only this picture of it; may be given several times
    #[arg(long)]
    blob: Vec<String>,
    /// File with the log's public key
    #[arg(long)]
    log: PathBuf,
    /// Your secret key; its public half is in the policy
    #[arg(long)]
    key: PathBuf,
    /// Why, as a number of your organisation
    #[arg(long)]
    reason_code: u16,
    /// How long the approval can be used
    #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u64).range(1..=744))]
    valid_hours: u64,
    /// File for the approval; it must not exist
    #[arg(long)]
    out: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const ERASE_EXAMPLES: &str = "\
Examples:
  sudare-audit erase /var/lib/sudare-recorder/evidence --incident 3f5c --key log.vkey --org-key organisation.pub \\
      --recorder /run/sudare-recorder/socket --approval first.approval --approval second.approval
  sudare-audit erase /srv/evidence --incident 3f5c --key log.vkey --org-key organisation.pub --log-key log.key \\
      --approval first.approval --approval second.approval

Erasing is an entry of the log. With --recorder the running recorder writes it, and sessions go on: run this on the
host, as root or as the recorder's user. With --log-key this program does, while no recorder runs. First the
tombstone is in the log, then the pictures are deleted; after a crash, run it again. The log still verifies.
Copies elsewhere (shipped, exported, in backups) are not reached from here.
Exit codes: 0 erased, 2 refused or could not be done; nothing is erased then.";

#[derive(Debug, Args)]
#[command(after_help = ERASE_EXAMPLES)]
pub(crate) struct EraseArgs {
    /// Folder of the evidence store
    dir: PathBuf,
    /// Id of the incident, or how it begins
    #[arg(long, requires = "writer")]
    incident: String,
    /// Only this picture of it (32 digits); may be given several times
    #[arg(long)]
    blob: Vec<String>,
    #[command(flatten)]
    keys: WriterArgs,
    /// A signed approval; two by different approvers are needed
    #[arg(long)]
    approval: Vec<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What it takes to write into a log.
#[derive(Debug, Args)]
pub(crate) struct WriterArgs {
    /// File with the log's public key
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// File with the organisation's public key, which signs policies
    #[arg(long)]
    pub(crate) org_key: PathBuf,
    /// The log's secret key, on the host, while no recorder runs
    #[arg(long, group = "writer")]
    pub(crate) log_key: Option<PathBuf>,
    /// Socket of the running recorder, which writes into its log what is erased
    #[arg(long, group = "writer")]
    pub(crate) recorder: Option<PathBuf>,
}

pub(crate) fn approve(args: &ApproveArgs, language: Language) -> anyhow::Result<bool> {
    let line = read(&args.log, MAX_VKEY_BYTES)?;
    let log: VerifierKey = String::from_utf8_lossy(&line).parse().context("--log")?;
    let approver = keys::read_secret(&args.key, KEY_ADVICE)?;
    let made_ms = clock::wall_ms();
    let approval = Approval {
        version: approval::VERSION,
        origin: log.name().to_owned(),
        incident_id: whole_id(&args.incident)?,
        pictures: ids(&args.blob)?.into_iter().map(BlobId).collect(),
        reason_code: args.reason_code,
        made_ms,
        expires_ms: made_ms + args.valid_hours * HOUR_MS,
    };
    if args.out.exists() {
        bail!("{} is there already. Give another name: nothing is overwritten.", args.out.display());
    }
    write_private(&args.out, &approval::sign(&approval, &approver)?)?;
    if args.json {
        output::json(&json!({ "ok": true, "file": args.out, "expires_ms": approval.expires_ms }))?;
    } else {
        output::line(&match language {
            Ja => format!("承認に署名しました：{}（{} 時間有効）", args.out.display(), args.valid_hours),
            En => format!("Approval signed: {} (valid for {} hours).", args.out.display(), args.valid_hours),
        });
    }
    Ok(true)
}

pub(crate) fn erase(args: &EraseArgs, language: Language) -> anyhow::Result<bool> {
    let approvals =
        args.approval.iter().map(|path| read(path, APPROVAL_MAX_BYTES)).collect::<Result<Vec<_>, _>>()?;
    let (survey, verifier) = look(&args.dir, &args.keys)?;
    let incident = find_one(&survey.incidents, &args.incident)?;
    let erasure = erase::approved(&survey, incident, &ids(&args.blob)?, approvals, clock::wall_ms())?;
    let mut log = writer(&args.dir, &args.keys, &survey, &verifier)?;
    let erased = erase::erase(&mut *log, &[erasure], survey.unfinished())?;
    tell(&erased, args.json, language)?;
    Ok(true)
}

/// Surveys a store before anything of it is erased.
pub(crate) fn look(dir: &Path, keys: &WriterArgs) -> anyhow::Result<(Survey, VerifierKey)> {
    let verifier = read_key(dir, &keys.key)?;
    let organisation = keys::read_public(&keys.org_key, KEY_ADVICE)?;
    let survey = Survey::make(&Store::open(dir)?, &verifier, &organisation)?;
    Ok((survey, verifier))
}

/// The running recorder, or the log opened for writing, which its lock allows only while none runs.
pub(crate) fn writer(
    dir: &Path,
    keys: &WriterArgs,
    survey: &Survey,
    verifier: &VerifierKey,
) -> anyhow::Result<Box<dyn Announce>> {
    match (&keys.recorder, &keys.log_key) {
        (Some(socket), _) => Ok(Box::new(LiveStore::open(dir, socket, verifier)?)),
        (None, Some(path)) => Ok(Box::new(open_log(dir, path, survey, verifier)?)),
        (None, None) => bail!(
            "Erasing is an entry of the log. Give the running recorder's socket with --recorder, or, while none \
             runs, the log's secret key with --log-key."
        ),
    }
}

fn open_log(dir: &Path, path: &Path, survey: &Survey, verifier: &VerifierKey) -> anyhow::Result<LogStore> {
    let log = keys::read_secret(path, KEY_ADVICE)?;
    if log.verifying_key() != *verifier.key() {
        bail!(
            "{} is not the key of this log. Give the log.key of the host that the store is of.",
            path.display()
        );
    }
    let host = survey.host().context("The log names no host key. Run `sudare-audit verify`.")?;
    let keys = LogKeys { origin: verifier.name().to_owned(), log, host_key: host.key };
    let boot_id = clock::boot_id()?;
    let dir = dir.to_owned();
    let host_record = host.record.clone();
    Ok(LogStore::open(Settings { dir, keys, host_record, boot_id })?)
}

/// What was done.
pub(crate) fn tell(erased: &Erased, json: bool, language: Language) -> anyhow::Result<()> {
    if json {
        return output::json(&json!({ "ok": true, "erased": erased }));
    }
    let (pictures, files) = (erased.pictures, erased.files);
    output::line(&match language {
        Ja => format!("画像 {pictures} 枚の消去をログに記録し、ファイル {files} 個を削除しました。"),
        En => format!("{pictures} pictures erased in the log, {files} files deleted."),
    });
    Ok(())
}

fn ids(texts: &[String]) -> anyhow::Result<Vec<Id>> {
    texts.iter().map(|text| whole_id(text)).collect()
}

fn whole_id(text: &str) -> anyhow::Result<Id> {
    let id = unhex(&text.trim().to_ascii_lowercase());
    id.with_context(|| format!("`{text}` is no id of 32 hex digits. `sudare-audit list --json` shows them."))
}
