//! `approve` and `erase`: pictures are erased early only if two people have approved it.

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
use sudare_records::keys;

use crate::cli::inputs::{KEY_ADVICE, VKEY_FILE_MAX_BYTES, find_one, read, read_key, read_text, require_new};
use crate::cli::output;

const HOUR_MS: u64 = 3_600_000;

const APPROVE_EXAMPLES: &str = "\
Examples:
  sudare-audit approve 3f5c00112233445566778899aabbccdd --log log.vkey --key mine.key --reason-code 2 --out mine.approval
  sudare-audit approve 3f5c00112233445566778899aabbccdd --log log.vkey --key mine.key --reason-code 2 --blob 0011… --out mine.approval

The reason is a number whose meaning your organisation defines: the log holds no free text.
Exit codes: 0 signed, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = APPROVE_EXAMPLES)]
pub(crate) struct ApproveArgs {
    /// Id of the incident, all 32 hex digits
    incident: String,
    /// Approve this picture only; may be given several times
    #[arg(long)]
    blob: Vec<String>,
    /// File with the log's public key
    #[arg(long)]
    log: PathBuf,
    /// File with your secret key, whose public half is in the policy
    #[arg(long)]
    key: PathBuf,
    /// The reason, as a number that your organisation defines
    #[arg(long)]
    reason_code: u16,
    /// Hours for which the approval is valid
    #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u64).range(1..=744))]
    valid_hours: u64,
    /// File for the approval; must not exist
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const ERASE_EXAMPLES: &str = "\
Examples:
  sudare-audit erase /var/lib/sudare-recorder/evidence --incident 3f5c --key log.vkey --org-key organisation.pub \\
      --recorder /run/sudare-recorder/socket --approval first.approval --approval second.approval
  sudare-audit erase /srv/evidence --incident 3f5c --key log.vkey --org-key organisation.pub --log-key log.key \\
      --approval first.approval --approval second.approval

Each erasure becomes an entry of the log. With --recorder, the running recorder writes it and sessions go on: run this
on the host, as root or as the recorder's user. With --log-key, this program writes it itself, while no recorder runs.
The tombstone is durable in the log before any picture is deleted; after a crash, run the command again. The log still
verifies. Copies elsewhere (shipped, exported, in backups) are not erased.
Exit codes: 0 erased, 2 refused or could not be done; nothing is erased then.";

#[derive(Debug, Args)]
#[command(after_help = ERASE_EXAMPLES)]
pub(crate) struct EraseArgs {
    /// Folder of the evidence store
    dir: PathBuf,
    /// Id of the incident, or its first digits
    #[arg(long, requires = "writer")]
    incident: String,
    /// Erase this picture only (32 hex digits); may be given several times
    #[arg(long)]
    blob: Vec<String>,
    #[command(flatten)]
    keys: WriterArgs,
    /// File with a signed approval; two by different approvers are required
    #[arg(long)]
    approval: Vec<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What is needed to write to a log.
#[derive(Debug, Args)]
pub(crate) struct WriterArgs {
    /// File with the log's public key
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// File with the organisation's public key, which signs policies
    #[arg(long)]
    pub(crate) org_key: PathBuf,
    /// File with the log's secret key, to write to the log while no recorder runs
    #[arg(long, group = "writer")]
    pub(crate) log_key: Option<PathBuf>,
    /// Socket of the running recorder, which records in its log what is erased
    #[arg(long, group = "writer")]
    pub(crate) recorder: Option<PathBuf>,
}

pub(crate) fn approve(args: &ApproveArgs, language: Language) -> anyhow::Result<bool> {
    let line = read_text(&args.log, VKEY_FILE_MAX_BYTES)?;
    let log: VerifierKey = line.parse().context("the key given with --log cannot be used")?;
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
    require_new(&args.out)?;
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
            "an erasure must be recorded in the log. Give the running recorder's socket with --recorder or, while none \
             runs, the log's secret key with --log-key"
        ),
    }
}

fn open_log(dir: &Path, path: &Path, survey: &Survey, verifier: &VerifierKey) -> anyhow::Result<LogStore> {
    let log = keys::read_secret(path, KEY_ADVICE)?;
    if log.verifying_key() != *verifier.key() {
        bail!(
            "{} is not the key of this log. Give the log.key of the host that the store comes from",
            path.display()
        );
    }
    let host = survey.host().context("the log names no host key. Run `sudare-audit verify`")?;
    let keys = LogKeys { origin: verifier.name().to_owned(), log, host_key: host.key };
    let boot_id = clock::boot_id()?;
    let dir = dir.to_owned();
    let host_record = host.record.clone();
    Ok(LogStore::open(Settings { dir, keys, host_record, boot_id })?)
}

/// Prints what was erased.
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
    id.with_context(|| {
        format!("`{text}` is not an id of 32 hex digits. Run `sudare-audit list --json` to see them")
    })
}
