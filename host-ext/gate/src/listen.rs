//! Accepts connections, where no systemd does it, and gives each a process of its own.
//!
//! ```text
//!  accept ─► this program again, socket = its standard input ─► … ─► end
//! ```
//! Nothing is shared with them: when this process ends, is updated or fails, connections go on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::limits::BACKLOG;

/// After an error that might come again at once, such as a lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes the address.
///
/// # Errors
/// If it is taken by somebody else, or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until told to stop. `program` gives the command for a connection; its standard input is set here.
pub async fn run(
    listener: TcpListener,
    program: impl Fn() -> Command,
    connections_max: &AtomicUsize,
    mut stop: watch::Receiver<bool>,
) {
    let mut running = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = running.join_next() => {
                if let Ok((port, Ok(status))) = ended {
                    killed(port, status);
                }
                continue;
            }
            _ = stop.changed() => break,
        };
        match accepted {
            Ok((_, peer)) if running.len() >= connections_max.load(Ordering::Relaxed) => tracing::warn!(
                port = peer.port(),
                "connection closed, because the maximum number of sessions is reached. Raise max_sessions or wait"
            ),
            Ok((tcp, peer)) => match start(tcp, program()) {
                Ok(mut child) => {
                    running.spawn(async move { (peer.port(), child.wait().await) });
                }
                Err(error) => {
                    tracing::error!(port = peer.port(), %error, "no process for a connection; it was closed");
                    sleep(PAUSE).await;
                }
            },
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted. Check the limit of open files");
                sleep(PAUSE).await;
            }
        }
    }
    if !running.is_empty() {
        tracing::info!(connections = running.len(), "no more connections are accepted; these go on");
        // Waiting for them is nobody's task any more.
        running.detach_all();
    }
}

/// Whoever is killed cannot say so. Gives the signal.
fn killed(port: u16, status: ExitStatus) -> Option<i32> {
    let signal = status.signal()?;
    tracing::warn!(
        port,
        signal,
        "a connection's process was ended by a signal, and its client was disconnected. Look who sent it: a crash, an \
         administrator, or the kernel for want of memory"
    );
    Some(signal)
}

fn start(tcp: TcpStream, mut program: Command) -> io::Result<tokio::process::Child> {
    let tcp = tcp.into_std()?;
    tcp.set_nonblocking(false)?;
    program.stdin(Stdio::from(OwnedFd::from(tcp)));
    // A signal to this process and its group, such as Ctrl-C, is not meant for connections.
    program.process_group(0);
    tokio::process::Command::from(program).spawn()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// Says that it began, and repeats one line: all of it over the socket.
    fn echo() -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun >&0; read line; echo \"$line\" >&0"]);
        command
    }

    async fn line(tcp: &mut TcpStream) -> String {
        let mut read = [0; 16];
        let count = timeout(Duration::from_secs(20), tcp.read(&mut read)).await.unwrap().unwrap();
        String::from_utf8_lossy(&read[..count]).trim_end().to_owned()
    }

    #[test]
    fn an_end_by_a_signal_is_told_and_another_is_not() {
        assert_eq!(killed(1, ExitStatus::from_raw(9)), Some(9));
        assert_eq!(killed(1, ExitStatus::from_raw(0)), None);
        // Exit code 1: it has said why itself.
        assert_eq!(killed(1, ExitStatus::from_raw(1 << 8)), None);
    }

    #[tokio::test]
    async fn connections_go_on_when_nobody_accepts_any_more_and_are_bounded_before() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (told, stop) = watch::channel(false);
        let running = tokio::spawn(async move { run(listener, echo, &AtomicUsize::new(1), stop).await });
        let mut first = TcpStream::connect(address).await.unwrap();
        assert_eq!(line(&mut first).await, "begun");
        let mut second = TcpStream::connect(address).await.unwrap();
        assert_eq!(line(&mut second).await, "", "one connection is the maximum here");
        told.send_replace(true);
        timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
        first.write_all(b"still here\n").await.unwrap();
        assert_eq!(line(&mut first).await, "still here");
    }
}
