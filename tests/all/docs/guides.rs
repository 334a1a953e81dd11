//! Commands that pages show, and what people are told to see: all of it is what the programs do and say.

use std::collections::BTreeSet;

use super::page::{code, columns, commands, files, read, root, rows};
use super::places::{CLIENT_SOURCES, HOST_SOURCES, PROGRAMS, Program, SHARED_FLAGS, XTASK};

/// Pages that show commands.
fn pages() -> Vec<String> {
    let mut found: Vec<String> = ["README.md", "README.ja.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    for folder in ["docs", "deploy/linux"] {
        found.extend(files(folder, ".md").iter().map(|path| super::page::short(path)));
    }
    // Decisions are history.
    found.retain(|page| !page.starts_with("docs/decisions/"));
    found
}

#[test]
fn commands_that_pages_show_exist() {
    let tasks = read(XTASK);
    let xtask = commands(&tasks, "Task");
    let mut checked = 0;
    for name in pages() {
        let text = read(&name);
        // The table of old commands names those that are gone.
        let text = text.split("| old | new |").next().unwrap_or_default();
        let (lines, spans) = code(text);
        for line in lines.into_iter().chain(spans) {
            let line = as_typed(line);
            if let Some(task) = line.strip_prefix("cargo xtask ") {
                let task_name = task.split(' ').next().unwrap_or_default();
                let known = xtask.contains(task_name) || task_name == "…";
                assert!(known, "{name}: cargo xtask {task_name} does not exist");
                for flag in flags(task) {
                    let known = tasks.contains(&format!("{}: ", flag.replace('-', "_")));
                    assert!(known, "{name}: cargo xtask {task_name} has no --{flag}");
                }
                checked += 1;
            }
            for program in &PROGRAMS {
                let Some(rest) = line.strip_prefix(program.name).and_then(|rest| rest.strip_prefix(' '))
                else {
                    continue;
                };
                check_command(&name, program, rest);
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "only {checked} commands were found");
    assert!(xtask.contains("demo") && xtask.contains("test"), "the README's two commands: {xtask:?}");
}

/// A command without its comment and without the program that only changes the user.
fn as_typed(line: &str) -> &str {
    let line = line.split(" #").next().unwrap_or_default().trim();
    if line.starts_with("setpriv ") {
        // Users have such names, too; the program comes last.
        return line.rfind(" sudare-").map_or(line, |at| line[at..].trim());
    }
    line.strip_prefix("sudo ").unwrap_or(line)
}

/// Long options of a command line.
fn flags(line: &str) -> Vec<String> {
    let words = line.split([' ', '[', ']', '|']).filter_map(|word| word.strip_prefix("--"));
    words.map(|flag| flag.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect()).collect()
}

/// The subcommand exists, and each flag is declared by that program.
fn check_command(page: &str, program: &Program, rest: &str) {
    let name = program.name;
    if let Some((file, list)) = program.commands {
        let known = commands(&read(file), list);
        let typed = rest.strip_prefix("--lang ja ").unwrap_or(rest);
        let command = typed.split([' ', ',', '|']).next().unwrap_or_default();
        assert!(known.contains(command), "{page}: {name} {command} does not exist");
    }
    let sources: String = [program.folder, SHARED_FLAGS]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    for flag in flags(rest).into_iter().filter(|flag| !["help", "version"].contains(&&**flag)) {
        // Declared for clap, or compared by hand where nothing may be linked.
        let field = format!("{}: ", flag.replace('-', "_"));
        let known = [field, format!("long = \"{flag}\""), format!("\"--{flag}\"")];
        assert!(known.iter().any(|known| sources.contains(known)), "{page}: {name} has no --{flag}");
    }
}

/// How files end that have words for people in them: programs, and what packages run.
const SOURCES: [&str; 6] = [".rs", ".sh", "sudare-setup", ".preinst", ".postinst", ".postrm"];
/// Commands of others.
const OTHERS: [&str; 4] = ["apt ", "install ", "journalctl ", "systemctl "];

/// Everything that programs and scripts of these folders say, with single spaces.
fn words(folders: &[&str]) -> String {
    let sources = folders.iter().flat_map(|folder| SOURCES.iter().flat_map(|end| files(folder, end)));
    let all: String = sources.map(|path| std::fs::read_to_string(path).expect("a source")).collect();
    all.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The parts of a message that no program fills in; a reason follows after a colon.
fn parts(message: &str) -> impl Iterator<Item = &str> {
    message.split(['…', '=']).flat_map(|part| part.split(": ")).map(str::trim).filter(|part| part.len() >= 8)
}

#[test]
fn messages_that_pages_explain_are_those_of_the_programs() {
    let (client, host) = (words(&CLIENT_SOURCES), words(&HOST_SOURCES));
    let page = read("docs/reference/messages.md");
    let explained = columns(rows(&page, &["message", "whose", "what to do"]), [0, 1]);
    let mut checked = 0;
    for [message, whose] in explained {
        let known = ["plugin", "client", "guard", "gate", "recorder", "ship", "forward"];
        assert!(known.contains(&&*whose), "{whose} is no program that messages.md knows");
        let sources = if ["plugin", "client"].contains(&&*whose) { &client } else { &host };
        for part in parts(&message) {
            assert!(sources.contains(part), "no program of the {whose} says {part:?}, which a page explains");
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} messages were found");
}

#[test]
fn people_see_what_the_guides_promise() {
    let said =
        words(&["client-ext", "host-ext", "protocol/src", "models/src", "deploy/linux", "deploy/packages"]);
    let (mut checked, mut never) = (0, Vec::new());
    for path in [files("docs/guide", ".md"), files("docs/ja/guide", ".md")].concat() {
        let text = std::fs::read_to_string(&path).expect("a page");
        for paragraph in text.split("\n\n").flat_map(|part| part.split("```")) {
            let promised = paragraph.trim_start();
            if !promised.starts_with("You see")
                && !promised.contains("You must see")
                && !promised.contains("表示され")
            {
                continue;
            }
            let promised = promised.replace('\n', " ");
            let quoted = promised.split('`').skip(1).step_by(2).filter(|span| is_said(span));
            for part in quoted.flat_map(|span| parts(span).map(str::to_owned).collect::<Vec<_>>()) {
                if !said.contains(&part) {
                    never.push(format!("{}: {part:?}", super::page::short(&path)));
                }
                checked += 1;
            }
        }
    }
    assert!(never.is_empty(), "no program says\n{}", never.join("\n"));
    assert!(checked > 30, "only {checked} promises were found");
}

/// Neither a file, a flag, a command nor a program: those are looked for elsewhere.
fn is_said(span: &str) -> bool {
    let is_command = PROGRAMS.iter().any(|program| span.starts_with(program.name));
    let is_others = OTHERS.iter().any(|program| span.starts_with(program));
    !is_command && !is_others && !span.starts_with(['-', '/', '~', '[']) && span.contains(' ')
}

#[test]
fn japanese_paths_have_the_commands_of_the_english_ones() {
    let mut checked = 0;
    for name in ["employee", "vdi-admin", "security-team"] {
        let english = read(&format!("docs/guide/{name}.md"));
        let (english, _) = code(&english);
        let english: BTreeSet<String> = english.into_iter().map(plain).collect();
        let japanese = read(&format!("docs/ja/guide/{name}.md"));
        let (lines, _) = code(&japanese);
        for line in lines.into_iter().filter(|line| is_a_command(line)) {
            assert!(
                english.contains(&plain(line)),
                "docs/ja/guide/{name}.md: {line} is not in the English one"
            );
            checked += 1;
        }
        assert!(root().join(format!("docs/ja/guide/{name}.md")).exists());
    }
    assert!(checked > 40, "only {checked} commands were found");
}

/// Without its comment, and without the language that only one of them chooses.
fn plain(line: &str) -> String {
    line.split(" #").next().unwrap_or_default().trim().replace(" --lang ja", "")
}

/// Lines of a policy have words of their own language.
fn is_a_command(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('[') && !line.contains(" = ")
}
