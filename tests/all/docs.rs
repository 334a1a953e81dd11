//! Documents say what the code does: each table is compared with the code, both ways.

#![allow(clippy::expect_used, clippy::panic, reason = "a test")]

mod guides;
mod house;
mod page;
mod places;

use std::collections::BTreeSet;
use std::path::Path;

use sudare_base::config::SETTINGS;
use sudare_protocol::error::Code;
use sudare_protocol::evidence::event;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::message::KINDS;
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::timings::{TABLE, Timings};
use sudare_protocol::verify::FindingKind;
use sudare_recorder::metrics::METRICS;
use sudare_relay::openings::OPENINGS;
use sudare_relay::table;

use page::{
    code, columns, constants, fields, files, links, literals, maps, read, root, rows, same, section, short,
};
use places::{PLUGIN_SETTINGS, READERS};

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// A name of the code as pages write it.
fn lower(name: &impl std::fmt::Debug) -> String {
    format!("{name:?}").to_lowercase()
}

#[test]
fn settings_and_timings_are_those_of_the_code() {
    let page = read("docs/reference/settings.md");
    let settings = SETTINGS.iter().map(|(name, default, says)| [name, default, says].map(|t| t.to_string()));
    let listed = columns(rows(&page, &["setting", "default", "meaning"]), [0, 1, 2]);
    same("settings", settings.collect(), listed);
    let openings = OPENINGS.iter().map(|opening| [opening.name, opening.says].map(str::to_owned));
    same("channels of the gate", openings.collect(), columns(rows(&page, &["channel", "meaning"]), [0, 1]));
    let defaults = Timings::default();
    let timings = |says: bool| {
        TABLE.iter().map(move |n| {
            assert_eq!((n.get)(&defaults), n.default);
            let says = if says { n.says } else { "" };
            [n.name.to_owned(), n.default.to_string(), n.min.to_string(), n.max.to_string(), says.to_owned()]
        })
    };
    let header = ["timing", "default", "least", "most"];
    same("timings", timings(true).collect(), columns(rows(&page, &header), [0, 1, 2, 3, 4]));
    let protocol = read("docs/protocol.md");
    same("timings", timings(false).collect(), columns(rows(&protocol, &header), [0, 1, 2, 3, 9]));
}

#[test]
fn figures_are_those_of_the_recorder() {
    let figures = METRICS.iter().map(|one| [one.name, one.kind(), one.label, one.help].map(str::to_owned));
    let page = read("docs/reference/metrics.md");
    let listed = columns(rows(&page, &["figure", "type", "label", "what it says"]), [0, 1, 2, 3]);
    same("figures", figures.collect(), listed);
}

#[test]
fn what_rdp_carries_is_the_relay_s_table() {
    const PAGE: &str = "docs/reference/rdp.md";
    let page = read(PAGE);
    let start = page.find("| what | from |").expect("the table");
    let whole = page[..start].to_owned() + &table::markdown();
    if std::env::var_os("SUDARE_WRITE_PAGES").is_some() {
        std::fs::write(root().join(PAGE), &whole).expect("the page is written");
    }
    assert!(read(PAGE) == whole, "{PAGE} is not the relay's table. Run this test with SUDARE_WRITE_PAGES=1");
}

#[test]
fn settings_of_the_plugin_are_those_of_the_code() {
    let source = read(PLUGIN_SETTINGS);
    let settings: Vec<[String; 3]> = (literals(&source, "SETTINGS: &[(&str, &str, &str)] = &[").chunks(3))
        .map(|row| [0, 1, 2].map(|i| row[i].to_owned()))
        .collect();
    let page = read("docs/reference/settings.md");
    let listed = columns(rows(&page, &["plugin's setting", "default", "meaning"]), [0, 1, 2]);
    let plain = |row: &[String; 3]| row.clone().map(|cell| cell.replace('`', ""));
    same("the plugin's settings", settings.iter().map(plain).collect(), listed);

    let known = literals(&source, "ARGUMENTS: &[(&str, &str)] = &[");
    let mut arguments: Vec<[String; 2]> =
        known.chunks(2).map(|pair| [pair[0].to_owned(), pair[1].to_owned()]).collect();
    arguments.push(["config".to_owned(), String::new()]);
    let listed = columns(rows(&page, &["argument", "setting", "example"]), [0, 1]).into_iter();
    let listed = listed
        .map(|[argument, setting]| [argument.split(':').next().unwrap_or_default().to_owned(), setting]);
    same("the plugin's arguments", arguments, listed.collect());
}

#[test]
fn notes_are_those_of_the_code() {
    let notes = NoteCode::ALL
        .iter()
        .map(|note| [note.number().to_string(), note.as_str().to_owned(), lower(&note.severity())]);
    let listed = rows(&read("docs/evidence.md"), &["note code", "name", "severity", "what"]);
    same("notes", notes.collect(), columns(listed, [0, 1, 2]));
    let page = read("docs/reference/programs.md");
    let sent = section(&page, "## sudare-forward");
    for note in NoteCode::ALL {
        let name = note.as_str();
        // Said at each session, so it is no alarm.
        let told = matches!(note, NoteCode::Owner | NoteCode::Rules)
            || name.starts_with("x11-")
            || sent.contains(&format!("`{name}`"));
        assert!(told, "programs.md does not say that a SIEM is told {name}");
    }
}

#[test]
fn messages_and_their_fields_are_those_of_the_code() {
    let page = read("docs/protocol.md");
    let kinds = KINDS
        .iter()
        .map(|(name, number, sender)| [format!("0x{number:02x}"), name.to_string(), sender.to_string()]);
    same("messages", kinds.collect(), columns(rows(&page, &["type", "name", "sender"]), [0, 1, 2]));
    let mut tables = 0;
    for source in [
        "message",
        "records",
        "rules",
        "eyes",
        "light/mod",
        "template",
        "notice",
        "groups",
        "bundle",
        "withdrawal",
        "enrol/records",
    ] {
        let text = read(&format!("protocol/src/{source}.rs"));
        for name in maps(&text) {
            let heading = heading_of(name);
            let table = rows(section(&page, &format!("{heading}\n")), &["key", "field", "type"]);
            let fields = fields(&text, name).into_iter().map(|(key, field)| [key, field]);
            same(&heading, fields.collect(), columns(table, [0, 1]));
            tables += 1;
        }
    }
    let on_page = page.lines().filter(|line| line.starts_with("| key | field | type")).count();
    assert_eq!(tables, on_page, "protocol.md has a table of fields that no struct has");
}

/// Where the fields of a struct stand in protocol.md.
fn heading_of(name: &str) -> String {
    match name {
        "Wire" => "## Operator templates".to_owned(),
        "ErrorBody" => "### ERROR".to_owned(),
        _ if KINDS.iter().any(|(kind, ..)| kind.eq_ignore_ascii_case(name)) => {
            format!("### {}", name.to_uppercase())
        }
        _ => format!("### {name}"),
    }
}

#[test]
fn errors_states_and_reasons_are_those_of_the_code() {
    let protocol = read("docs/protocol.md");
    let codes = Code::ALL.iter().map(|c| [c.number().to_string(), format!("{c:?}")]);
    same("errors", codes.collect(), columns(rows(&protocol, &["code", "name", "when"]), [0, 1]));
    let states = (0..).zip(State::ALL).map(|(n, s): (u8, State)| [n.to_string(), s.as_str().to_owned()]);
    same("states", states.collect(), columns(rows(&protocol, &["number", "state"]), [0, 1]));
    let reasons =
        Reason::ALL.iter().map(|r| [r.number().to_string(), r.as_str().to_owned(), yes_no(r.is_incident())]);
    same("reasons", reasons.collect(), columns(rows(&protocol, &["number", "reason"]), [0, 1, 2]));
    let explained = rows(&read("docs/reference/reasons.md"), &["reason", "incident", "severity", "meaning"]);
    let reasons =
        Reason::ALL.iter().map(|r| [r.as_str().to_owned(), yes_no(r.is_incident()), lower(&r.severity())]);
    same("reasons that are explained", reasons.collect(), columns(explained, [0, 1, 2]));
}

#[test]
fn limits_are_those_of_the_code() {
    let values = constants(&read("protocol/src/limits.rs"));
    let code = values.into_iter().map(|(name, value)| [name, value.to_string()]).collect();
    same("limits", code, columns(rows(&read("docs/protocol.md"), &["name", "value", "meaning"]), [0, 1]));
}

#[test]
fn contexts_of_signatures_are_on_the_page() {
    let page = read("docs/protocol.md");
    let mut found = 0;
    for path in files("protocol/src", ".rs") {
        let text = std::fs::read_to_string(&path).expect("a source");
        for line in text.lines().filter(|line| line.contains("CONTEXT")) {
            let Some(context) = line.split("b\"").nth(1).and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            assert!(page.contains(&format!("`{context}`")), "{}: {context:?}", short(&path));
            found += 1;
        }
    }
    assert!(found >= 6, "only {found} contexts were found in the code");
}

#[test]
fn entries_and_findings_are_those_of_the_code() {
    let page = read("docs/evidence.md");
    let source = read("protocol/src/evidence/mod.rs");
    let keys = maps(&source).into_iter().flat_map(|name| fields(&source, name));
    let listed = columns(rows(&page, &["key", "field", "meaning"]), [0, 1]);
    same("keys of entries and pictures", keys.map(|(key, field)| [key, field]).collect(), listed);
    let kinds = event::KINDS.iter().map(|(number, name, _)| [number.to_string(), name.to_string()]);
    same("log entries", kinds.collect(), columns(rows(&page, &["kind", "name", "body"]), [0, 1]));
    let class = |kind: &FindingKind| if kind.is_integrity() { "integrity" } else { "plausibility" };
    let findings = FindingKind::ALL.iter().map(|k| [k.as_str().to_owned(), class(k).to_owned()]);
    let listed = rows(&page, &["finding", "class"]).into_iter().flat_map(|row| {
        let class = row[1].clone();
        let names: Vec<String> = row[0].split(", ").map(str::to_owned).collect();
        names.into_iter().map(move |name| [name, class.clone()])
    });
    same("findings", findings.collect(), listed.collect());
}

#[test]
fn every_link_and_path_leads_somewhere() {
    let (mut checked, mut dead) = (0, Vec::new());
    for path in files("", ".md") {
        let text = std::fs::read_to_string(&path).expect("a page");
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            dead.extend((!leads_somewhere(&path, link)).then(|| format!("{}: {link}", short(&path))));
            checked += 1;
        }
        let (_, spans) = code(&text);
        let folders = ["protocol/", "models/", "client-ext/", "host-ext/", "deploy/", "tests/", "docs/"];
        for span in spans.into_iter().filter(|span| folders.iter().any(|f| span.starts_with(f))) {
            let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c));
            dead.extend((plain && !root().join(span).exists()).then(|| format!("{}: {span}", short(&path))));
            checked += usize::from(plain);
        }
    }
    assert!(dead.is_empty(), "nothing is there\n{}", dead.join("\n"));
    assert!(checked > 200, "only {checked} links and paths were found");
}

fn leads_somewhere(page: &Path, link: &str) -> bool {
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match target {
        "" => page.to_owned(),
        target => page.parent().unwrap_or(page).join(target),
    };
    let has_heading = || std::fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
    target.exists() && (anchor.is_empty() || has_heading())
}

/// How links name the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn tests_that_show_what_happens_in_trouble_exist() {
    let page = read("docs/reference/troubles.md");
    let sources: Vec<String> = ["client-ext", "host-ext", "protocol", "tests"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .map(|file| std::fs::read_to_string(file).expect("a source"))
        .collect();
    for [trouble, shown_by] in columns(rows(&page, &["trouble", "what happens here", "shown by"]), [0, 2]) {
        for name in shown_by.split(", ").map(|name| name.trim_end_matches([' ', '²']).trim_matches('`')) {
            let declared = format!("fn {name}()");
            assert!(sources.iter().any(|source| source.contains(&declared)), "{trouble}: {name} is no test");
        }
    }
}

#[test]
fn environment_variables_are_on_a_page_and_read_somewhere() {
    let pages = read("docs/reference/settings.md") + &read("deploy/xtask/README.md") + &read("docs/style.md");
    let is_name = |text: &str| {
        text.len() > 7
            && (text.starts_with("SUDARE_") || text.starts_with("SHIM_"))
            && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let mut found = BTreeSet::new();
    for folder in READERS {
        for path in files(folder, ".rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            for name in text.split('"').filter(|part| is_name(part)) {
                assert!(pages.contains(&format!("`{name}")), "{}: {name} is on no page", short(&path));
                found.insert(name.to_owned());
            }
        }
    }
    assert!(found.len() > 20, "only {found:?} were found");
    // Settings are read under a prefix, and their names are checked elsewhere.
    let read_under_a_prefix =
        |name: &str| ["SUDARE_HOST", "SUDARE_CLIENT"].iter().any(|p| name.starts_with(p));
    let (_, spans) = code(&pages);
    for name in spans.into_iter().filter(|span| is_name(span) && !read_under_a_prefix(span)) {
        assert!(found.contains(name), "a page names {name}, which no program reads");
    }
}
