//! From the client's decision to black at the client, over a real RDP connection.
//!
//! The looks at the seat are scripted, everything after them is real: presence, link, signatures,
//! channel, host, guard, display gate, encoding, decoding.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use sudare_client_ext::app::{App, AppEvent, Identity};
use sudare_client_ext::camera::live::boottime_ms;
use sudare_client_ext::channel::{self, RdpOptions};
use sudare_client_ext::device;
use sudare_client_ext::presence::{CameraView, FaceSeen, Observation, Who};
use sudare_client_ext::watcher::{Look, Watcher};
use sudare_protocol::template::OperatorTemplate;
use tokio::sync::{mpsc, watch};

use super::proxy;
use crate::demo::{Stage, USER};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Decision-to-black times in milliseconds.
#[derive(Debug)]
pub struct Latency {
    pub to_black_ms: Vec<f64>,
}

/// Looks that say what the script says.
struct Scripted {
    blocked: watch::Receiver<bool>,
}

impl Watcher for Scripted {
    fn start(&mut self, _: Vec<OperatorTemplate>) -> anyhow::Result<mpsc::Receiver<Look>> {
        let (looks, receiver) = mpsc::channel(4);
        let mut blocked = self.blocked.clone();
        tokio::spawn(async move {
            let mut due = tokio::time::interval(LOOK_EVERY);
            loop {
                tokio::select! {
                    _ = due.tick() => {}
                    changed = blocked.changed() => if changed.is_err() { return },
                }
                let camera = if *blocked.borrow() { CameraView::Blocked } else { CameraView::Clear };
                let face = FaceSeen { who: Who::Operator, width_share: 0.2, yaw_deg: 0.0 };
                let observation = Observation { t_ms: boottime_ms(), camera, faces: vec![face] };
                if looks.send(Look { observation, frame: None }).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

enum Told {
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
    let (blocked, script) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let (tell, told) = channel();
    let home = stage.dir.join("device");
    let client = std::thread::spawn(move || -> anyhow::Result<()> {
        let (events_in, events) = mpsc::channel(256);
        let rdp = Arc::new(channel::connect(options(address), events_in)?);
        let identity = Identity {
            organisation: device::organisation(&home, None)?,
            device_key: device::device_key(&home)?,
            boot_id: device::boot_id()?,
            models: vec![],
        };
        let app = App::new(rdp, identity, Box::new(Scripted { blocked: script }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(app.run(events, stopped, &mut |event, _| {
            if let Some(event) = note(event) {
                // The measurement may be over before the connection is.
                tell.send(event).ok();
            }
        }));
        Ok(())
    });
    let measured = play(&told, &blocked, rounds);
    stop.send_replace(true);
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
        connect_timeout: Duration::from_secs(20),
    }
}

fn note(event: AppEvent) -> Option<Told> {
    Some(match event {
        AppEvent::Decided(d) => Told::Decided { cover: d.cover, at: Instant::now() },
        AppEvent::Screen(s) if s.is_covered() => Told::Covered { at: s.at },
        AppEvent::Screen(s) if s.kind == channel::ScreenKind::Desktop => Told::Desktop,
        AppEvent::Refused(refusal) => Told::Ended(refusal.to_string()),
        AppEvent::Ended { error } => Told::Ended(error.unwrap_or_default()),
        _ => return None,
    })
}

fn play(told: &Receiver<Told>, blocked: &watch::Sender<bool>, rounds: usize) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds {
        wait(told, |t| matches!(t, Told::Desktop).then_some(()))?;
        // Not always at the same point of the desktop's own updates.
        std::thread::sleep(Duration::from_millis(30 + u64::try_from(round)? * 7 % 61));
        blocked.send_replace(true);
        let decided = wait(told, |t| match t {
            Told::Decided { cover: true, at } => Some(*at),
            _ => None,
        })?;
        let black = wait(told, |t| match t {
            Told::Covered { at } if *at >= decided => Some(*at),
            _ => None,
        })?;
        times.push(black.duration_since(decided).as_secs_f64() * 1e3);
        blocked.send_replace(false);
    }
    ensure!(times.len() == rounds, "only {} of {rounds} rounds", times.len());
    Ok(times)
}

fn wait<T>(told: &Receiver<Told>, wanted: impl Fn(&Told) -> Option<T>) -> anyhow::Result<T> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let event = told
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .context("waited 20 s in vain for the host")?;
        if let Told::Ended(why) = &event {
            anyhow::bail!("the session ended: {why}");
        }
        if let Some(value) = wanted(&event) {
            return Ok(value);
        }
    }
}
