//! Reads pages and sources: tables, links, code, declarations. No more than these tests need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.find(|folder| folder.join("docs/architecture.md").exists()).expect("a checkout").to_owned()
}

pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// All files below a folder whose name ends so; builds and hidden folders are left out.
pub(crate) fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the checkout") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !["target", "corpus", "artifacts"].contains(&&*name)
            {
                folders.push(path);
            } else if name.ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A path as it is written from the checkout's root.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

type Row = Vec<String>;

/// Rows of every table of a page whose header begins with these cells. Back-ticks are taken off.
pub(crate) fn rows(page: &str, header: &[&str]) -> Vec<Row> {
    let (mut found, mut inside) = (Vec::new(), false);
    for line in page.lines() {
        let Some(cells) = cells(line) else {
            inside = false;
            continue;
        };
        if cells.iter().zip(header).all(|(cell, wanted)| cell == wanted) && cells.len() >= header.len() {
            inside = true;
        } else if inside && !cells.iter().all(|cell| cell.chars().all(|c| c == '-')) {
            found.push(cells);
        }
    }
    assert!(!found.is_empty(), "no table begins with {header:?}");
    found
}

/// The chosen cells of each row.
pub(crate) fn columns<const N: usize>(rows: Vec<Row>, chosen: [usize; N]) -> Vec<[String; N]> {
    rows.into_iter().map(|row| chosen.map(|i| row.get(i).cloned().unwrap_or_default())).collect()
}

fn cells(line: &str) -> Option<Row> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(|cell| cell.trim().replace('`', "")).collect())
}

/// The text from a heading to the next one that is not deeper.
pub(crate) fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("\n{heading}")).unwrap_or_else(|| panic!("no heading {heading:?}")) + 1;
    let level = heading.chars().take_while(|c| *c == '#').count();
    let rest = &page[start + heading.len()..];
    let is_end = |line: &str| {
        let depth = line.chars().take_while(|c| *c == '#').count();
        (1..=level).contains(&depth)
    };
    let end: usize = rest.split_inclusive('\n').skip(1).take_while(|line| !is_end(line)).map(str::len).sum();
    let first = rest.split_inclusive('\n').next().map_or(0, str::len);
    &rest[..first + end]
}

/// Lines of fenced blocks, and back-ticked spans outside them.
pub(crate) fn code(page: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut lines, mut spans, mut fenced) = (Vec::new(), Vec::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            lines.push(line);
        } else {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    (lines, spans)
}

/// Targets of links outside fenced blocks.
pub(crate) fn links(page: &str) -> Vec<&str> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for line in page.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced {
            found.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        }
    }
    found
}

/// (key, name) of each numbered field of `struct name`.
pub(crate) fn fields(source: &str, name: &str) -> Vec<(String, String)> {
    let body = block(source, &format!("struct {name} {{"));
    let (mut key, mut found) = (None, Vec::new());
    for line in body.lines().map(str::trim) {
        if let Some(at) = line.find("n(").filter(|_| line.starts_with("#[")) {
            key = line[at + 2..].split(')').next().map(str::to_owned);
        } else if let (Some((field, _)), true) = (line.split_once(':'), key.is_some()) {
            let field = field.trim_start_matches("pub ").to_owned();
            found.extend(key.take().map(|key| (key, field)));
        }
    }
    assert!(!found.is_empty(), "struct {name} has no numbered fields");
    found
}

/// Names of the structs that are written as CBOR maps.
pub(crate) fn maps(source: &str) -> Vec<&str> {
    let after = source.split("#[cbor(map)]").skip(1);
    after.filter_map(|rest| rest.split("struct ").nth(1)?.split([' ', '{']).next()).collect()
}

/// Modules that a source declares, but for those of its tests.
pub(crate) fn modules(source: &str) -> Vec<&str> {
    let (mut found, mut for_tests) = (Vec::new(), false);
    for line in source.lines() {
        let seen = ["pub ", "pub(crate) "].iter().find_map(|word| line.strip_prefix(word));
        let declared = seen.unwrap_or(line);
        if let Some(name) = declared.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            found.extend((!for_tests).then_some(name));
        }
        for_tests = line.starts_with("#[") && (for_tests || line.contains("cfg(test)"));
    }
    found
}

/// The text literals between a word and the end of that declaration.
pub(crate) fn literals<'a>(source: &'a str, after: &str) -> Vec<&'a str> {
    let start = source.find(after).unwrap_or_else(|| panic!("no {after:?}")) + after.len();
    let body = source[start..].split("];").next().unwrap_or_default();
    body.split('"').skip(1).step_by(2).collect()
}

/// (name, value) of each numeric constant of a source that does not build on another module's.
pub(crate) fn constants(source: &str) -> Vec<(String, u64)> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for line in source.lines() {
        let Some(rest) = ["pub const ", "pub(crate) const ", "pub(super) const ", "const "]
            .iter()
            .find_map(|p| line.strip_prefix(p))
        else {
            continue;
        };
        let Some((name, rest)) = rest.split_once(": ").filter(|(name, _)| *name != "_") else { continue };
        let (kind, expression) = rest.split_once(" = ").expect("a constant has a value");
        if ["u8", "u16", "u32", "u64", "usize"].contains(&kind) && !expression.contains("::") {
            found.insert(name.to_owned(), value(expression.trim_end_matches(';'), &found));
        }
    }
    found.into_iter().collect()
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

/// The commands of a clap enum, as one types them.
pub(crate) fn commands(source: &str, name: &str) -> BTreeSet<String> {
    let body = block(source, &format!("enum {name} {{"));
    let is_variant = |line: &&str| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase);
    let names = body.lines().filter(is_variant).map(|line| {
        let name: String = line.trim().chars().take_while(char::is_ascii_alphanumeric).collect();
        kebab(&name)
    });
    names.collect()
}

/// What stands between an opening line and the brace at the start of a line that closes it.
fn block<'a>(source: &'a str, opening: &str) -> &'a str {
    let start = source.find(opening).unwrap_or_else(|| panic!("no {opening:?}")) + opening.len();
    source[start..].split("\n}").next().unwrap_or_default()
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Says what one side has and the other lacks.
pub(crate) fn same<T: Ord + std::fmt::Debug>(what: &str, code: Vec<T>, page: Vec<T>) {
    let (code, page): (BTreeSet<T>, BTreeSet<T>) = (code.into_iter().collect(), page.into_iter().collect());
    let missing: Vec<&T> = code.difference(&page).collect();
    let unknown: Vec<&T> = page.difference(&code).collect();
    assert!(!code.is_empty(), "{what}: the code has none");
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "{what}: the page lacks {missing:?}, and the code lacks {unknown:?}"
    );
}
