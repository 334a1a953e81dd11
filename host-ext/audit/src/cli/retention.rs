//! `retention`: what has been kept long enough, and its end.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use sudare_audit::erase::{self, Erased, unlisted};
use sudare_audit::retention::{self as rules, HOLDS_MAX_BYTES, Plan, Row};
use sudare_base::clock;
use sudare_base::language::Language::{self, En, Ja};

use crate::cli::commands::read;
use crate::cli::erase::{WriterArgs, look, writer};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  sudare-audit retention /srv/evidence --key log.vkey --org-key organisation.pub
  sudare-audit retention /var/lib/sudare-recorder/evidence --key log.vkey --org-key organisation.pub --hold holds.txt \\
      --recorder /run/sudare-recorder/socket --apply
  sudare-audit retention /srv/evidence --key log.vkey --org-key organisation.pub --hold holds.txt --log-key log.key --apply

With --recorder the recorder goes on meanwhile, and so do sessions (as root or as the recorder's user). Without --apply nothing is changed: it shows what would go. How long pictures are kept is in the signed policy of
each session (full pictures 72 h, all others 14 days, unless it says otherwise). The file of --hold has one incident
id a line; those stay.
Exit codes: 0 done, 1 some incidents cannot be judged (they stay), 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RetentionArgs {
    /// Folder of the evidence store
    dir: PathBuf,
    #[command(flatten)]
    keys: WriterArgs,
    /// File with the incidents under legal hold
    #[arg(long)]
    hold: Option<PathBuf>,
    /// Erase; needs --recorder, or --log-key while no recorder runs
    #[arg(long, requires = "writer")]
    apply: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn retention(args: &RetentionArgs, language: Language) -> anyhow::Result<bool> {
    let holds = match &args.hold {
        Some(path) => {
            let text = String::from_utf8(read(path, HOLDS_MAX_BYTES)?).context("the holds are no text")?;
            rules::parse_holds(&text)?
        }
        None => BTreeSet::new(),
    };
    let (survey, verifier) = look(&args.dir, &args.keys)?;
    let plan = rules::plan(&survey, &holds, clock::wall_ms());
    let now = clock::wall();
    let left = unlisted::find(&args.dir, &survey, now)?;
    let mut erased = None;
    if args.apply {
        let mut log = writer(&args.dir, &args.keys, &survey, &verifier)?;
        let bar = output::progress(plan.erasures.len() as u64);
        let mut sum = erase::erase(&mut *log, &[], survey.unfinished())?;
        for erasure in &plan.erasures {
            let one = erase::erase(&mut *log, std::slice::from_ref(erasure), &[])?;
            sum = Erased {
                pictures: sum.pictures + one.pictures,
                files: sum.files + one.files,
                entry: one.entry.or(sum.entry),
            };
            bar.inc(1);
        }
        bar.finish_and_clear();
        // Only while the recorder runs: entries that it left behind in a crash are not in the survey.
        if args.keys.recorder.is_some() {
            sum.files += unlisted::remove(&args.dir, &left, now)?;
        }
        erased = Some(sum);
    }
    let ok = plan.unknown.is_empty();
    if args.json {
        let unfinished = survey.unfinished().len();
        output::json(
            &json!({ "ok": ok, "plan": plan, "unfinished": unfinished, "unlisted": left, "erased": erased }),
        )?;
        return Ok(ok);
    }
    table(&plan, language).iter().for_each(|line| output::line(line));
    if !left.is_empty() {
        let count = left.len();
        output::line(&match language {
            Ja => format!(
                "ログに載っていない古い画像ファイル {count} 個（--recorder と --apply で削除します）。"
            ),
            En => format!(
                "{count} old files of pictures that no entry lists (--recorder with --apply deletes them)."
            ),
        });
    }
    match erased {
        Some(erased) => crate::cli::erase::tell(&erased, false, language)?,
        None => output::line(match language {
            Ja => "試行のみです。何も変更していません（--apply で消去します）。",
            En => "Dry run: nothing was changed (--apply erases).",
        }),
    }
    Ok(ok)
}

fn table(plan: &Plan, language: Language) -> Vec<String> {
    let row = |row: &Row, state: &str| {
        let (incident, blob) = (short(&row.incident), short(&row.blob));
        let (label, age, kept) = (&row.label, row.age_hours, row.kept_hours);
        format!(
            "  {incident:<12}  {blob}  {label:<26} {age:>6} h  / {kept:>5} h  {:>10} B  {state}",
            row.size
        )
    };
    let (due, held) = match language {
        Ja => ("期限到来", "保全対象"),
        En => ("due", "held"),
    };
    let mut lines = vec![match language {
        Ja => "  インシデント  画像      種類                         経過      / 保存期間        サイズ"
            .to_owned(),
        En => "  incident      picture   what                          age      /    kept         size"
            .to_owned(),
    }];
    lines.extend(plan.due.iter().map(|one| row(one, due)));
    lines.extend(plan.held.iter().map(|one| row(one, held)));
    let unknown = plan.unknown.iter();
    lines.extend(unknown.map(|one| format!("  {:<12}  ?  {}", short(&one.incident), one.why)));
    let (count, held, kept) = (plan.due.len(), plan.held.len(), plan.kept);
    let bytes: u64 = plan.due.iter().map(|row| row.size).sum();
    lines.push(match language {
        Ja => format!("期限到来 {count} 枚（{bytes} B）、保全 {held} 枚、期限内 {kept} 枚。"),
        En => format!("{count} pictures are due ({bytes} B), {held} are held, {kept} have time left."),
    });
    lines
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
