//! The plugin, where each FreeRDP of this PC looks for it: whether it is there, can be read, and is of this version.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Check;

/// As the plugin spells its version (`PLUGIN_VERSION` of sudare-freerdp).
const MARK: &[u8] = b"sudare-freerdp/";
const END: u8 = b';';
const NAME: &str = "libsudare-client.so";
/// About ten times the plugin's size.
const BYTES_MAX: u64 = 256 << 20;
const INSTALL: &str = "Install the package `sudare-client` of this version (or, without packages, run its `deploy/linux/client/install.sh`)";

/// A line for each FreeRDP, which serves Remmina, too.
pub(super) fn checks() -> Vec<Check> {
    // Where the loader of libraries is another one, nothing is known of their folders.
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    match loader() {
        Ok(listed) => found(&folders(&listed)),
        Err(error) => vec![Err(error)],
    }
}

fn loader() -> Result<String, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("ldconfig");
    command.arg("-p").env("PATH", format!("{path}:/sbin:/usr/sbin")).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("ldconfig: {e}. Install libc-bin"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// FreeRDP looks in a folder beside its library, which has its number.
fn folders(listed: &str) -> Vec<PathBuf> {
    let folder = |line: &str| {
        let library = Path::new(line.split("=> ").nth(1)?.trim());
        let name = library.file_name()?.to_str()?;
        let major = ["2", "3"].into_iter().find(|major| {
            name.strip_prefix("libfreerdp-client")
                .is_some_and(|rest| rest.starts_with(&format!("{major}.so")))
        })?;
        Some(library.parent()?.join(format!("freerdp{major}")))
    };
    let mut folders: Vec<_> = listed.lines().filter_map(folder).collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn found(folders: &[PathBuf]) -> Vec<Check> {
    match folders {
        [] => vec![Err(
            "no FreeRDP is installed. Install freerdp2-x11, freerdp3-x11 or Remmina, and then the plugin"
                .to_owned(),
        )],
        folders => folders.iter().map(|folder| of_this_version(&folder.join(NAME))).collect(),
    }
}

fn of_this_version(plugin: &Path) -> Check {
    let at = plugin.display();
    let mut bytes = Vec::new();
    let read = std::fs::File::open(plugin).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|e| format!("{at}: {e}, so this FreeRDP starts without Sudare. {INSTALL}"))?;
    let ours = env!("CARGO_PKG_VERSION");
    match version(&bytes) {
        Some(theirs) if theirs == ours => Ok(format!("{at}, version {ours}")),
        Some(theirs) => Err(format!("{at} is version {theirs}, and this program {ours}. {INSTALL}")),
        None => Err(format!(
            "{at} does not say its version, so it is damaged or older than this program. {INSTALL}"
        )),
    }
}

fn version(bytes: &[u8]) -> Option<&str> {
    let after = bytes.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let rest = bytes.get(after..)?;
    let end = rest.iter().take(64).position(|byte| *byte == END)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_freerdp_has_its_folder() {
        let listed = "\tlibfreerdp3.so.3 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libfreerdp3.so.3\n\
            \tlibfreerdp-client3.so.3 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libfreerdp-client3.so.3\n\
            \tlibfreerdp-client3.so (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libfreerdp-client3.so\n\
            \tlibfreerdp-client2.so.2 (libc6,x86-64) => /opt/lib/libfreerdp-client2.so.2\n";
        let expected = ["/opt/lib/freerdp2", "/usr/lib/x86_64-linux-gnu/freerdp3"].map(PathBuf::from);
        assert_eq!(folders(listed), expected);
        assert!(folders("").is_empty());
        assert!(matches!(&found(&[])[..], [Err(text)] if text.contains("no FreeRDP")));
    }

    #[test]
    fn a_plugin_that_is_missing_damaged_or_of_another_version_is_found() {
        let folder = std::env::temp_dir().join(format!("sudare-plugin-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let plugin = folder.join(NAME);
        let said = || found(std::slice::from_ref(&folder)).remove(0);
        assert!(said().unwrap_err().contains("install.sh"));
        let write = |text: String| std::fs::write(&plugin, text).unwrap();
        write("\u{7f}ELF damaged".to_owned());
        assert!(said().unwrap_err().contains("does not say its version"));
        write("\u{7f}ELF\0sudare-freerdp/0.0.1;\0".to_owned());
        assert!(said().unwrap_err().contains("is version 0.0.1"));
        write(format!("\u{7f}ELF\0sudare-freerdp/{};\0", env!("CARGO_PKG_VERSION")));
        assert!(said().unwrap().contains(env!("CARGO_PKG_VERSION")));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
