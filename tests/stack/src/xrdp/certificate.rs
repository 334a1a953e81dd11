//! A host's certificate, by which the gate knows it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::process;

/// Its files, and its pin.
#[derive(Debug)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pin: String,
}

impl Certificate {
    /// Makes one: `NAME.crt` and `NAME.key` in a folder.
    pub fn make(folder: &Path, name: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args(["-subj", &format!("/CN={name}"), "-keyout"]).arg(&key);
        process::output(openssl.arg("-out").arg(&certificate))?;
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&certificate);
        let told = process::output(&mut openssl)?;
        let pin = told.trim().rsplit('=').next().context("openssl tells no fingerprint")?.to_owned();
        Ok(Self { certificate, key, pin })
    }

    /// The host with it that listens at this port, as the gate's settings name it.
    pub fn target(&self, port: u16) -> String {
        format!("tcp:127.0.0.1:{port}#{}", self.pin)
    }
}

/// What `grep -i` finds in the kernel's list of connections while somebody is connected to this port.
pub fn connected_to(port: u16) -> String {
    format!(":{port:04x} [0-9a-f:]* 01")
}
