//! `coverage`: makes a signed report about one site and month, or verifies one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use sudare_audit::Walk;
use sudare_audit::coverage::signed::{self, FILE_MAX_BYTES, Form};
use sudare_audit::coverage::{self, Account, Basis, Month, Report};
use sudare_base::clock;
use sudare_base::files::write_private;
use sudare_base::language::Language::{self, En, Ja};
use sudare_evidence::reader::Store;
use sudare_protocol::tlog::SignedCheckpoint;
use sudare_records::keys;

use crate::cli::inputs::{KEY_ADVICE, read, read_key, require_new};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  sudare-audit coverage /srv/evidence --key log.vkey --month 2026-11 --zone Asia/Tokyo --site Osaka --sign coverage.key --out osaka.html
  sudare-audit coverage /srv/a /srv/b --key a.vkey --key b.vkey --month 2026-11 --site Osaka --sign coverage.key --out osaka.json
  sudare-audit coverage --verify osaka.html --signer coverage.pub

The report is about a site, never about a person: with fewer than three devices it holds percentages only.
Exit codes: 0 made or verified, 1 the logs have findings or the report is refused, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CoverageArgs {
    /// Folders of the site's evidence stores, or copies of them
    #[arg(required_unless_present = "verify")]
    dirs: Vec<PathBuf>,
    /// File with the public key of each log, in the same order
    #[arg(long)]
    key: Vec<PathBuf>,
    /// The month, as 2026-11
    #[arg(long, required_unless_present = "verify")]
    month: Option<String>,
    /// Time zone of the month
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Name of the site
    #[arg(long, required_unless_present = "verify")]
    site: Option<String>,
    /// File with the secret key that signs the report
    #[arg(long, required_unless_present = "verify")]
    sign: Option<PathBuf>,
    /// File for the report: a page if it ends in .html, otherwise JSON
    #[arg(long, required_unless_present = "verify")]
    out: Option<PathBuf>,
    /// Verify this report instead of making one
    #[arg(long, requires = "signer", conflicts_with_all = ["dirs", "key", "month", "site", "sign", "out"])]
    verify: Option<PathBuf>,
    /// File with the public key of the report's signer
    #[arg(long)]
    signer: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn coverage(args: &CoverageArgs, language: Language) -> anyhow::Result<bool> {
    if let (Some(file), Some(signer)) = (&args.verify, &args.signer) {
        return verify(file, signer, args.json, language);
    }
    let (Some(month), Some(site), Some(sign), Some(out)) = (&args.month, &args.site, &args.sign, &args.out)
    else {
        bail!("a report needs --month, --site, --sign and --out. See `sudare-audit coverage --help`");
    };
    if args.dirs.len() != args.key.len() {
        bail!(
            "there are {} folders but {} keys. Give one --key for each folder, in the same order",
            args.dirs.len(),
            args.key.len()
        );
    }
    let key = keys::read_secret(sign, KEY_ADVICE)?;
    let month = Month::parse(month, &args.zone)?;
    let mut account = Account::new(month.clone());
    let (mut checkpoints, mut ok, mut integrity) = (Vec::new(), true, true);
    for (dir, key) in args.dirs.iter().zip(&args.key) {
        let verifier = read_key(dir, key)?;
        let store = Store::open(dir)?;
        let report = Walk::new(&store, &verifier, &[]).run(|_, entry, _| {
            account.add(entry);
            Ok(())
        })?;
        account.end_log();
        (ok, integrity) = (ok && report.ok, integrity && report.integrity);
        let note = store.checkpoint()?.with_context(|| format!("{} has no checkpoint", dir.display()))?;
        checkpoints.push(SignedCheckpoint::open(&note, &verifier)?);
    }
    let made_ms = clock::wall_ms();
    let basis = Basis { site, month: &month, checkpoints: &checkpoints, integrity, made_ms };
    let report = coverage::report(&basis, account)?;
    let html = out.extension().is_some_and(|end| end == "html");
    let text = signed::sign(&report, &key, if html { Form::Html } else { Form::Json })?;
    require_new(out)?;
    write_private(out, text.as_bytes())?;
    tell(&report, out, ok, args.json, language)?;
    Ok(ok)
}

fn verify(file: &Path, signer: &Path, json: bool, language: Language) -> anyhow::Result<bool> {
    let key = keys::read_public(signer, KEY_ADVICE)?;
    if fs::metadata(file).is_ok_and(|data| data.len() > FILE_MAX_BYTES as u64) {
        bail!("{} is larger than any coverage report. Give the file that `--out` wrote", file.display());
    }
    let text = String::from_utf8(read(file, FILE_MAX_BYTES)?).context("the report is not text")?;
    match signed::open(&text, &key) {
        Ok(report) => tell(&report, file, true, json, language).map(|()| true),
        Err(error) => {
            if json {
                output::json(&json!({ "ok": false, "problem": error.to_string() }))?;
            } else {
                output::line(&error.to_string());
            }
            Ok(false)
        }
    }
}

fn tell(report: &Report, file: &Path, ok: bool, json: bool, language: Language) -> anyhow::Result<()> {
    if json {
        return output::json(&json!({ "ok": ok, "file": file, "report": report }));
    }
    let share = report
        .attested_milli
        .map_or_else(|| "–".to_owned(), |milli| format!("{}.{} %", milli / 10, milli % 10));
    output::line(&match language {
        Ja => format!(
            "{} {}：表示時間のうち端末の証明があった割合 {share}（{}）",
            report.site,
            report.month,
            file.display()
        ),
        En => format!(
            "{} {}: {share} of the visible time was attested ({})",
            report.site,
            report.month,
            file.display()
        ),
    });
    if report.suppressed {
        output::line(match language {
            Ja => "端末が 3 台未満のため、時間と件数は記載していません。",
            En => "Fewer than three devices: hours and counts are left out.",
        });
    }
    Ok(())
}
