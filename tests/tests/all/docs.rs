//! Documents say what the code does: each table is compared with the code, both ways.

#![allow(clippy::expect_used, clippy::panic, reason = "a test")]

mod page;

use std::collections::BTreeMap;

use page::{code, commands, fields, files, links, maps, read, root, rows, same, section, short};
use sudare_host_ext::config::SETTINGS;
use sudare_protocol::error::Code;
use sudare_protocol::evidence::event;
use sudare_protocol::message::KINDS;
use sudare_protocol::numbers::{Numbers, TABLE};
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::verify::FindingKind;

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// The chosen cells of each row.
fn columns<const N: usize>(rows: Vec<Vec<String>>, chosen: [usize; N]) -> Vec<[String; N]> {
    rows.into_iter().map(|row| chosen.map(|i| row.get(i).cloned().unwrap_or_default())).collect()
}

#[test]
fn every_member_and_folder_is_on_the_map() {
    let page = read("docs/architecture.md");
    let map = section(&page, "## Code map");
    let named: Vec<String> = (map.lines().filter(|line| line.starts_with("### ")))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(|folder| folder.trim_end_matches('/').to_owned())
        .collect();
    for folder in &named {
        assert!(
            root().join(folder).is_dir(),
            "architecture.md names the folder {folder}, which is not there"
        );
    }
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find(|line| line.starts_with("members")).expect("members");
    for member in members.split('"').skip(1).step_by(2) {
        assert!(named.iter().any(|n| n == member), "{member} has no heading in the code map");
    }
    for entry in root().read_dir().expect("the checkout") {
        let name = entry.expect("an entry").path();
        let short = short(&name);
        let counts = name.is_dir() && !short.starts_with('.') && short != "target";
        let known = named.iter().any(|n| n.split('/').next() == Some(&short));
        assert!(known || !counts, "the folder {short} is not in the code map");
    }
}

#[test]
fn every_module_is_on_the_map() {
    let page = read("docs/architecture.md");
    for package in ["protocol", "client-ext", "host-ext"] {
        let part = section(&page, &format!("### `{package}/`"));
        let (_, spans) = code(part);
        let library = read(&format!("{package}/src/lib.rs"));
        for module in library.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')) {
            let named = spans.iter().any(|s| s.trim_end_matches('/').split('/').next() == Some(module));
            assert!(named, "module {module} of {package} is not in the code map");
        }
    }
}

#[test]
fn settings_and_numbers_are_those_of_the_code() {
    let operating = read("docs/operating.md");
    let settings = SETTINGS.iter().map(|(name, default, says)| [name, default, says].map(|t| t.to_string()));
    same(
        "settings",
        settings.collect(),
        columns(rows(&operating, &["setting", "default", "meaning"]), [0, 1, 2]),
    );
    let defaults = Numbers::default();
    let numbers = |says: bool| {
        TABLE.iter().map(move |n| {
            assert_eq!((n.get)(&defaults), n.default);
            let says = if says { n.says } else { "" };
            [n.name.to_owned(), n.default.to_string(), n.min.to_string(), n.max.to_string(), says.to_owned()]
        })
    };
    let header = ["number", "default", "least", "most"];
    same("numbers", numbers(true).collect(), columns(rows(&operating, &header), [0, 1, 2, 3, 4]));
    let protocol = read("docs/protocol.md");
    same("numbers", numbers(false).collect(), columns(rows(&protocol, &header), [0, 1, 2, 3, 9]));
}

#[test]
fn messages_and_their_fields_are_those_of_the_code() {
    let page = read("docs/protocol.md");
    let kinds = KINDS
        .iter()
        .map(|(name, number, sender)| [format!("0x{number:02x}"), name.to_string(), sender.to_string()]);
    same("messages", kinds.collect(), columns(rows(&page, &["type", "name", "sender"]), [0, 1, 2]));
    let mut tables = 0;
    for source in ["protocol/src/message.rs", "protocol/src/records.rs", "protocol/src/template.rs"] {
        let text = read(source);
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
    let operating = rows(&read("docs/operating.md"), &["reason", "incident", "meaning", "what to do"]);
    let reasons = Reason::ALL.iter().map(|r| [r.as_str().to_owned(), yes_no(r.is_incident())]);
    same("reasons in operating.md", reasons.collect(), columns(operating, [0, 1]));
}

#[test]
fn limits_are_those_of_the_code() {
    let source = read("protocol/src/limits.rs");
    let mut values: BTreeMap<String, u64> = BTreeMap::new();
    for line in source.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let (name, rest) = line.split_once(':').expect("a constant has a type");
        let (_, expression) = rest.split_once('=').expect("a constant has a value");
        values.insert(name.to_owned(), value(expression.trim_end_matches(';'), &values));
    }
    let code = values.into_iter().map(|(name, value)| [name, value.to_string()]).collect();
    same("limits", code, columns(rows(&read("docs/protocol.md"), &["name", "value", "meaning"]), [0, 1]));
}

/// The value of a sum of products of numbers and earlier constants, such as `A * (B * 4 + 8) + 256`.
fn value(expression: &str, known: &BTreeMap<String, u64>) -> u64 {
    let expression = expression.trim();
    if let Some((before, inner, after)) = parentheses(expression) {
        return value(&format!("{before}{}{after}", value(inner, known)), known);
    }
    let number = |text: &str| {
        let text = text.trim().replace('_', "");
        let named =
            |text: &str| known.iter().find(|(name, _)| name.replace('_', "") == text).map(|(_, v)| *v);
        text.parse().ok().or_else(|| named(&text)).unwrap_or_else(|| panic!("{text} in {expression}"))
    };
    expression.split('+').map(|product| product.split('*').map(number).product::<u64>()).sum()
}

fn parentheses(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('(')?;
    let (inner, after) = rest.split_once(')')?;
    Some((before, inner, after))
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
    let mut checked = 0;
    for path in files("", ".md") {
        let text = std::fs::read_to_string(&path).expect("a page");
        let folder = path.parent().expect("a folder");
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let target = link.split('#').next().unwrap_or_default();
            assert!(folder.join(target).exists(), "{}: the link to {link} is dead", short(&path));
            checked += 1;
        }
        let (_, spans) = code(&text);
        let folders = ["protocol/", "models/", "client-ext/", "host-ext/", "deploy/", "tests/", "docs/"];
        for span in spans.into_iter().filter(|span| folders.iter().any(|f| span.starts_with(f))) {
            let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c));
            assert!(!plain || root().join(span).exists(), "{}: {span} is not there", short(&path));
            checked += usize::from(plain);
        }
    }
    assert!(checked > 50, "only {checked} links and paths were found");
}

#[test]
fn commands_that_pages_show_exist() {
    let xtask = commands(&read("deploy/xtask/src/main.rs"), "Task");
    let programs = [
        (
            "sudare",
            "client-ext/src/bin/sudare",
            commands(&read("client-ext/src/bin/sudare/main.rs"), "Command"),
        ),
        ("sudare-host", "host-ext/src/bin/sudare-host", host_commands()),
        ("sudare-audit", "host-ext/src/bin/sudare-audit", audit_commands()),
    ];
    let mut checked = 0;
    for name in ["README.md", "README.ja.md", "docs/operating.md", "docs/privacy.md", "docs/evidence.md"] {
        let text = read(name);
        let (lines, spans) = code(&text);
        for line in lines.into_iter().chain(spans) {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if let Some(task) = line.strip_prefix("cargo xtask ").and_then(|l| l.split(' ').next()) {
                assert!(xtask.contains(task), "{name}: cargo xtask {task} does not exist");
                checked += 1;
            }
            for (program, folder, known) in &programs {
                let Some(rest) = line.strip_prefix(&format!("{program} ")) else { continue };
                check_command(name, program, folder, known, rest);
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "only {checked} commands were found");
    assert!(xtask.contains("demo") && xtask.contains("test"), "the README's two commands: {xtask:?}");
}

fn host_commands() -> std::collections::BTreeSet<String> {
    commands(&read("host-ext/src/bin/sudare-host/main.rs"), "Command")
}

fn audit_commands() -> std::collections::BTreeSet<String> {
    commands(&read("host-ext/src/bin/sudare-audit/args.rs"), "Command")
}

/// The subcommand exists, and each flag is a field of some command of that program.
fn check_command(
    page: &str,
    program: &str,
    folder: &str,
    known: &std::collections::BTreeSet<String>,
    rest: &str,
) {
    let command = rest.split(' ').next().unwrap_or_default();
    assert!(known.contains(command), "{page}: {program} {command} does not exist");
    let sources: String =
        files(folder, ".rs").iter().filter_map(|p| std::fs::read_to_string(p).ok()).collect();
    for flag in rest.split([' ', '[', ']']).filter_map(|word| word.strip_prefix("--")) {
        let flag: String = flag.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        let field = format!("{}: ", flag.replace('-', "_"));
        let known = sources.contains(&field) || sources.contains(&format!("long = \"{flag}\""));
        assert!(known, "{page}: {program} {command} has no --{flag}");
    }
}

#[test]
fn environment_variables_are_on_a_page() {
    let pages = read("docs/operating.md") + &read("deploy/xtask/README.md");
    let mut found = 0;
    for folder in ["client-ext/src", "host-ext/src", "models/src", "tests/src"] {
        for path in files(folder, ".rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            for literal in text.split('"').filter(|part| part.starts_with("SUDARE_")) {
                let name: String =
                    literal.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
                if name.len() == literal.len() {
                    assert!(pages.contains(&name), "{}: {name} is on no page", short(&path));
                    found += 1;
                }
            }
        }
    }
    assert!(found > 5, "only {found} variables were found");
}
