//! From the client's decision to black at the client, over a real RDP connection.
//!
//! The looks at the seat are scripted, everything after them is real: presence, link, signatures,
//! channel, host, guard, display gate, encoding, decoding.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use sudare_client_core::presence::{CameraView, FaceSeen, Observation, Who};
use sudare_client_runtime::Event;
use sudare_client_runtime::clock::boottime_ms;
use sudare_client_runtime::device;
use sudare_client_runtime::driver::{Driver, Identity};
use sudare_client_runtime::inbox::{Inbox, LookSender};
use sudare_client_runtime::membership::Membership;
use sudare_client_runtime::watcher::{Look, Watcher};
use sudare_headless::RdpOptions;
use sudare_headless::app::{self, AppEvent};
use sudare_protocol::eyes::Recognition;
use sudare_protocol::template::OperatorTemplate;
use sudare_test_kit::stage::{Stage, USER};
use sudare_test_kit::wait::{PATIENCE, in_vain};
use tokio::sync::mpsc;

use super::proxy;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Decision-to-black times in milliseconds.
#[derive(Debug)]
pub struct Latency {
    pub to_black_ms: Vec<f64>,
}

/// Looks that say what the script says: one each 100 ms, and one at once when the script changes.
struct Scripted {
    blocked: Option<Receiver<bool>>,
}

impl Watcher for Scripted {
    fn start(&mut self, _: Vec<OperatorTemplate>, _: Recognition, looks: LookSender) -> anyhow::Result<()> {
        let script = self.blocked.take().context("one session is played")?;
        std::thread::spawn(move || {
            let mut blocked = false;
            loop {
                let camera = if blocked { CameraView::Blocked } else { CameraView::Clear };
                let face = FaceSeen::near(0, Who::Operator);
                let observation = Observation::new(boottime_ms(), camera, vec![face]);
                if !looks.send(Look { observation, frame: None }) {
                    return;
                }
                match script.recv_timeout(LOOK_EVERY) {
                    Ok(now) => blocked = now,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        Ok(())
    }

    fn pause(&mut self, _: bool) {}
    fn stop(&mut self) {}
}

enum Seen {
    Decided { cover: bool, at: Instant },
    Covered { at: Instant },
    Desktop,
    Ended(String),
}

/// Covers and shows the desktop `rounds` times; `rtt` is added by a proxy of our own.
pub fn measure(stage: &Stage, rounds: usize, rtt: Option<Duration>) -> anyhow::Result<Latency> {
    let host: SocketAddr = stage.listen.parse()?;
    let address = match rtt {
        Some(rtt) => proxy::start(host, rtt / 2)?,
        None => host,
    };
    let (blocked, script) = channel();
    let (tell, told) = channel();
    let (stop_in, stop) = channel::<Inbox>();
    let home = stage.dir.join("device");
    let client = std::thread::spawn(move || -> anyhow::Result<()> {
        let (events_in, events) = mpsc::channel(256);
        let rdp = Arc::new(sudare_headless::connect(options(address), events_in)?);
        let identity = Identity {
            membership: Membership::at(&home),
            device_key: device::device_key(&home)?,
            boot_id: device::boot_id()?,
            models: vec![],
        };
        let watcher = Box::new(Scripted { blocked: Some(script) });
        let driver = Driver::new(identity, watcher, Arc::default())?;
        stop_in.send(driver.inbox())?;
        app::run(&rdp, events, driver, &mut |event, _| {
            if let Some(event) = note(event) {
                // The measurement may be over before the connection is.
                tell.send(event).ok();
            }
        });
        Ok(())
    });
    let measured = play(&told, &blocked, rounds);
    // Without a driver the connection failed, which the thread tells.
    stop.recv().map(|driver| driver.stop()).ok();
    client.join().map_err(|_| anyhow!("the client panicked"))??;
    Ok(Latency { to_black_ms: measured? })
}

fn options(address: SocketAddr) -> RdpOptions {
    RdpOptions {
        host: address.ip().to_string(),
        port: address.port(),
        user: USER.into(),
        password: String::new(),
        width: 1280,
        height: 720,
        connect_timeout: PATIENCE,
    }
}

fn note(event: AppEvent) -> Option<Seen> {
    Some(match event {
        AppEvent::Driver(Event::Decided(d)) => Seen::Decided { cover: d.cover, at: Instant::now() },
        AppEvent::Screen(s) if s.is_covered() => Seen::Covered { at: s.at },
        AppEvent::Screen(s) if s.kind == sudare_headless::ScreenKind::Desktop => Seen::Desktop,
        AppEvent::Driver(Event::Refused { refusal, .. }) => Seen::Ended(refusal.to_string()),
        AppEvent::Ended { error } => Seen::Ended(error.unwrap_or_default()),
        _ => return None,
    })
}

fn play(told: &Receiver<Seen>, blocked: &Sender<bool>, rounds: usize) -> anyhow::Result<Vec<f64>> {
    let (mut times, mut failed) = (Vec::with_capacity(rounds), Vec::new());
    for round in 0..rounds {
        match play_one(told, blocked, round) {
            Ok(ms) => times.push(ms),
            Err(error) => {
                failed.push(format!("round {round}: {error:#}"));
                blocked.send(false).ok();
            }
        }
        // More than a few are no accidents of a busy machine, and a session that ended has no more rounds.
        ensure!(failed.len() <= rounds / 10, "{} rounds failed: {}", failed.len(), failed.join("; "));
    }
    Ok(times)
}

/// One cover, in milliseconds from the decision to black at the client.
fn play_one(told: &Receiver<Seen>, blocked: &Sender<bool>, round: usize) -> anyhow::Result<f64> {
    wait(told, "the desktop", |t| matches!(t, Seen::Desktop).then_some(()))?;
    // Not always at the same point of the desktop's own updates.
    std::thread::sleep(Duration::from_millis(30 + u64::try_from(round)? * 7 % 61));
    blocked.send(true)?;
    let decided = wait(told, "the decision to cover", |t| match t {
        Seen::Decided { cover: true, at } => Some(*at),
        _ => None,
    })?;
    let black = wait(told, "black at the client", |t| match t {
        Seen::Covered { at } if *at >= decided => Some(*at),
        _ => None,
    })?;
    blocked.send(false)?;
    Ok(black.duration_since(decided).as_secs_f64() * 1e3)
}

fn wait<T>(told: &Receiver<Seen>, what: &str, wanted: impl Fn(&Seen) -> Option<T>) -> anyhow::Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        let event = told
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .with_context(|| in_vain(what, ""))?;
        if let Seen::Ended(why) = &event {
            anyhow::bail!("the session ended before {what}: {why}");
        }
        if let Some(value) = wanted(&event) {
            return Ok(value);
        }
    }
}
