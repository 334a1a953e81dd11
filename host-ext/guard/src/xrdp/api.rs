//! Opens a channel through chansrv.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{self, Answer, Layout};

/// chansrv answers when the client has, so this is a round trip of the network and a little.
const ANSWER_MAX: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the client has no Sudare extension. Its user must install it and start it with `/dvc:sudare`")]
    NoListener,
    #[error(
        "chansrv refused the channel with {0:#x}. xrdp is at fault, or its version is unknown to Sudare; see docs/guide/vdi-admin.md for versions"
    )]
    Refused(u32),
    #[error(
        "chansrv closed the request without an answer. Either no RDP client is connected, or the 255 channels of this session are used up; in the latter case the user must log off and on again"
    )]
    NoAnswer,
    #[error(
        "chansrv did not answer within 3 s in either layout. xrdp is at fault, or its version is unknown to Sudare"
    )]
    TimedOut,
    #[error(
        "chansrv's socket belongs to user {found}, and this session to user {expected}. Somebody else has put it there; the session stays covered"
    )]
    OtherUser { expected: u32, found: u32 },
    #[error("chansrv's socket cannot be used: {0}. Check that Sudare's user is in xrdp's group")]
    Io(#[from] io::Error),
}

/// Opens the dynamic channel `name`. `layout` is tried first and is what worked afterwards.
pub(super) async fn open(
    path: &Path,
    uid: u32,
    name: &str,
    layout: &mut Layout,
) -> Result<UnixStream, OpenError> {
    match attempt(path, uid, name, *layout).await {
        Err(OpenError::TimedOut) => {
            let other = layout.other();
            tracing::info!(?other, "chansrv does not answer; trying the other layout of its request");
            let stream = attempt(path, uid, name, other).await;
            if !matches!(stream, Err(OpenError::TimedOut)) {
                *layout = other;
            }
            stream
        }
        result => result,
    }
}

async fn attempt(path: &Path, uid: u32, name: &str, layout: Layout) -> Result<UnixStream, OpenError> {
    let mut stream = UnixStream::connect(path).await?;
    check_peer(uid, stream.peer_cred()?.uid())?;
    stream.write_all(&wire::request(layout, name)).await?;
    let mut reply = [0; 4];
    match timeout(ANSWER_MAX, stream.read_exact(&mut reply)).await {
        Err(_) => Err(OpenError::TimedOut),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(OpenError::NoAnswer),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(_)) => match wire::answer(reply) {
            Answer::Open => Ok(stream),
            Answer::NoListener => Err(OpenError::NoListener),
            Answer::Refused(code) => Err(OpenError::Refused(code)),
        },
    }
}

/// chansrv runs as the session's user. Root may do as it likes anyway.
fn check_peer(expected: u32, found: u32) -> Result<(), OpenError> {
    if found == expected || found == 0 { Ok(()) } else { Err(OpenError::OtherUser { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    /// A chansrv that understands one layout and waits for more bytes on the other.
    fn chansrv(path: &Path, understands: Layout, reply: Option<u32>) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let expected = wire::request(understands, "SUDARE");
                    let mut got = vec![0; expected.len()];
                    let whole = stream.read_exact(&mut got).await.is_ok();
                    if !whole || got != expected {
                        std::future::pending::<()>().await;
                    }
                    if let Some(reply) = reply {
                        stream.write_all(&reply.to_le_bytes()).await.unwrap();
                        let mut echo = [0; 5];
                        if stream.read_exact(&mut echo).await.is_ok() {
                            stream.write_all(&echo).await.unwrap();
                        }
                    }
                });
            }
        });
    }

    fn own_uid() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[tokio::test]
    async fn either_layout_is_found_and_remembered() {
        for understands in [Layout::Counted, Layout::Fixed] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("api");
            chansrv(&path, understands, Some(0));
            let mut layout = Layout::Counted;
            let mut stream = open(&path, own_uid(), "SUDARE", &mut layout).await.unwrap();
            assert_eq!(layout, understands);
            stream.write_all(b"hello").await.unwrap();
            let mut echo = [0; 5];
            stream.read_exact(&mut echo).await.unwrap();
            assert_eq!(&echo, b"hello");
        }
    }

    #[tokio::test]
    async fn refusals_say_whose_fault_it_is() {
        for (reply, part) in [
            (Some(0xC000_0001), "no Sudare extension"),
            (Some(7), "0x7"),
            (None, "closed the request without an answer"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("api");
            chansrv(&path, Layout::Counted, reply);
            let error = open(&path, own_uid(), "SUDARE", &mut Layout::Counted.clone()).await.unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_socket_of_somebody_else_is_not_spoken_to() {
        assert!(check_peer(1000, 1000).is_ok() && check_peer(1000, 0).is_ok());
        let error = check_peer(1000, 1001).unwrap_err().to_string();
        assert!(error.contains("user 1001") && error.contains("stays covered"), "{error}");
    }
}
