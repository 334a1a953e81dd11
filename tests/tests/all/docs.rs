//! Documents say what the code does: each table is compared with the code, both ways.

#![allow(clippy::expect_used, clippy::panic, reason = "a test")]

mod page;

use std::collections::BTreeSet;

use page::{
    block, code, commands, constants, fields, files, links, literals, maps, modules, read, root, rows, same,
    section, short,
};
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
    let list = manifest.split_once("members = [").expect("members").1;
    let members: Vec<&str> =
        list.split(']').next().unwrap_or_default().split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 6 && members.iter().all(|m| root().join(m).is_dir()), "{members:?}");
    for member in members {
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
fn every_module_is_on_the_map_and_nothing_else() {
    let page = read("docs/architecture.md");
    for (package, source) in [
        ("protocol", "lib.rs"),
        ("client-ext", "lib.rs"),
        ("client-ext/freerdp", "lib.rs"),
        ("host-ext", "lib.rs"),
        ("host-ext/src/recorder", "mod.rs"),
        ("host-ext/src/supervise", "mod.rs"),
        ("host-ext/src/channel/xrdp", "mod.rs"),
        ("host-ext/blanker", "main.rs"),
        ("tests", "lib.rs"),
        ("tests/v4l2-shim", "lib.rs"),
    ] {
        let part = section(&page, &format!("### `{package}/`"));
        let folder = if package.contains("/src/") { package.to_owned() } else { format!("{package}/src") };
        let named: Vec<String> = (rows(part, &["files", "what"]).iter())
            .flat_map(|row| row[0].split(", ").map(|name| name.trim_end_matches('/').to_owned()))
            .collect();
        for module in modules(&read(&format!("{folder}/{source}"))) {
            let is_named = named.iter().any(|name| name.split('/').next() == Some(module));
            assert!(is_named, "module {module} of {package} is not in the code map");
        }
        for name in named {
            let there =
                [name.clone(), format!("{name}.rs")].iter().any(|n| root().join(&folder).join(n).exists());
            assert!(there, "the code map names {name} of {package}, which is not there");
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
fn settings_of_the_plugin_are_those_of_the_code() {
    let source = read("client-ext/runtime/src/plugin/settings.rs");
    let settings: Vec<[String; 3]> = (literals(&source, "SETTINGS: &[(&str, &str, &str)] = &[").chunks(3))
        .map(|row| [0, 1, 2].map(|i| row[i].to_owned()))
        .collect();
    let operating = read("docs/operating.md");
    let listed = columns(rows(&operating, &["plugin's setting", "default", "meaning"]), [0, 1, 2]);
    let plain = |row: &[String; 3]| row.clone().map(|cell| cell.replace('`', ""));
    same("the plugin's settings", settings.iter().map(plain).collect(), listed);

    let known = literals(&source, "ARGUMENTS: &[(&str, &str)] = &[");
    let mut arguments: Vec<[String; 2]> =
        known.chunks(2).map(|pair| [pair[0].to_owned(), pair[1].to_owned()]).collect();
    arguments.push(["config".to_owned(), String::new()]);
    // The same table stands where users read it.
    let header = ["argument", "setting in client.toml", "default", "meaning"];
    let mut listed = columns(rows(&read("deploy/linux/client/README.md"), &header), [0, 1]);
    let names = listed.iter().map(|row| row[1].clone()).filter(|name| !name.is_empty()).collect();
    same("settings in the client's README", settings.into_iter().map(|[name, ..]| name).collect(), names);
    listed.retain(|[argument, _]| !argument.is_empty());
    let listed = listed
        .into_iter()
        .map(|[argument, setting]| [argument.split(':').next().unwrap_or_default().to_owned(), setting]);
    same("the plugin's arguments", arguments, listed.collect());
}

#[test]
fn times_of_the_supervision_are_those_of_the_code() {
    let supervise = ["supervise/plan", "supervise/sign_in", "supervise/arrivals", "supervise/audit"];
    let files = [&supervise[..], &["channel/xrdp/desk", "channel/xrdp/opening"]].concat();
    let values = files.into_iter().flat_map(|file| {
        let found = constants(&read(&format!("host-ext/src/{file}.rs")));
        found.into_iter().map(move |(name, value)| [file.to_owned(), name, value.to_string()])
    });
    let listed = rows(&read("docs/architecture.md"), &["where", "constant", "value", "meaning"]);
    same("times", values.collect(), columns(listed, [0, 1, 2]));
}

#[test]
fn codes_of_notes_are_those_of_the_code() {
    let evidence = constants(&read("host-ext/src/session/evidence/mod.rs"));
    let notes = evidence.into_iter().filter(|(name, _)| name.starts_with("NOTE_")).map(|(_, code)| code);
    let channel = read("host-ext/src/channel/mod.rs");
    let notices = block(&channel, "pub enum CoverNotice {").lines().filter_map(|line| {
        line.trim().trim_end_matches(',').split_once(" = ").map(|(_, code)| code.parse().expect("a code"))
    });
    let codes: Vec<u64> = notes.chain(notices).collect();
    assert!(codes.len() >= 8, "only {codes:?} were found");
    let listed = rows(&read("docs/evidence.md"), &["note code", "what"]);
    let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
    same("notes", codes.clone(), listed.into_iter().map(|r| r[0].clone()).collect());

    // What a SIEM is told of each: `3 => ("name", …`.
    let source = read("host-ext/src/siem/alert.rs");
    let arms = block(&source, "fn note_words(note: Note) -> Words {").split(" => ").collect::<Vec<_>>();
    let named: Vec<(String, &str)> = (arms.windows(2))
        .map(|pair| (pair[0].split_whitespace().last().unwrap_or_default(), pair[1]))
        .filter(|(code, _)| *code != "_")
        .map(|(code, arm)| (code.to_owned(), arm.split('"').nth(1).unwrap_or_default()))
        .collect();
    same("notes that a SIEM has words for", codes, named.iter().map(|(code, _)| code.clone()).collect());
    let operating = read("docs/operating.md");
    for (code, name) in named {
        let told = name.starts_with("x11-") || operating.contains(&format!("`{name}`"));
        assert!(told, "operating.md does not say that a SIEM is told {name} (note {code})");
    }
}

#[test]
fn messages_that_pages_explain_are_those_of_the_programs() {
    let text = |folders: &[&str]| {
        let all: String = (folders.iter().flat_map(|folder| files(folder, ".rs")))
            .map(|path| std::fs::read_to_string(path).expect("a source"))
            .collect();
        all.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let client = text(&["client-ext", "protocol/src"]);
    let host = text(&["host-ext", "protocol/src"]);
    let operating = read("docs/operating.md");
    let explained = rows(&operating, &["message", "whose", "what to do"]);
    let on_host = rows(&read("deploy/linux/host/README.md"), &["line", "what to do"]);
    let on_host = on_host.into_iter().map(|row| [row[0].clone(), "host".to_owned()]);
    let mut checked = 0;
    for [message, whose] in columns(explained, [0, 1]).into_iter().chain(on_host) {
        let sources = if ["plugin", "client"].contains(&&*whose) { &client } else { &host };
        // What a program fills in stands as `…`, and a reason after a colon.
        for part in message.split(['…', '=']).flat_map(|part| part.split(": ")).map(str::trim) {
            let known = part.len() < 8 || sources.contains(part);
            assert!(known, "no program of the {whose} says {part:?}, which a page explains");
            checked += usize::from(part.len() >= 8);
        }
    }
    assert!(checked > 25, "only {checked} messages were found");
}

#[test]
fn messages_and_their_fields_are_those_of_the_code() {
    let page = read("docs/protocol.md");
    let kinds = KINDS
        .iter()
        .map(|(name, number, sender)| [format!("0x{number:02x}"), name.to_string(), sender.to_string()]);
    same("messages", kinds.collect(), columns(rows(&page, &["type", "name", "sender"]), [0, 1, 2]));
    let mut tables = 0;
    for source in ["message", "records", "rules", "template"] {
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
    let operating = rows(&read("docs/operating.md"), &["reason", "incident", "meaning", "what to do"]);
    let reasons = Reason::ALL.iter().map(|r| [r.as_str().to_owned(), yes_no(r.is_incident())]);
    same("reasons in operating.md", reasons.collect(), columns(operating, [0, 1]));
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

/// Pages that show commands.
const PAGES: [&str; 9] = [
    "README.md",
    "README.ja.md",
    "docs/operating.md",
    "docs/privacy.md",
    "docs/evidence.md",
    "docs/threat-model.md",
    "docs/style.md",
    "deploy/linux/host/README.md",
    "deploy/linux/client/README.md",
];

#[test]
fn commands_that_pages_show_exist() {
    let tasks = read("deploy/xtask/src/main.rs");
    let xtask = commands(&tasks, "Task");
    let programs = [
        ("sudare", "client-ext/cli/src", commands(&read("client-ext/cli/src/main.rs"), "Command")),
        ("sudare-host", "host-ext/src/bin/sudare-host", host_commands()),
        ("sudare-audit", "host-ext/src/bin/sudare-audit", audit_commands()),
    ];
    let blanker = read("host-ext/blanker/src/main.rs");
    let mut checked = 0;
    for name in PAGES {
        let text = read(name);
        let (lines, spans) = code(&text);
        for line in lines.into_iter().chain(spans) {
            let line = as_typed(line);
            if let Some(task) = line.strip_prefix("cargo xtask ") {
                let task_name = task.split(' ').next().unwrap_or_default();
                assert!(xtask.contains(task_name), "{name}: cargo xtask {task_name} does not exist");
                for flag in flags(task) {
                    let known = tasks.contains(&format!("{}: ", flag.replace('-', "_")));
                    assert!(known, "{name}: cargo xtask {task_name} has no --{flag}");
                }
                checked += 1;
            }
            for flag in line.strip_prefix("sudare-blanker ").map(flags).unwrap_or_default() {
                assert!(
                    blanker.contains(&format!("\"--{flag}\" =>")),
                    "{name}: sudare-blanker has no --{flag}"
                );
                checked += 1;
            }
            for (program, folder, known) in &programs {
                let Some(rest) = line.strip_prefix(&format!("{program} ")) else { continue };
                check_command(name, program, folder, known, rest);
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "only {checked} commands were found");
    assert!(xtask.contains("demo") && xtask.contains("test"), "the README's two commands: {xtask:?}");
}

/// A command without its comment and without the program that only changes the user.
fn as_typed(line: &str) -> &str {
    let line = line.split(" #").next().unwrap_or_default().trim();
    if line.starts_with("setpriv ") {
        return line.find(" sudare-").map_or(line, |at| line[at..].trim());
    }
    line.strip_prefix("sudo ").unwrap_or(line)
}

/// Long options of a command line.
fn flags(line: &str) -> Vec<String> {
    let words = line.split([' ', '[', ']', '|']).filter_map(|word| word.strip_prefix("--"));
    words.map(|flag| flag.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect()).collect()
}

fn host_commands() -> BTreeSet<String> {
    commands(&read("host-ext/src/bin/sudare-host/main.rs"), "Command")
}

fn audit_commands() -> BTreeSet<String> {
    commands(&read("host-ext/src/bin/sudare-audit/args.rs"), "Command")
}

/// The subcommand exists, and each flag is a field of some command of that program.
fn check_command(page: &str, program: &str, folder: &str, known: &BTreeSet<String>, rest: &str) {
    let command = rest.split(' ').next().unwrap_or_default();
    assert!(known.contains(command), "{page}: {program} {command} does not exist");
    let sources: String =
        files(folder, ".rs").iter().filter_map(|p| std::fs::read_to_string(p).ok()).collect();
    for flag in flags(rest) {
        let field = format!("{}: ", flag.replace('-', "_"));
        let known = sources.contains(&field) || sources.contains(&format!("long = \"{flag}\""));
        assert!(known, "{page}: {program} {command} has no --{flag}");
    }
}

#[test]
fn environment_variables_are_on_a_page_and_read_somewhere() {
    let pages = read("docs/operating.md") + &read("deploy/xtask/README.md") + &read("docs/style.md");
    let is_name = |text: &str| {
        text.len() > 7
            && (text.starts_with("SUDARE_") || text.starts_with("SHIM_"))
            && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let mut found = BTreeSet::new();
    for folder in ["client-ext", "host-ext", "models", "tests", "deploy/xtask"] {
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
