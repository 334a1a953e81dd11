//! How many pictures of a moving desktop arrive at xfreerdp, with the gate and without it, in turn.
//!
//! The gate's guard shows everything, so that no camera takes the processor's time in only one of the two.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sudare_test_kit::{program, wait_until};

use crate::attackers::display::Running;
use crate::xrdp::client::{Client, ClientOptions};
use crate::xrdp::film::AREA;
use crate::xrdp::framebuffer::PIXEL_BYTES;
use crate::xrdp::report::Report;
use crate::xrdp::servers::{Door, GATE_SOCKET, PAST_GATE_PORT, RDP_PORT};
use crate::xrdp::stack::{Stack, StackOptions};

/// More than xrdp sends.
const A_SECOND: u32 = 60;
const LOOKED: Duration = Duration::from_secs(6);
/// Until it runs, and while it is looked at.
const LASTS: Duration = Duration::from_secs(10);
const CERTIFICATE: &str = "/etc/ssl/certs/ssl-cert-snakeoil.pem";
const KEY: &str = "/etc/ssl/private/ssl-cert-snakeoil.key";

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = Stack::raise(out, &StackOptions { door: Door::Both, ..StackOptions::default() })?;
    let mut gate = Command::new(program("sudare-puppet-gate")?);
    gate.args(["--listen", &format!("127.0.0.1:{RDP_PORT}"), "--target", &format!("unix:{GATE_SOCKET}")]);
    gate.args(["--certificate", CERTIFICATE, "--key", KEY]).stdout(Stdio::null());
    let _gate = Running(gate.spawn()?);
    wait_until("the gate", || Ok(std::net::TcpStream::connect(("127.0.0.1", RDP_PORT)).ok()))?;
    let (mut direct, mut gated) = (Vec::new(), Vec::new());
    for (port, rates) in
        [PAST_GATE_PORT, RDP_PORT, RDP_PORT, PAST_GATE_PORT].map(|port| (port, port == RDP_PORT))
    {
        let mut client = stack.connect(&ClientOptions { port: Some(port), ..ClientOptions::default() })?;
        let found = rate(&mut stack, &mut client)?;
        if rates { &mut gated } else { &mut direct }.push(found);
        client.kill()?;
        stack.session()?.wait_connected(false)?;
    }
    let all = direct.iter().chain(&gated).all(|rate| *rate > 1.0);
    report.check(
        "pictures arrive both ways",
        all,
        format!("{direct:.1?} without, {gated:.1?} through the gate"),
    );
    report.figure("direct_per_second", direct);
    report.figure("gate_per_second", gated);
    stack.session()?.end()
}

/// Different pictures of the film at the client, a second.
fn rate(stack: &mut Stack, client: &mut Client) -> anyhow::Result<f64> {
    stack.wait_picture("the desktop", client, |count| count.is_desktop())?;
    let access = stack.session()?.access()?;
    let mut film = access.command(program("sudare-film")?);
    let mut film = Running(film.args([A_SECOND.to_string(), LASTS.as_millis().to_string()]).spawn()?);
    stack.wait_picture("the film", client, |count| !count.is_desktop())?;
    let (screen, mut pixels) = (stack.private.framebuffer()?, Vec::new());
    let (mut last, mut pictures, started) = (0, 0_u32, Instant::now());
    while started.elapsed() < LOOKED {
        screen.read(&mut pixels)?;
        let now = middle(&pixels, screen.row_bytes());
        pictures += u32::from(std::mem::replace(&mut last, now) != now);
        std::thread::sleep(Duration::from_millis(2));
    }
    let seconds = started.elapsed().as_secs_f64();
    film.0.wait()?;
    Ok(f64::from(pictures) / seconds)
}

/// The colour in the middle of the film, which is another one in each picture.
fn middle(pixels: &[u8], row_bytes: usize) -> u32 {
    let (left, top, wide, high) = AREA;
    let (x, y) = (left.unsigned_abs() + wide / 2 + 5, top.unsigned_abs() + high / 2 + 5);
    let at = usize::from(y) * row_bytes + usize::from(x) * PIXEL_BYTES;
    let pixel = pixels.get(at..at + PIXEL_BYTES).and_then(|pixel| pixel.try_into().ok());
    pixel.map_or(0, |pixel| u32::from_le_bytes(pixel) & 0x00FF_FFFF)
}
