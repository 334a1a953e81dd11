//! Independent readers accept our log, and every attack is shown to them and to us.
//!
//! - Go: golang.org/x/mod/sumdb/{note,tlog} from Debian, as a client that believes tiles and as one
//!   that computes the root from the entries.
//! - Python: aics-tlog from PyPI.
//!
//! Who refuses what is a table, `tests/data/log-peers.md`; docs/evidence.md shows it.
//! `SUDARE_WRITE_VECTORS=1` writes it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod attacks;
mod peers;
mod store;

use std::fmt::Write as _;

use attacks::ATTACKS;
use peers::{Peer, Verdict};

const HEAD: &str = "\
| attack | sudare-audit | Go, from entries | Go, from tiles | aics-tlog |
|---|---|---|---|---|
";

#[test]
fn independent_readers_accept_our_log_and_ours_refuses_every_attack() {
    let peers = peers::available();
    let mut table = HEAD.to_owned();
    for attack in ATTACKS {
        let case = store::Case::new();
        (attack.change)(&case);
        let ours = peers::ours(&case);
        assert_eq!(ours.findings, attack.findings, "{}", attack.name);
        assert_eq!(ours.findings.is_empty(), attack.name == "nothing", "{}", attack.name);
        let column = |peer: Peer| peers.verdict(peer, &case);
        let columns = [Peer::GoEntries, Peer::GoTiles, Peer::Aics].map(column);
        if attack.name == "nothing" {
            for verdict in columns.iter().flatten() {
                assert_eq!(*verdict, Verdict::Accepts, "a peer refuses our log");
            }
        }
        let said = columns.map(|verdict| verdict.map_or("not run", |verdict| verdict.word()));
        let [entries, tiles, aics] = said;
        let ours = if ours.findings.is_empty() { "accepts".to_owned() } else { ours.findings.join(", ") };
        writeln!(table, "| {} | {ours} | {entries} | {tiles} | {aics} |", attack.name).unwrap();
    }
    println!("{table}");
    if peers.all() {
        compare(&table);
    } else {
        println!("SKIPPED: the table is not compared, because a peer is missing: {}.", peers.missing());
    }
}

/// The table that people read is the one that was just made.
fn compare(table: &str) {
    let path = sudare_test_kit::checkout().join("tests/data/log-peers.md");
    if std::env::var_os("SUDARE_WRITE_VECTORS").is_some() {
        std::fs::write(&path, table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), table);
}
