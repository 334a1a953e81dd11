//! What people's systems do to an export on its way: unpacked and zipped again it has entries for its folders, a folder
//! around all of it, and files that a file manager left. None of that is part of the export, and none of it is read.

use std::fs;
use std::path::{Path, PathBuf};

use super::bundle::{FILES_MAX, refused, unreadable};
use super::error::ExportError;

/// Names in a zip or folder: one of each file, one that macOS adds for each, and folders.
pub(super) const MEMBERS_MAX: usize = 4 * FILES_MAX;
/// Folders inside the given one: one around the export, and its own.
const DEPTH_MAX: usize = 3;

/// Files and folders that systems leave, compared without regard to case.
const LITTER: [&str; 20] = [
    ".DS_Store",
    "__MACOSX",
    ".localized",
    ".AppleDouble",
    ".Spotlight-V100",
    ".Trashes",
    ".TemporaryItems",
    ".fseventsd",
    "Icon\r",
    "Thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    ".directory",
    ".Trash-1000",
    "@eaDir",
    ".hidden",
];

/// Whether a name, with the folders before it, is of a file that a system left.
fn is_litter(name: &str) -> bool {
    name.split('/').any(|part| {
        LITTER.iter().any(|left| part.eq_ignore_ascii_case(left))
            || part.starts_with("._")
            || (part.starts_with(".~lock.") && part.ends_with('#'))
            || part.ends_with(":Zone.Identifier")
    })
}

/// Names as the export gives them, and the names of the litter. Folders are left out; `\\`, which some programs on
/// Windows write, separates like `/`; a folder around all files is taken off.
pub(super) fn sort<T>(names: Vec<(String, T)>) -> (Vec<(String, T)>, Vec<String>) {
    let (mut ours, mut extra) = (Vec::new(), Vec::new());
    for (name, at) in names {
        let name = name.replace('\\', "/");
        if is_litter(&name) {
            extra.push(name);
        } else if !name.ends_with('/') {
            ours.push((name, at));
        }
    }
    if let Some(around) = around(&ours) {
        for (name, _) in &mut ours {
            *name = name.split_off(around);
        }
    }
    (ours, extra)
}

/// Length of the folder that is around all files, with its slash.
fn around<T>(names: &[(String, T)]) -> Option<usize> {
    let (first, _) = names.first()?;
    let folder = first.get(..=first.find('/')?)?;
    let of_export = ["entries/", "sealed/", "opened/", "/", "./", "../"].contains(&folder);
    (!of_export && names.iter().all(|(name, _)| name.starts_with(folder))).then_some(folder.len())
}

/// All files below a folder, by their names in it. Anything but files and folders is refused.
pub(super) fn files(dir: &Path) -> Result<Vec<(String, PathBuf)>, ExportError> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), dir.to_owned(), 0)];
    while let Some((prefix, folder, depth)) = folders.pop() {
        for file in fs::read_dir(&folder).map_err(unreadable(&folder))? {
            let file = file.map_err(unreadable(&folder))?;
            let name = format!("{prefix}{}", file.file_name().to_string_lossy());
            let kind = file.file_type().map_err(unreadable(&folder))?;
            if found.len() + folders.len() >= MEMBERS_MAX {
                return Err(refused("it holds more files than any export"));
            }
            if kind.is_file() || is_litter(&name) {
                found.push((name, file.path()));
            } else if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((format!("{name}/"), file.path(), depth + 1));
            } else {
                let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
                return Err(ExportError::Refused(format!("`{shown}` in it is not a file of an export")));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str]) -> (Vec<String>, Vec<String>) {
        let (ours, extra) = sort(names.iter().map(|name| ((*name).to_owned(), ())).collect());
        (ours.into_iter().map(|(name, ())| name).collect(), extra)
    }

    #[test]
    fn what_systems_leave_is_put_aside_and_nothing_else() {
        let ours = vec!["proof.json".to_owned(), "entries/1.cose".to_owned()];
        for names in [
            ["proof.json", "entries/1.cose", "entries/", ".DS_Store"],
            ["case 12/proof.json", "case 12/entries/1.cose", "case 12/", "__MACOSX/case 12/._proof.json"],
            ["proof.json", "entries\\1.cose", "sealed\\", "entries\\thumbs.DB"],
        ] {
            let (names, extra) = sorted(&names);
            assert_eq!((names, extra.len()), (ours.clone(), 1));
        }
        let (names, extra) = sorted(&["proof.json", "more.txt", "a/../b", "../proof.json", "DS_Store"]);
        assert_eq!((names.len(), extra.len()), (5, 0));
        assert_eq!(sorted(&["../a", "../b"]).0, ["../a", "../b"], "no way out is taken off");
    }
}
