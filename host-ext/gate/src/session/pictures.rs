//! Has recordings decoded, each in a process of its own beside the session's loop.
//!
//! Codecs are where strangers' bytes do harm, and this process holds a key. `sudare-picture` holds none and can open
//! nothing; of its answer only the number of bytes is looked at, because the size was known before.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use sudare_guard::screen::Screenshot;
use sudare_protocol::evidence::note::Missing;
use sudare_relay::{Recording, Size};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::limits::{PICTURE_MAX, PICTURE_SAYS_BYTES, PICTURES_MAX};

/// It was no picture: the program's exit code for that.
const UNDECODABLE: i32 = 2;
const PIXEL_BYTES: u64 = 4;

/// A ticket, and what came of it.
pub(super) type Taken = (u64, Result<Screenshot, Missing>);

/// Those that are being decoded. None goes on when the session ends.
#[derive(Debug)]
pub(super) struct Pictures {
    program: PathBuf,
    running: JoinSet<Taken>,
}

impl Pictures {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program, running: JoinSet::new() }
    }

    /// Has one decoded. False: enough are being decoded already.
    pub(super) fn take(&mut self, ticket: u64, recording: Recording) -> bool {
        if self.running.len() >= PICTURES_MAX {
            return false;
        }
        let program = self.program.clone();
        self.running.spawn(async move { (ticket, picture(&program, recording).await) });
        true
    }

    /// The next one that is done. Cancel safe. Waits for ever while nothing is decoded.
    pub(super) async fn taken(&mut self) -> Option<Taken> {
        match self.running.join_next().await {
            Some(taken) => taken.ok(),
            None => std::future::pending().await,
        }
    }
}

async fn picture(program: &Path, recording: Recording) -> Result<Screenshot, Missing> {
    let size = recording.size();
    match timeout(PICTURE_MAX, decoded(program, recording)).await {
        Ok(Ok(answer)) => judge(size, answer),
        Ok(Err(error)) => {
            tracing::error!(
                %error, "{} cannot be started, so incidents have no screenshots. Install it beside sudare-gate",
                program.display()
            );
            Err(Missing::NoProgram)
        }
        Err(_) => {
            tracing::error!("a screenshot was not decoded in time. This machine has too much to do");
            Err(Missing::NoProgram)
        }
    }
}

/// How the program ended, what it wrote, and what it says.
struct Answer {
    status: ExitStatus,
    pixels: Vec<u8>,
    said: Vec<u8>,
}

async fn decoded(program: &Path, recording: Recording) -> std::io::Result<Answer> {
    let most = bytes(recording.size()).saturating_add(1);
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut input) = input {
            // It may refuse what it has read so far; its exit says so.
            input.write_all(&recording.write()).await.ok();
        }
    };
    let read = async {
        let mut pixels = Vec::new();
        match output {
            Some(output) => output.take(most).read_to_end(&mut pixels).await.map(|_| pixels),
            None => Ok(pixels),
        }
    };
    let listen = async {
        let mut said = Vec::new();
        match errors {
            Some(errors) => errors.take(PICTURE_SAYS_BYTES).read_to_end(&mut said).await.map(|_| said),
            None => Ok(said),
        }
    };
    let ((), pixels, said) = tokio::join!(write, read, listen);
    let (pixels, said) = (pixels?, said?);
    Ok(Answer { status: child.wait().await?, pixels, said })
}

fn judge(size: Size, Answer { status, pixels, said }: Answer) -> Result<Screenshot, Missing> {
    if status.success() && u64::try_from(pixels.len()).is_ok_and(|length| length == bytes(size)) {
        return Ok(Screenshot { width: size.width, height: size.height, bgra: pixels.into() });
    }
    // Whoever made it misbehave may also have chosen its words.
    let said: String =
        said.iter().map(|byte| char::from(*byte)).filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    tracing::warn!(%status, said, "a screenshot could not be decoded; the incident is kept without it");
    Err(if status.code() == Some(UNDECODABLE) { Missing::Undecodable } else { Missing::NoProgram })
}

fn bytes(size: Size) -> u64 {
    u64::from(size.width).saturating_mul(size.height.into()).saturating_mul(PIXEL_BYTES)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const SIZE: Size = Size { width: 2, height: 1 };

    /// A program in the place of the real one.
    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("picture");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn taken(program: PathBuf) -> Result<Screenshot, Missing> {
        let mut pictures = Pictures::new(program);
        assert!(pictures.take(7, Recording::new(SIZE)));
        let (ticket, taken) = pictures.taken().await.unwrap();
        assert_eq!(ticket, 7);
        taken
    }

    #[tokio::test]
    async fn what_is_answered_is_a_picture_or_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let of = |script: &str| program(folder.path(), script);
        let shot = taken(of("cat >/dev/null; printf 12345678")).await.unwrap();
        assert_eq!((shot.width, shot.height, &shot.bgra[..]), (2, 1, &b"12345678"[..]));
        for (script, why) in [
            ("exit 2", Missing::Undecodable),
            ("exit 3", Missing::NoProgram),
            ("kill -9 $$", Missing::NoProgram),
            ("printf 1234567", Missing::NoProgram),
            ("printf 123456789", Missing::NoProgram),
            // For ever: more than a picture has is not read.
            ("exec cat /dev/zero", Missing::NoProgram),
            ("exec sleep 600", Missing::NoProgram),
        ] {
            assert_eq!(taken(of(script)).await.err(), Some(why), "{script}");
        }
        assert_eq!(taken(folder.path().join("none")).await.err(), Some(Missing::NoProgram));
    }

    #[tokio::test]
    async fn no_more_than_a_few_are_decoded_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut pictures = Pictures::new(program(folder.path(), "exec sleep 600"));
        for ticket in 0..9 {
            assert_eq!(pictures.take(ticket, Recording::new(SIZE)), ticket < 4, "{ticket}");
        }
    }
}
