//! `sudare receipts`: lists what hosts confirmed to keep, and what is still waiting to be sent.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use sudare_client_runtime::operator;
use sudare_client_runtime::receipts::{Receipt, Receipts};
use sudare_client_runtime::spool::{self, Waiting};
use sudare_protocol::reason::Reason;

use crate::output;

/// List the incidents recorded at this seat, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Each entry says when and why the screen was covered, and which host keeps the sealed pictures. Only the security
team of your organisation can open them.

Examples:
  sudare receipts
  sudare receipts --json")]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let home = operator::device_dir()?;
    let (listed, waiting) = (Receipts::at(&home).list()?, spool::waiting(&home));
    if arguments.json {
        let Waiting { incidents, bytes, oldest_ms, set_aside } = waiting;
        let waiting = json!({
            "incidents": incidents, "bytes": bytes, "oldest_ms": oldest_ms, "set_aside": set_aside,
        });
        return output::json(&json!({
            "receipts": listed.receipts, "unreadable": listed.unreadable, "waiting": waiting,
        }));
    }
    if listed.receipts.is_empty() {
        output::line("記録はありません。/ Nothing was recorded.");
    }
    for receipt in &listed.receipts {
        describe(receipt).iter().for_each(|line| output::line(line));
    }
    for line in rest(listed.unreadable, &waiting) {
        output::line(&line);
    }
    Ok(())
}

fn describe(receipt: &Receipt) -> [String; 3] {
    let reason = Reason::ALL.iter().find(|reason| reason.as_str() == receipt.reason);
    let why = reason.map_or_else(
        || receipt.reason.clone(),
        |reason| format!("{} / {}", reason.japanese(), reason.english()),
    );
    let Receipt { host, leaf_index, incident, .. } = receipt;
    let received = time(receipt.received_ms);
    [
        format!("{}  {why}", time(receipt.sealed_ms)),
        format!(
            "    {host} が {received} に保存しました（記録 {leaf_index}）。/ Kept by {host} since {received} (entry {leaf_index})."
        ),
        format!("    インシデント番号 / incident {incident}"),
    ]
}

/// What follows the list.
fn rest(unreadable: usize, waiting: &Waiting) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(oldest_ms) = waiting.oldest_ms {
        let (count, since) = (waiting.incidents, time(oldest_ms));
        lines.push(format!(
            "{count} 件が送信待ちです（最も古いものは {since}）。次に接続したときに送られます。/ {count} waiting to be sent, the oldest since {since}; they will be sent with the next connection."
        ));
    }
    if unreadable > 0 {
        lines.push(format!(
            "読めない受領記録が {unreadable} 件あります。/ {unreadable} receipts cannot be read; you may delete their files."
        ));
    }
    lines
}

fn time(wall_ms: u64) -> String {
    let stamp = i64::try_from(wall_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(
        || "?".to_owned(),
        |stamp| stamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_employee_reads_when_why_and_who_keeps_it_in_both_languages() {
        let receipt = Receipt {
            incident: "1d".repeat(16),
            host: "vdi-1".into(),
            organisation: "00".repeat(32),
            reason: "onlooker".into(),
            sealed_ms: 1_800_000_000_000,
            received_ms: 1_800_000_060_000,
            leaf_index: 70_000,
            checkpoint: "note".into(),
        };
        let text = describe(&receipt).join("\n");
        for part in ["2027-01-1", "ほかの人", "Somebody else", "vdi-1", "記録 70000", "entry 70000"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let later = Receipt { reason: "of-a-later-version".into(), sealed_ms: u64::MAX, ..receipt };
        assert!(describe(&later)[0].starts_with("?  of-a-later-version"));
        assert!(rest(0, &Waiting::default()).is_empty());
        let waiting = Waiting { incidents: 2, oldest_ms: Some(1_800_000_000_000), ..Waiting::default() };
        assert!(rest(1, &waiting)[0].contains("2 waiting"));
    }
}
