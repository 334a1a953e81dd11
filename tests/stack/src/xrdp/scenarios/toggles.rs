//! Covers and uncovers that follow each other faster than any person causes them, over a moving picture.
//!
//! A person's cover lasts a second at least. So whoever tells whose desktop it is changes its mind here: somebody signs
//! in, and it is the operator's own again. Both are obeyed at once.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::Rng as _;
use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, send,
    socket_with,
};
use sudare_owner::wire::{self, Answer};
use sudare_test_kit::scene::ALONE;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use crate::xrdp::client::Client;
use crate::xrdp::report::Report;
use crate::xrdp::screen::Screen;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

const PAIRS: u32 = 150;
/// The longest time between a cover and an uncover, or the other way round.
const GAP_MAX_MS: u64 = 150;
/// After so many pairs it is looked at: whether the cover holds, and whether the picture is right.
const LOOK_EVERY: u32 = 25;
const WATCHED: Duration = Duration::from_millis(500);
const SOCKET: &str = "/run/sudare-owner/socket";

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    let mut sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(ALONE);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let mut client = acts.stack.connect(&acts.device.clone())?;
    acts.uncovers("operator alone", &mut client, ALONE)?;
    let mut screen = Screen::of(&acts.stack.private)?;
    let before = screen.lower()?;
    sudare.kill_owners()?;
    let owner = Owner::take_over(acts.stack.user.uid)?;
    owner.tell(true)?;
    acts.stack.wait_picture("the desktop that is told of", &mut client, |count| count.is_desktop())?;

    let mut random = rand::rng();
    let mut pause = || std::thread::sleep(Duration::from_millis(random.random_range(0..=GAP_MAX_MS)));
    for pair in 1..=PAIRS {
        owner.tell(false)?;
        pause();
        if pair.is_multiple_of(LOOK_EVERY) {
            holds(&mut acts, &mut client, pair)?;
        }
        owner.tell(true)?;
        pause();
        if pair.is_multiple_of(LOOK_EVERY) {
            let name = format!("the desktop after {pair} pairs");
            acts.stack.wait_picture(&name, &mut client, |count| count.is_desktop())?;
            acts.stack.wait_moving()?;
            let after = screen.lower()?;
            acts.report.check(&format!("{name} is what it was"), before == after, differing(&before, &after));
        }
    }
    acts.picture("after all pairs")?;
    client.ensure_running()?;
    acts.report.check("the connection outlived all pairs", true, PAIRS);
    acts.report.figure("pairs", PAIRS);
    acts.uncovers("keys after all pairs", &mut client, ALONE)?;
    client.kill()?;
    let session = acts.stack.session()?;
    session.wait_connected(false)?;
    session.end()
}

/// Under a cover nothing of the user is seen, as long as it lasts.
fn holds(acts: &mut Acts<'_>, client: &mut Client, pair: u32) -> anyhow::Result<()> {
    acts.stack.wait_picture("the cover", client, |count| count.is_cover())?;
    let watch = acts.stack.watch(&format!("pair-{pair}"))?;
    std::thread::sleep(WATCHED);
    let seen = watch.stop()?;
    acts.report.check(&format!("cover {pair} holds"), seen.leaked_frames == 0, format!("{seen:?}"));
    Ok(())
}

fn differing(before: &[u8], after: &[u8]) -> String {
    let bytes = before.iter().zip(after).filter(|(a, b)| a != b).count();
    format!("{bytes} of {} bytes differ", before.len())
}

/// In place of the service that asks the kernel.
struct Owner {
    gate: OwnedFd,
    uid: u32,
}

impl Owner {
    /// Waits until the gate, whose service has gone, asks this one.
    fn take_over(uid: u32) -> anyhow::Result<Self> {
        std::fs::remove_file(SOCKET)?;
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(SOCKET)?)?;
        rustix::fs::chmod(SOCKET, Mode::from_raw_mode(0o666))?;
        listen(&socket, 1)?;
        Ok(Self { gate: accept(&socket)?, uid })
    }

    /// Whether it is the operator's own, or somebody signs in.
    fn tell(&self, own: bool) -> anyhow::Result<()> {
        let answer = if own { Answer::Session { uid: self.uid } } else { Answer::SigningIn };
        let packet = wire::answer(0, answer);
        let sent = send(&self.gate, &packet, SendFlags::NOSIGNAL).context("the gate asks no more")?;
        ensure!(sent == packet.len(), "a packet was cut off");
        Ok(())
    }
}
