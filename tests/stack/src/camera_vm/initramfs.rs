//! What the machine finds when it boots: a cpio archive in the `newc` format.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use sudare_test_kit::needs::find;

use super::kernel::Kernel;
use super::output_of;

/// Commands of the script that busybox is.
const APPLETS: &[&str] = &["sh", "mount", "insmod", "sleep", "echo", "sed", "poweroff"];
const FOLDER: u32 = 0o04_0755;
const PROGRAM: u32 = 0o10_0755;
const LINK: u32 = 0o12_0777;

/// The archive with everything in it.
pub(super) fn build(kernel: &Kernel, programs: &[&Path], script: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["proc", "sys", "dev", "tmp"] {
        archive.folder(folder);
    }
    let busybox = find("busybox").context("busybox is missing")?;
    archive.file("bin/busybox", &std::fs::read(busybox)?);
    for applet in APPLETS {
        archive.add(&format!("bin/{applet}"), LINK, b"busybox");
    }
    let mut load = String::new();
    for module in &kernel.modules {
        let name = module.file_name().and_then(|name| name.to_str()).context("a module without a name")?;
        archive.file(&format!("mods/{name}"), &read(module)?);
        // One capture device that behaves as a webcam does.
        let options = if name == "vivid.ko" { " n_devs=1 node_types=0x1 input_types=0x0" } else { "" };
        load.push_str(&format!("insmod /mods/{name}{options}\n"));
    }
    for program in programs {
        add_with_libraries(&mut archive, program)?;
    }
    let init = format!(
        "#!/bin/sh\nexport PATH=/bin\nmount -t proc p /proc\nmount -t sysfs s /sys\nmount -t devtmpfs d /dev\n\
         {load}sleep 1\n{script}\npoweroff -f\n"
    );
    archive.file("init", init.as_bytes());
    Ok(archive.finish())
}

/// A program goes to /bin, what it is linked to where it is here.
fn add_with_libraries(archive: &mut Archive, program: &Path) -> anyhow::Result<()> {
    let name = program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
    archive.file(&format!("bin/{name}"), &read(program)?);
    let listing = output_of(Command::new("ldd").arg(program))?;
    for library in listing.split_whitespace().filter(|word| word.starts_with('/')) {
        archive.file(library.trim_start_matches('/'), &read(Path::new(library))?);
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Entries one after the other: a header of hexadecimal numbers, the name, the content, each filled up to four.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
}

impl Archive {
    fn folder(&mut self, name: &str) {
        self.add(name, FOLDER, b"");
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.add(name, PROGRAM, content);
    }

    /// Adds it after the folders it lies in; a second of the same name is left out.
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.folder(folder);
        }
        if self.names.insert(name.to_owned()) {
            self.entry(name, mode, content);
        }
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        let number = self.names.len();
        let (size, name_size) = (content.len(), name.len() + 1);
        // Inode, mode, owner, group, links, time, size, two devices of two numbers each, length of the name, check.
        let header = format!(
            "070701{number:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{size:08x}{0:08x}{0:08x}{0:08x}{0:08x}{name_size:08x}{0:08x}",
            0, 1
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.fill_up();
        self.bytes.extend_from_slice(content);
        self.fill_up();
    }

    fn fill_up(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, b"");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_follow_their_folders_and_are_filled_up() {
        let mut archive = Archive::default();
        archive.file("a/b/c", b"12345");
        archive.file("a/b/c", b"again");
        let bytes = archive.finish();
        let names: Vec<_> = ["a\0", "a/b\0", "a/b/c\0", "TRAILER!!!\0"]
            .iter()
            .map(|name| bytes.windows(name.len()).position(|w| w == name.as_bytes()).unwrap())
            .collect();
        assert!(names.is_sorted(), "{names:?}");
        // A header has 110 bytes; each part begins at a multiple of four.
        assert!(names.iter().all(|at| (at - 110) % 4 == 0), "{names:?}");
        assert_eq!(&bytes[names[2] + 6..names[2] + 14], b"12345\0\0\0");
        assert_eq!(bytes.len() % 4, 0);
    }
}
