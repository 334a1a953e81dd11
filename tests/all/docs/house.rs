//! The house as architecture.md draws it: packages, arrows, what must never be, programs, modules.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::page::{code, columns, modules, read, root, rows, same, section, short};
use super::places::MODULE_LISTS;

/// Packages that what may look into every process may be built on, itself included.
const PRIVILEGED_MAX: usize = 70;

/// A package of the workspace.
struct Package {
    folder: String,
    name: String,
    manifest: toml::Table,
}

fn packages() -> Vec<Package> {
    let workspace: toml::Table = read("Cargo.toml").parse().expect("the workspace's manifest");
    let members = workspace["workspace"]["members"].as_array().expect("members");
    let package = |folder: &toml::Value| {
        let folder = folder.as_str().expect("a folder").to_owned();
        let manifest: toml::Table = read(&format!("{folder}/Cargo.toml")).parse().expect("a manifest");
        let name = manifest["package"]["name"].as_str().expect("a name").to_owned();
        Package { folder, name, manifest }
    };
    let packages: Vec<Package> = members.iter().map(package).collect();
    assert!(packages.len() > 20, "only {} packages were found", packages.len());
    packages
}

impl Package {
    fn is_for_tests(&self) -> bool {
        self.folder.starts_with("tests")
    }

    /// What it is linked with, of those named: what only its own tests use does not count.
    fn uses(&self, ours: &BTreeSet<&str>) -> BTreeSet<String> {
        let of_target = self.manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
        let tables = of_target.filter_map(|(_, target)| target.as_table()).chain([&self.manifest]);
        let dependencies = tables.filter_map(|table| table.get("dependencies")?.as_table()).flatten();
        dependencies.map(|(name, _)| name.clone()).filter(|name| ours.contains(name.as_str())).collect()
    }

    /// Programs that it makes, as cargo finds them.
    fn programs(&self) -> BTreeSet<String> {
        let source = root().join(&self.folder).join("src");
        let named = self.manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
        let mut found: BTreeSet<String> =
            named.filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned())).collect();
        if found.is_empty() && source.join("main.rs").exists() {
            found.insert(self.name.clone());
        }
        if let Ok(bins) = std::fs::read_dir(source.join("bin")) {
            let stems =
                bins.filter_map(|bin| Some(bin.ok()?.path().file_stem()?.to_string_lossy().into_owned()));
            found.extend(stems);
        }
        found
    }
}

fn cells(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split(", ").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[test]
fn packages_and_folders_are_those_of_the_workspace() {
    let page = read("docs/architecture.md");
    let packages = packages();
    let drawn = columns(rows(&page, &["package", "folder", "what it is", "uses"]), [0, 1]);
    let product = packages.iter().filter(|package| !package.is_for_tests());
    let product = product.map(|package| [package.name.clone(), package.folder.clone()]);
    same("packages", product.collect(), drawn);
    let (_, spans) = code(section(&page, "## Packages and arrows"));
    for package in packages.iter().filter(|package| package.is_for_tests()) {
        assert!(spans.contains(&&*package.folder), "{} is not among the packages of tests", package.folder);
    }
    for span in spans.iter().filter(|span| span.starts_with("tests/")) {
        assert!(packages.iter().any(|package| package.folder == **span), "{span} is no package");
    }
    for entry in root().read_dir().expect("the checkout") {
        let path = entry.expect("an entry").path();
        let short = short(&path);
        let counts = path.is_dir() && !short.starts_with('.') && !["target", "docs"].contains(&&*short);
        let known = packages.iter().any(|package| package.folder.split('/').next() == Some(&short));
        assert!(known || !counts, "the folder {short} belongs to no package");
    }
}

#[test]
fn arrows_are_those_of_the_manifests() {
    let page = read("docs/architecture.md");
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| &*package.name).collect();
    let product: Vec<&Package> = packages.iter().filter(|package| !package.is_for_tests()).collect();
    let arrows =
        |from: &str, to: BTreeSet<String>| to.into_iter().map(move |to| [from.to_owned(), to]).collect();
    let code: Vec<Vec<[String; 2]>> =
        product.iter().map(|package| arrows(&package.name, package.uses(&ours))).collect();
    let drawn: Vec<Vec<[String; 2]>> = rows(&page, &["package", "folder", "what it is", "uses"])
        .iter()
        .map(|row| arrows(&row[0], cells(&row[3]).collect()))
        .collect();
    same("arrows", code.concat(), drawn.concat());
    // Whoever tests a package may need more than its programs link.
    for package in product {
        for other in package.uses(&ours) {
            let dead_end = ["sudare-audit", "sudare-admin", "sudare-authority"].contains(&&*other);
            assert!(!dead_end, "{} must not use {other}", package.name);
        }
    }
}

#[test]
fn what_must_never_be_is_not_there() {
    let page = read("docs/architecture.md");
    let lock = read("Cargo.lock");
    let known = |name: &str| lock.contains(&format!("name = \"{name}\"\n"));
    let rules = rows(&page, &["package", "must never reach", "why"]);
    assert!(rules.len() > 6, "only {} rules were found", rules.len());
    let mut reached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &rules {
        let reaches = reached.entry(row[0].clone()).or_insert_with(|| links_with(&row[0]));
        assert!(reaches.contains(&row[0]), "cargo tree does not tell what {} links", row[0]);
        for never in cells(&row[1]) {
            // A name that nobody has any more would forbid nothing.
            assert!(known(&never), "{never} is not among the packages of this workspace");
            assert!(!reaches.contains(&never), "{} reaches {never}, which must never be", row[0]);
        }
    }
    let privileged = links_with("sudare-owner");
    assert!(privileged.len() <= PRIVILEGED_MAX, "{} packages: {privileged:?}", privileged.len());
    // The same question has another answer where there is one.
    assert!(links_with("sudare-headless").contains("tokio"), "cargo tree finds nothing");
}

/// Every package that one links, itself included, with its own default features.
fn links_with(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut tree = Command::new(cargo);
    tree.args([
        "tree",
        "--offline",
        "--locked",
        "-e",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "-p",
        package,
    ]);
    let output = tree.current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn programs_are_those_of_the_packages() {
    let page = read("docs/reference/programs.md");
    let built = packages().into_iter().filter(|package| !package.is_for_tests() && package.name != "xtask");
    let built: BTreeSet<String> = built.flat_map(|package| package.programs()).collect();
    let listed = rows(&page, &["program", "who runs it", "does"]).into_iter().map(|row| row[0].clone());
    let listed: Vec<String> = listed.filter(|name| !name.ends_with(".so")).collect();
    same("programs", built.iter().cloned().collect(), listed);

    let list = read("deploy/packages/debian/sudare-host.install");
    let installed: BTreeSet<&str> =
        list.lines().filter_map(|line| line.strip_prefix("programs/")?.split(' ').next()).collect();
    assert!(installed.len() > 7 && installed.iter().all(|name| built.contains(*name)), "{installed:?}");
    // The organisation's key is offline, a witness is elsewhere, and the embedded host checks no passwords.
    for never in ["sudare-authority", "sudare-witness", "sudare-embedded"] {
        assert!(built.contains(never) && !installed.contains(never), "{never} must not be on a host");
    }
}

#[test]
fn every_package_begins_with_a_list_of_its_modules() {
    let mut lists: Vec<String> = MODULE_LISTS.map(str::to_owned).to_vec();
    for package in packages() {
        let roots = ["lib.rs", "main.rs"].map(|file| format!("{}/src/{file}", package.folder));
        lists.extend(roots.into_iter().filter(|file| root().join(file).exists()));
    }
    let mut checked = 0;
    for file in lists {
        let text = read(&file);
        let declared = modules(&text);
        let header: String = text
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .fold(String::new(), |all, line| all + line.strip_prefix(' ').unwrap_or(line) + "\n");
        // Who has one or two needs no list.
        if declared.len() < 3 {
            continue;
        }
        let listed = rows(&header, &["module", "what"]).into_iter().flat_map(|row| {
            cells(&row[0]).map(|name| name.trim_end_matches('/').to_owned()).collect::<Vec<_>>()
        });
        same(&file, declared.iter().map(|name| (*name).to_owned()).collect(), listed.collect());
        checked += 1;
    }
    assert!(checked > 15, "only {checked} lists were found");
}
