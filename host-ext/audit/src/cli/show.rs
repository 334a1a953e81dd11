//! `show`: summarises one incident without opening a picture and without any secret.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sudare_audit::summary::{self, Moment, PictureState, Shows, State, Summary, Text};
use sudare_audit::{Incident, Report};
use sudare_base::language::Language::{self, En, Ja};

use crate::cli::inputs::{collect, find_one, read_key};
use crate::cli::messages::{self, in_language};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  sudare-audit show /srv/evidence 3f5c --key log.vkey
  sudare-audit show /srv/evidence 3f5c --key log.vkey --json
  sudare-audit --lang ja show /srv/evidence 3f5c --key log.vkey

Shows what is known about the incident, what happened when, and where its pictures are. To open them, see `open`.
Exit codes: 0 intact, 1 findings or a picture that is not as the log says, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// Id of the incident, or its first digits
    incident: String,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn show(args: &ShowArgs, language: Language) -> anyhow::Result<bool> {
    let verifier = read_key(&args.dir, &args.key)?;
    let (store, report, incidents) = collect(&args.dir, &args.key)?;
    let incident = find_one(&incidents, &args.incident)?;
    let summary = summary::summarise(&store, &verifier, incident)?;
    let has_odd_picture = summary.pictures.iter().any(|one| one.state.is_odd());
    let ok = report.ok && summary.problems.is_empty() && !has_odd_picture;
    if args.json {
        let findings = &report.findings;
        output::json(&json!({ "ok": ok, "incident": incident, "story": summary, "findings": findings }))?;
    } else {
        lines(incident, &summary, &report, language).iter().for_each(|line| output::line(line));
    }
    Ok(ok)
}

fn lines(incident: &Incident, summary: &Summary, report: &Report, language: Language) -> Vec<String> {
    let mut lines = vec![messages::incident(incident, language)];
    let heading = |lines: &mut Vec<String>, ja: &str, en: &str| {
        lines.extend([String::new(), in_language(&Text::new(ja, en), language).to_owned()]);
    };
    heading(&mut lines, "概要", "Summary");
    lines.extend(summary.facts.iter().map(|fact| {
        let (name, value) = (in_language(&fact.name, language), in_language(&fact.value, language));
        format!("  {name}: {value}")
    }));
    heading(
        &mut lines,
        "経過（秒は判定 T からの差、* はこのインシデントの記録）",
        "Timeline (seconds from the decision T; * marks entries of the incident itself)",
    );
    lines.extend(summary.timeline.iter().map(|moment| happened(moment, language)));
    lines.extend(unlisted(summary.unlisted_entries, language));
    heading(&mut lines, "画像（開封していません）", "Pictures (none was opened)");
    lines.extend(summary.pictures.iter().map(|one| picture(one, language)));
    lines.extend(summary.problems.iter().map(|problem| match language {
        Ja => format!("  信用できない記録: {problem}"),
        En => format!("  left out because it does not verify: {problem}"),
    }));
    lines.extend([String::new(), messages::log_verdict(report, language).to_owned()]);
    lines
}

fn happened(moment: &Moment, language: Language) -> String {
    let mark = if moment.own { '*' } else { ' ' };
    let what = in_language(&moment.what, language);
    format!("{mark} {:>20}  [{}]  {what}", moment.time, moment.entry)
}

fn unlisted(entries: u64, language: Language) -> Option<String> {
    (entries > 0).then(|| match language {
        Ja => format!("  ほかに {entries} 件"),
        En => format!("  and {entries} more"),
    })
}

fn picture(one: &PictureState, language: Language) -> String {
    let shows = match (one.shows, language) {
        (Shows::Full, Ja) => "（カメラ、原画像）",
        (Shows::Full, En) => " (camera, full)",
        (Shows::Pixelated, Ja) => "（カメラ）",
        (Shows::Pixelated, En) => " (camera)",
        (Shows::Screen, _) => "",
        (Shows::Hash, Ja) => "（ハッシュのみ）",
        (Shows::Hash, En) => " (hash only)",
    };
    let (what, size, blob) = (in_language(&one.what, language), one.picture.size, &one.picture.blob);
    format!("  {what}{shows}: {}, {size} B, {blob}", place(one, language))
}

fn place(one: &PictureState, language: Language) -> String {
    let entry = one.tombstone.map(|entry| format!(" [{entry}]")).unwrap_or_default();
    match (one.state, language) {
        (State::Sealed, Ja) => "封印されて保存".to_owned(),
        (State::Sealed, En) => "sealed in the store".to_owned(),
        (State::Custodian, Ja) => "保管者の封印のもとに保存".to_owned(),
        (State::Custodian, En) => "in the store under the custodian's seal".to_owned(),
        (State::Erased, Ja) => format!("消去済み（消去の記録{entry}）"),
        (State::Erased, En) => format!("erased, as recorded by a tombstone{entry}"),
        (State::Erasing, Ja) => format!("消去が未完了です。消去を再実行してください（消去の記録{entry}）"),
        (State::Erasing, En) => {
            format!("NOT YET ERASED although there is a tombstone{entry}: run the erasure again")
        }
        (State::Missing, Ja) => "保存先になく、消去の記録もありません".to_owned(),
        (State::Missing, En) => "MISSING, and there is no tombstone for it".to_owned(),
        (State::Differs, Ja) => "ログの記録と異なるファイルです".to_owned(),
        (State::Differs, En) => "ANOTHER FILE than the one in the log".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sudare_audit::summary::messages::of_entry;
    use sudare_protocol::evidence::note::NoteCode;
    use sudare_protocol::evidence::{Entry, Event, VERSION};

    use super::*;

    fn shown(event: &Event, language: Language) -> String {
        let (kind, body) = event.encode();
        let entry = Entry {
            version: VERSION,
            seq: 7,
            wall_ms: 0,
            boot_ms: 0,
            boot_id: [0; 16],
            session_id: None,
            incident_id: None,
            kind,
            reason: None,
            blobs: Vec::new(),
            body,
            source: None,
            serial: None,
        };
        let moment = Moment { entry: 7, time: "T +0.000 s".to_owned(), own: true, what: of_entry(&entry) };
        happened(&moment, language)
    }

    #[test]
    fn every_note_is_shown_in_words() {
        for code in NoteCode::ALL {
            for value in [0, 7] {
                let note = Event::Note(code.with(value));
                let (en, ja) = (shown(&note, En), shown(&note, Ja));
                assert!(en.contains(&format!("[7]  {}", code.english())), "{code:?}: {en}");
                assert!(ja.contains(&format!("[7]  {}", code.japanese())), "{code:?}: {ja}");
            }
        }
    }
}
