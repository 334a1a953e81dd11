//! `retention`: shows which pictures have reached the end of their retention period, and erases them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sudare_audit::erase::{self, Erased, unlisted};
use sudare_audit::retention::{self as rules, HOLDS_MAX_BYTES, Plan, Row};
use sudare_base::clock;
use sudare_base::language::Language::{self, En, Ja};

use crate::cli::erase::{WriterArgs, look, tell, writer};
use crate::cli::inputs::read_text;
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  sudare-audit retention /srv/evidence --key log.vkey --org-key organisation.pub
  sudare-audit retention /var/lib/sudare-recorder/evidence --key log.vkey --org-key organisation.pub --hold holds.txt \\
      --recorder /run/sudare-recorder/socket --apply
  sudare-audit retention /srv/evidence --key log.vkey --org-key organisation.pub --hold holds.txt --log-key log.key --apply

Without --apply nothing is changed: the command shows what would be erased. With --recorder, recorder and sessions go on
meanwhile (run it as root or as the recorder's user). The signed policy of each session says how long pictures are kept
(by default 72 hours for full pictures, 14 days for all others). The file given with --hold has one incident id per line;
pictures of those incidents are kept.
Exit codes: 0 done, 1 the policy of some incidents is unknown (they are kept), 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RetentionArgs {
    /// Folder of the evidence store
    dir: PathBuf,
    #[command(flatten)]
    keys: WriterArgs,
    /// File with the ids of the incidents under legal hold
    #[arg(long)]
    hold: Option<PathBuf>,
    /// Erase them; needs --recorder, or --log-key while no recorder runs
    #[arg(long, requires = "writer")]
    apply: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn retention(args: &RetentionArgs, language: Language) -> anyhow::Result<bool> {
    let holds = match &args.hold {
        Some(path) => {
            let text = read_text(path, HOLDS_MAX_BYTES)?;
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
        // Only while the recorder runs: after a crash, the survey may lack entries that it has yet to recover.
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
                "{count} old picture files are not listed by any entry (--recorder with --apply deletes them)."
            ),
        });
    }
    match erased {
        Some(erased) => tell(&erased, false, language)?,
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
        En => format!("{count} pictures are due ({bytes} B), {held} are on hold, {kept} are within their retention period."),
    });
    lines
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
