//! A client and a host that talk without a desktop, and what can stand between them.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use sudare_protocol::hex::hex;
use sudare_test_kit::rdp::{self, HostKey};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{client, server};

/// Fast-path input with one key going down ([MS-RDPBCGR] 2.2.8.1.2).
pub(super) const KEY: [u8; 4] = [0x04, 0x04, 0x00, 0x1e];
/// Before the content of a fast-path update: header, length of two bytes, kind, length of the update.
const UPDATE_HEADER_BYTES: usize = 6;
const BITMAP: u8 = 1;

/// A host that listens, with a certificate of its own in a folder.
pub(super) struct Host {
    listener: TcpListener,
    key: HostKey,
    pin: String,
}

impl Host {
    pub(super) async fn start(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let key = HostKey::make()?;
        std::fs::write(dir.join("cert.pem"), &key.certificate_pem)?;
        let private = dir.join("key.pem");
        std::fs::write(&private, &key.key_pem)?;
        // The gate refuses a key that everybody can read.
        std::fs::set_permissions(private, Permissions::from_mode(0o600))?;
        let pin: [u8; 32] = Sha256::digest(key.certificate()).into();
        Ok(Self { listener: TcpListener::bind("127.0.0.1:0").await?, key, pin: hex(&pin) })
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// As a gate is told of it.
    pub(super) fn target(&self) -> anyhow::Result<String> {
        Ok(format!("tcp:{}#{}", self.address()?, self.pin))
    }

    pub(super) async fn accept(&self) -> anyhow::Result<server::TlsStream<TcpStream>> {
        let (tcp, _) = self.listener.accept().await?;
        tcp.set_nodelay(true)?;
        rdp::accept(tcp, &self.key).await
    }

    /// A client that reaches this host at `address`, and both ends of it.
    pub(super) async fn meet(&self, address: SocketAddr) -> anyhow::Result<Line> {
        let client = async {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            rdp::connect(tcp).await
        };
        let ((client, _), host) = tokio::try_join!(client, self.accept())?;
        Ok(Line { client, host })
    }
}

/// Both ends of one connection.
pub(super) struct Line {
    pub(super) client: client::TlsStream<TcpStream>,
    pub(super) host: server::TlsStream<TcpStream>,
}

impl Line {
    /// The host draws until the client is shown it: a gate begins covered.
    pub(super) async fn until_shown(&mut self) -> anyhow::Result<()> {
        let mark = update(b"is it shown?");
        self.host.write_all(&mark).await?;
        until(&mut self.client, &mark).await
    }
}

/// Reads until `mark` has come. A gate says something of its own at an uncover, such as which keys are up, before it
/// or behind it.
pub(super) async fn until(stream: &mut (impl AsyncRead + Unpin), mark: &[u8]) -> anyhow::Result<()> {
    let (mut read, mut seen) = ([0; 4096], Vec::new());
    while !seen.windows(mark.len()).any(|part| part == mark) {
        let count = stream.read(&mut read).await?;
        ensure!(count > 0, "the connection ended before what was expected");
        seen.extend_from_slice(read.get(..count).unwrap_or_default());
    }
    Ok(())
}

/// A fast-path update with this content. Nobody here decodes it.
pub(super) fn update(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(UPDATE_HEADER_BYTES + content.len()).unwrap_or(u16::MAX >> 1);
    let size = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let [high, low] = (length | 0x8000).to_be_bytes();
    let [size_low, size_high] = size.to_le_bytes();
    [&[0, high, low, BITMAP, size_low, size_high], content].concat()
}

/// A program that ends with this value.
#[derive(Debug)]
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(command.spawn().with_context(|| format!("{command:?} cannot be started"))?))
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Killing what has ended is no error worth telling.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Processor time of a process and its threads: proc_pid_stat(5), in ticks of 10 ms.
pub(super) fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) * 10.0)
}

/// A gate before this host that shows everything, and where it listens.
pub(super) fn puppet(host: &Host, dir: &Path, bin: &Path) -> anyhow::Result<(Running, SocketAddr)> {
    let mut command = Command::new(bin.join("sudare-puppet-gate"));
    command.arg("--target").arg(host.target()?);
    command.arg("--certificate").arg(dir.join("cert.pem")).arg("--key").arg(dir.join("key.pem"));
    let mut running = Running::start(command.stdout(Stdio::piped()).env_remove("RUST_LOG"))?;
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().context("no output")?).read_line(&mut line)?;
    let address = line.trim().parse().context("sudare-puppet-gate did not say where it listens")?;
    Ok((running, address))
}
