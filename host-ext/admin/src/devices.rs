//! `sudare-host devices`: every device of this host in one table, for people, for a spreadsheet and for programs.
//!
//! Whether a person still agrees is not in it: devices say so when they connect, and only the evidence log keeps it.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use sudare_base::program::Settings;
use sudare_base::{clock, files, output};
use sudare_protocol::hex::hex;
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::records::{HostRecord, Signed};
use sudare_protocol::utc::utc;
use sudare_records::keys;
use sudare_records::registry::overview::{Listed, Standing, Way};
use sudare_records::state;

/// The columns, in this order.
const COLUMNS: [&str; 8] = ["host", "device", "user", "enrolled", "since", "until", "state", "templates"];
/// Characters that no person's name begins with, and that make a spreadsheet calculate.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// List all devices of this host: whose they are, how they came, until when, whether they are let in
///
/// Whether the user's agreement to the notice is in force is not shown: only the evidence log tells it
/// (`sudare-audit show`).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare-host devices                          one line for each device
  sudare-host devices --csv > vdi-1.csv        for a spreadsheet; the tables of several hosts can be joined
  sudare-host devices --json                   for programs")]
pub(crate) struct Devices {
    /// Print CSV with a line of headings (RFC 4180); cells that a spreadsheet would calculate begin with an apostrophe
    #[arg(long)]
    csv: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "csv")]
    json: bool,
}

impl Devices {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let dir = settings.load(&[])?.state_dir;
        files::become_owner(&dir)?;
        // Without one nobody is let in; doctor says so.
        let policy = state::policy(&dir).ok();
        let devices =
            state::registry(&dir)?.overview(clock::wall_ms(), policy.as_ref().map(Signed::record))?;
        let host = host_id(&dir).unwrap_or_default();
        if self.json {
            let devices: Vec<Value> = devices.iter().map(|device| object(&host, device)).collect();
            output::json(&json!({ "devices": devices }).to_string());
        } else if self.csv {
            csv(&host, &devices).iter().for_each(|line| output::line(line));
        } else {
            print(&host, &devices);
        }
        Ok(())
    }
}

/// For `sudare-host device list`, which was there before.
pub(crate) fn list(settings: &Settings) -> anyhow::Result<()> {
    Devices { csv: false, json: false }.run(settings)
}

fn print(host: &str, devices: &[Listed]) {
    let waiting: Vec<&Listed> = devices.iter().filter(|one| one.standing == Standing::Waiting).collect();
    if devices.is_empty() {
        return output::line("No device is enrolled. Run `sudare-host invite USER`.");
    }
    table(host, devices).iter().for_each(|line| output::line(line));
    for device in waiting {
        output::line(&format!("`sudare-host approve {}` lets it in.", hex(&device.device_id)));
    }
}

/// Of the host's record, as far as it is the organisation's.
fn host_id(dir: &Path) -> Option<String> {
    let organisation = keys::read_public(&dir.join("organisation.pub"), "").ok()?;
    let bytes = files::read_bounded(&dir.join("host.record"), RECORD_MAX_BYTES).ok()??;
    Some(Signed::<HostRecord>::verify_any_time(&organisation, &bytes).ok()?.record().host_id.clone())
}

fn state_name(standing: &Standing) -> &'static str {
    match standing {
        Standing::Usable => "usable",
        Standing::Waiting => "waiting",
        Standing::Revoked => "revoked",
        Standing::Withdrawn => "withdrawn",
        Standing::Expired => "expired",
        Standing::Early => "not-yet-valid",
        Standing::NoOperator => "no-operator",
        Standing::Unusable(_) => "unusable",
    }
}

fn state_words(standing: &Standing) -> String {
    match standing {
        Standing::Waiting => "waiting for approval".into(),
        Standing::Withdrawn => "consent taken back".into(),
        Standing::Early => "not valid yet".into(),
        Standing::NoOperator => "without operator".into(),
        Standing::Unusable(why) => format!("not usable: {why}"),
        standing => state_name(standing).into(),
    }
}

fn way_words(way: &Way) -> String {
    match way {
        Way::Organisation => "security team".into(),
        Way::Invitation { enroller, number } => format!("{enroller}, invitation {number}"),
    }
}

/// The day; nothing for a time that no calendar has.
fn day(ms: u64) -> String {
    const YEAR_9999_MS: u64 = 253_370_764_800_000;
    if ms < YEAR_9999_MS { utc(ms).chars().take(10).collect() } else { "no end".into() }
}

fn row(host: &str, device: &Listed) -> [String; COLUMNS.len()] {
    let known = device.known.as_ref();
    let of = |text: Option<String>| text.unwrap_or_else(|| "?".into());
    [
        host.to_owned(),
        hex(&device.device_id),
        of(known.map(|known| known.user.clone())),
        of(known.map(|known| way_words(&known.way))),
        of(known.map(|known| day(known.not_before_ms))),
        of(known.map(|known| day(known.not_after_ms))),
        state_words(&device.standing),
        device.operators.to_string(),
    ]
}

/// Aligned columns, without the host, which is the same in all of them.
fn table(host: &str, devices: &[Listed]) -> Vec<String> {
    let rows: Vec<[String; COLUMNS.len()]> = std::iter::once(COLUMNS.map(str::to_owned))
        .chain(devices.iter().map(|device| row(host, device)))
        .collect();
    let width = |at: usize| rows.iter().filter_map(|row| Some(row.get(at)?.chars().count())).max();
    let line = |row: &[String; COLUMNS.len()]| {
        let cells = row.iter().enumerate().skip(1);
        let cells = cells.map(|(at, cell)| format!("{cell:width$}", width = width(at).unwrap_or_default()));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn csv(host: &str, devices: &[Listed]) -> Vec<String> {
    let line = |cells: &[String; COLUMNS.len()]| cells.each_ref().map(|cell| cell_of(cell)).join(",");
    let heads = COLUMNS.map(str::to_owned);
    std::iter::once(line(&heads)).chain(devices.iter().map(|device| line(&row(host, device)))).collect()
}

/// Quoted, and never a formula: names come from other systems.
fn cell_of(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let guard = if text.trim_start().starts_with(FORMULA) || text.starts_with(FORMULA) { "'" } else { "" };
    format!("\"{guard}{}\"", plain.replace('"', "\"\""))
}

fn object(host: &str, device: &Listed) -> Value {
    let known = device.known.as_ref();
    let (enroller, invitation) = match known.map(|known| &known.way) {
        Some(Way::Invitation { enroller, number }) => (Some(enroller), Some(*number)),
        _ => (None, None),
    };
    let by = known.map(|_| if enroller.is_some() { "invitation" } else { "organisation" });
    let why = if let Standing::Unusable(why) = &device.standing { Some(why) } else { None };
    json!({
        "host": host,
        "device": hex(&device.device_id),
        "user": known.map(|known| &known.user),
        "enrolled_by": by,
        "enroller": enroller,
        "invitation": invitation,
        "since_ms": known.map(|known| known.not_before_ms),
        "until_ms": known.map(|known| known.not_after_ms),
        "state": state_name(&device.standing),
        "why": why,
        "templates": device.operators,
    })
}

#[cfg(test)]
mod tests {
    use sudare_records::registry::overview::Known;

    use super::*;

    fn device(user: &str, way: Way, standing: Standing) -> Listed {
        let known =
            Known { user: user.into(), way, not_before_ms: 1_767_225_600_000, not_after_ms: u64::MAX };
        Listed { device_id: [0xab; 16], standing, operators: 1, known: Some(known) }
    }

    fn invited(enroller: &str) -> Way {
        Way::Invitation { enroller: enroller.into(), number: 7 }
    }

    #[test]
    fn people_read_how_a_device_came_and_what_it_may() {
        let unread = Listed {
            device_id: [1; 16],
            standing: Standing::Unusable("torn".into()),
            operators: 0,
            known: None,
        };
        let lines = table("vdi-1", &[device("alice", invited("desk"), Standing::Waiting), unread]);
        assert!(lines[0].starts_with("device ") && !lines[0].contains("host"), "{lines:?}");
        for said in ["alice", "desk, invitation 7", "2026-01-01", "no end", "waiting for approval"] {
            assert!(lines[1].contains(said), "{said}: {lines:?}");
        }
        assert!(lines[2].contains("not usable: torn") && lines[2].contains('?'), "{lines:?}");
        let at = |line: &str, word: &str| line.find(word).unwrap();
        assert_eq!(at(&lines[0], "state"), at(&lines[1], "waiting"), "aligned");
    }

    #[test]
    fn no_cell_of_a_table_is_a_formula_or_ends_its_line() {
        for (text, cell) in [
            ("alice", "\"alice\""),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"' =1\""),
            ("  =1", "\"'  =1\""),
            ("a,b\r\n=1", "\"a,b  =1\""),
        ] {
            assert_eq!(cell_of(text), cell);
        }
        let lines = csv("vdi-1", &[device("=1+1", invited("a\"b"), Standing::Usable)]);
        assert_eq!(
            lines[0],
            "\"host\",\"device\",\"user\",\"enrolled\",\"since\",\"until\",\"state\",\"templates\""
        );
        assert!(lines[1].contains(",\"'=1+1\",\"a\"\"b, invitation 7\","), "{lines:?}");
    }

    #[test]
    fn programs_read_the_same() {
        let json = object("vdi-1", &device("alice", invited("desk"), Standing::NoOperator));
        assert_eq!(
            (&json["state"], &json["enroller"], &json["invitation"]),
            (&"no-operator".into(), &"desk".into(), &7.into())
        );
        let json = object("vdi-1", &device("alice", Way::Organisation, Standing::Unusable("torn".into())));
        assert_eq!((&json["enrolled_by"], &json["why"]), (&"organisation".into(), &"torn".into()));
    }
}
