//! `sudare open`: starts the RDP client with the right arguments for a host that this PC is paired with.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use sudare_client_runtime::hosts::{self, PairedHost};
use sudare_client_runtime::operator;

use crate::output;

/// Newest first: where both are there, the newer one is kept better.
const CLIENTS: [&str; 2] = ["xfreerdp3", "xfreerdp"];

/// Open the remote desktop of a host that this PC is paired with
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare open                              which hosts there are
  sudare open vdi.example
  sudare open vdi.example -- /f /sound     more arguments for xfreerdp
  sudare open vdi.example --remmina        write a profile for Remmina instead")]
pub(crate) struct Arguments {
    /// The host's name here
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Another user than the one for whom this PC is enrolled
    #[arg(long)]
    user: Option<String>,
    /// Write a profile for Remmina, and start nothing
    #[arg(long)]
    remmina: bool,
    /// Print what would be started
    #[arg(long)]
    print: bool,
    /// More arguments for xfreerdp
    #[arg(last = true)]
    more: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let home = operator::device_dir()?;
    let Some(name) = &arguments.name else { return list(&home) };
    let mut host = hosts::find(&home, name)?;
    host.user = arguments.user.clone().or(host.user);
    if arguments.remmina {
        return write_profile(name, &host);
    }
    let mut words = arguments_for(&host);
    words.extend(arguments.more.iter().cloned());
    let client = CLIENTS.iter().find_map(|name| on_path(name));
    if arguments.print {
        let client = client.unwrap_or_else(|| PathBuf::from(CLIENTS[1]));
        output::line(&format!("{} {}", client.display(), words.join(" ")));
        return Ok(());
    }
    let client =
        client.context("no RDP client is installed. Run: sudo apt install freerdp3-x11 (or freerdp2-x11)")?;
    let failed = Command::new(&client).args(&words).exec();
    Err(failed).with_context(|| client.display().to_string())
}

fn list(home: &Path) -> anyhow::Result<()> {
    let names = hosts::names(home);
    anyhow::ensure!(
        !names.is_empty(),
        "this PC is paired with no host yet. Type the code of your administrator: sudare pair CODE"
    );
    names.iter().for_each(|name| output::line(name));
    Ok(())
}

/// One certificate and no other: only then does the plugin compare it with what the host signed.
fn arguments_for(host: &PairedHost) -> Vec<String> {
    let mut words = vec![format!("/v:{}", host.address)];
    words.extend(host.user.as_ref().map(|user| format!("/u:{user}")));
    words.push(format!("/cert:deny,fingerprint:sha256:{}", host.fingerprint()));
    words.push("/dvc:sudare".to_owned());
    words
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Where Remmina reads its profiles.
fn write_profile(name: &str, host: &PairedHost) -> anyhow::Result<()> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".local/share")));
    let folder = data.context("neither XDG_DATA_HOME nor HOME is set. Set one of them")?.join("remmina");
    let path = folder.join(format!("sudare-{name}.remmina"));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    std::fs::write(&path, profile(name, host)).with_context(|| path.display().to_string())?;
    output::line(&path.display().to_string());
    Ok(())
}

fn profile(name: &str, host: &PairedHost) -> String {
    let user = host.user.as_deref().unwrap_or_default();
    format!(
        "[remmina]\nname={name}\nprotocol=RDP\nserver={}\nusername={user}\ndvc=sudare\ncert_ignore=0\n",
        host.address
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_told_one_certificate_and_the_plugin() {
        let host = PairedHost {
            address: "vdi.example:3390".into(),
            certificate_sha256: "a0ff".into(),
            user: Some("alice".into()),
        };
        let words = ["/v:vdi.example:3390", "/u:alice", "/cert:deny,fingerprint:sha256:A0:FF", "/dvc:sudare"];
        assert_eq!(arguments_for(&host), words);
        assert!(profile("vdi", &host).contains("\nserver=vdi.example:3390\nusername=alice\ndvc=sudare\n"));
    }
}
