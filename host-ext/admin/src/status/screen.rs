//! A host as people and programs read it. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use serde_json::{Value, json};
use sudare_protocol::utc::utc;
use sudare_records::registry::overview::Standing;

use super::figures::Figures;
use super::{End, Host};

const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// Parts of doctor's that have a line of their own, and the line's name.
const PARTS: [(&str, &str); 4] = [
    ("recorder", "recorder"),
    ("disk of the evidence", "disk"),
    ("copy of the evidence", "copy"),
    ("alarms", "alarms"),
];
/// Reasons that are named on one line.
const NAMED_MAX: usize = 4;

pub(super) fn lines(host: &Host) -> Vec<String> {
    let needs = host.needs();
    let verdict = match needs.len() {
        0 => "all is well".to_owned(),
        1 => "1 thing needs a person".to_owned(),
        more => format!("{more} things need a person"),
    };
    let name = host.host_id.as_deref().unwrap_or("that is not set up");
    let mut lines = vec![format!("Sudare {} on host {name}: {verdict}", env!("CARGO_PKG_VERSION"))];
    let mut say = |name: &str, text: String| lines.push(format!("{name:<12}{text}"));
    match &host.figures {
        Ok(figures) => {
            say("sessions", sessions(figures));
            say("since start", counted(figures));
            say("evidence", evidence(figures, host));
        }
        Err(why) => say("figures", why.clone()),
    }
    for (part, name) in PARTS {
        if let Some((_, Ok(text))) = host.findings.iter().find(|(of, _)| *of == part) {
            say(name, text.clone());
        }
    }
    say("devices", devices(host));
    if !host.ends.is_empty() {
        let ends: Vec<String> = host.ends.iter().map(|end| ends(end, host.now_ms)).collect();
        say("ends", ends.join(", "));
    }
    for (number, need) in (1..).zip(&needs) {
        lines.push(format!("{number}. {}: {}", need.part, need.text));
    }
    lines
}

fn sessions(figures: &Figures) -> String {
    let count = |shown: &str| {
        let by = figures.by_label("sudare_sessions");
        by.iter().find(|(name, _)| *name == shown).map_or(0.0, |(_, count)| *count)
    };
    let (visible, covered) = (count("visible"), count("covered"));
    let why = named(figures, "sudare_sessions_covered");
    format!("{}: {visible} visible, {covered} covered{why}", visible + covered)
}

fn counted(figures: &Figures) -> String {
    let covers = figures.sum("sudare_covers_total");
    let why = named(figures, "sudare_covers_total");
    let lost = figures.get("sudare_lease_losses_total").unwrap_or_default();
    let wrong = figures.sum("sudare_wrong_block_reports_total");
    let black = figures.within("sudare_cover_latency_seconds", 0.95);
    let black = match black {
        Some(end) if end.is_finite() => format!("; 95 of 100 black within {} ms", (end * 1_000.0).round()),
        Some(_) => "; black later than 5 s".to_owned(),
        None => String::new(),
    };
    format!("{covers} covers{why}; {lost} leases lost; {wrong} called wrong{black}")
}

/// The most frequent reasons, in brackets.
fn named(figures: &Figures, name: &str) -> String {
    let all = figures.by_label(name);
    let mut said: Vec<String> =
        all.iter().take(NAMED_MAX).map(|(reason, count)| format!("{reason} {count}")).collect();
    if all.len() > NAMED_MAX {
        said.push("others".into());
    }
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

fn evidence(figures: &Figures, host: &Host) -> String {
    let get = |name| figures.get(name).unwrap_or_default();
    let mut said = format!("{} entries", get("sudare_log_entries"));
    if let Some(at_ms) = host.checkpoint_ms {
        said.push_str(&format!(", last checkpoint {} ago", age(host.now_ms.saturating_sub(at_ms))));
    }
    if let Some(behind) = figures.get("sudare_evidence_unshipped_entries") {
        let oldest = get("sudare_evidence_unshipped_seconds");
        match behind {
            0.0 => said.push_str(", all copied off this host"),
            _ => said.push_str(&format!(", {behind} not copied yet, the oldest for {oldest} s")),
        }
    }
    let waiting = get("sudare_evidence_waiting_seconds");
    if waiting > 0.0 {
        said.push_str(&format!(", and gates keep what could not be stored for {waiting} s"));
    }
    said
}

fn age(ms: u64) -> String {
    match ms / 1_000 {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 2 * 3_600 => format!("{} min", seconds / 60),
        seconds if seconds < 2 * 86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn devices(host: &Host) -> String {
    let usable = host.count(&Standing::Usable);
    let (waiting, revoked) = (host.count(&Standing::Waiting), host.count(&Standing::Revoked));
    let others = host.devices.len() - usable - waiting - revoked;
    format!(
        "{usable} usable, {waiting} waiting, {revoked} revoked, {others} not usable (`sudare-host devices`)"
    )
}

fn ends(end: &End, now_ms: u64) -> String {
    let day: String = utc(end.until_ms).chars().take(10).collect();
    match end.until_ms.checked_sub(now_ms) {
        Some(left) => format!("{} {day} ({} days)", end.what, left / DAY_MS),
        None => format!("{} {day} (over)", end.what),
    }
}

pub(super) fn json(host: &Host) -> Value {
    let figures = host.figures.as_ref().ok();
    let by = |name: &str| -> Option<Value> {
        let found = figures?.by_label(name);
        Some(found.into_iter().map(|(label, value)| (label.to_owned(), json!(value))).collect())
    };
    let get = |name: &str| figures.and_then(|figures| figures.get(name));
    let needs = host.needs();
    let needs_json: Vec<Value> =
        needs.iter().map(|need| json!({ "part": need.part, "text": need.text })).collect();
    let ends = host.ends.iter().map(|end| {
        let days = end.until_ms.checked_sub(host.now_ms).map(|left| left / DAY_MS);
        json!({ "what": end.what, "until_ms": end.until_ms, "days": days })
    });
    json!({
        "ok": needs.is_empty(),
        "version": env!("CARGO_PKG_VERSION"),
        "host": host.host_id,
        "figures": host.figures.as_ref().err().map_or("read", String::as_str),
        "sessions": by("sudare_sessions"),
        "covered_by": by("sudare_sessions_covered"),
        "covers": by("sudare_covers_total"),
        "lease_losses": get("sudare_lease_losses_total"),
        "wrong_block_reports": by("sudare_wrong_block_reports_total"),
        "black_within_s": figures.and_then(|figures| figures.within("sudare_cover_latency_seconds", 0.95)).filter(|end| end.is_finite()),
        "entries": get("sudare_log_entries"),
        "checkpoint_ms": host.checkpoint_ms,
        "unshipped_entries": get("sudare_evidence_unshipped_entries"),
        "unshipped_s": get("sudare_evidence_unshipped_seconds"),
        "waiting_s": get("sudare_evidence_waiting_seconds"),
        "disk_free_bytes": get("sudare_disk_free_bytes"),
        "ends": ends.collect::<Vec<_>>(),
        "devices": {
            "usable": host.count(&Standing::Usable),
            "waiting": host.count(&Standing::Waiting),
            "revoked": host.count(&Standing::Revoked),
            "all": host.devices.len(),
        },
        "needs": needs_json,
    })
}

#[cfg(test)]
mod tests {
    use sudare_records::registry::overview::Listed;

    use super::super::figures::tests::figures;
    use super::*;

    fn host() -> Host {
        let now_ms = 1_000 * DAY_MS;
        Host {
            host_id: Some("vdi-1".into()),
            figures: Ok(figures(
                "sudare_sessions{shown=\"covered\"} 1\nsudare_sessions{shown=\"visible\"} 2\n\
                 sudare_sessions_covered{reason=\"stranger\"} 1\nsudare_covers_total{reason=\"absent\"} 9\n\
                 sudare_covers_total{reason=\"stranger\"} 3\nsudare_lease_losses_total 2\nsudare_log_entries 77\n\
                 sudare_evidence_unshipped_entries 4\nsudare_evidence_unshipped_seconds 40\n\
                 sudare_cover_latency_seconds_bucket{le=\"0.02\"} 12\nsudare_cover_latency_seconds_bucket{le=\"+Inf\"} 12\n\
                 sudare_cover_latency_seconds_count 12\n",
            )),
            shows: true,
            findings: vec![("disk of the evidence", Ok("120 GiB are free".into()))],
            ends: vec![End { what: "policy", until_ms: now_ms + 300 * DAY_MS }],
            checkpoint_ms: Some(now_ms - 4_000),
            now_ms,
            devices: Vec::new(),
        }
    }

    #[test]
    fn a_host_that_is_well_is_one_screen_and_needs_nobody() {
        let host = host();
        let said = lines(&host);
        assert!(said.len() <= 24 && host.needs().is_empty(), "{said:#?}");
        for wanted in [
            "Sudare 0.1.0 on host vdi-1: all is well",
            "sessions    3: 2 visible, 1 covered (stranger 1)",
            "since start 12 covers (absent 9, stranger 3); 2 leases lost; 0 called wrong; 95 of 100 black within 20 ms",
            "evidence    77 entries, last checkpoint 4 s ago, 4 not copied yet, the oldest for 40 s",
            "disk        120 GiB are free",
        ] {
            assert!(said.iter().any(|line| line == wanted), "{wanted}: {said:#?}");
        }
        let json = json(&host);
        assert_eq!((&json["ok"], &json["covers"]["absent"]), (&true.into(), &9.0.into()));
        assert_eq!((&json["ends"][0]["days"], &json["unshipped_s"]), (&300.into(), &40.0.into()));
        let nothing = lines(&Host { figures: Ok(figures("")), ..host });
        assert!(
            nothing.iter().any(|line| line == "since start 0 covers; 0 leases lost; 0 called wrong"),
            "{nothing:#?}"
        );
    }

    #[test]
    fn what_is_wrong_what_ends_soon_and_who_waits_need_a_person() {
        let mut host = host();
        host.figures = Err("unix:/x: not there".into());
        host.findings.push(("recorder", Err("does not run. Start it".into())));
        host.ends = vec![End { what: "certificate", until_ms: host.now_ms + 9 * DAY_MS }];
        host.devices =
            vec![Listed { device_id: [1; 16], standing: Standing::Waiting, operators: 0, known: None }];
        let said = lines(&host);
        assert!(said[0].ends_with("3 things need a person"), "{said:#?}");
        for wanted in [
            "1. recorder: does not run. Start it",
            "2. certificate: ends in 9 days. Make a new one",
            "3. devices: 1 wait for approval",
            "figures     unix:/x: not there",
        ] {
            assert!(said.iter().any(|line| line.starts_with(wanted)), "{wanted}: {said:#?}");
        }
        host.findings = vec![("recorder", Ok("answers".into()))];
        assert!(host.needs()[0].part == "figures", "{:?}", host.needs());
        host.shows = false;
        assert!(host.needs()[0].part == "certificate", "nobody wants them");
        host.findings = vec![("recorder", Err("does not run. Start it".into()))];
        let json = json(&host);
        assert_eq!((&json["ok"], json["needs"].as_array().unwrap().len()), (&false.into(), 3));
        assert_eq!((&json["sessions"], &json["devices"]["waiting"]), (&Value::Null, &1.into()));
    }
}
