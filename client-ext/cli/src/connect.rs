//! `sudare connect`: a remote desktop with the extension, without a window.
//!
//! It decodes what the host sends, covers its own picture by its own decision as well, and reports events. Commands on
//! standard input: `save remote FILE.png` (what the host sent), `save own FILE.png` (what a user of this client would
//! see), `quit`.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use sudare_client_core::presence::Decision;
use sudare_client_runtime::battery::Sparing;
use sudare_client_runtime::driver::{Driver, Identity};
use sudare_client_runtime::inbox::Inbox;
use sudare_client_runtime::membership::Membership;
use sudare_client_runtime::seat::Seat;
use sudare_client_runtime::spool::Spools;
use sudare_client_runtime::watcher::CameraWatcher;
use sudare_client_runtime::{Event, clock, device, operator};
use sudare_headless::app::{self, AppEvent};
use sudare_headless::{ClientPicture, RdpHandle, RdpOptions, ScreenKind, ScreenState};
use sudare_protocol::message::{CertificateCheck, Shown, Status};
use sudare_vision::camera::{self, SourceOptions, SourceSpec};
use sudare_vision::engine::Engine;
use tokio::sync::mpsc;

use crate::{output, pair};

/// Events of the connection that may be waiting.
const EVENTS_MAX: usize = 256;

/// Connect to a remote desktop without a window, and print what happens
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare connect vdi-1.example --user alice
  sudare connect 127.0.0.1:33890 --user alice --source mjpeg:scene.fifo --json

The password is read from SUDARE_RDP_PASSWORD, never from the command line.")]
pub(crate) struct Arguments {
    /// Host, with :PORT unless it is 3389
    #[arg(value_name = "HOST")]
    host: String,
    /// RDP user name
    #[arg(long, default_value = "")]
    user: String,
    /// Source of the pictures (see `sudare watch --help`)
    #[arg(long, value_name = "SOURCE", default_value = "camera:0")]
    source: String,
    /// The organisation's public key; by default organisation.pub in this device's folder
    #[arg(long, value_name = "FILE")]
    organisation: Option<PathBuf>,
    /// Look less often to spare a battery: while this PC runs on it (auto), always (on) or never (off)
    #[arg(long, value_name = "auto|on|off", default_value = "auto")]
    battery: Sparing,
    /// Print one JSON object per event
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let home = operator::device_dir()?;
    let membership = Membership::at(&home).with_organisation(arguments.organisation.as_deref());
    membership.check()?;
    let spec: SourceSpec = arguments.source.parse()?;
    // Opened before connecting, so that errors show at once.
    let source = camera::open(&spec, SourceOptions { fps: None }, clock::boottime_ms)?;
    let engine = Engine::from_cache()?;
    let identity = Identity {
        membership,
        device_key: device::device_key(&home)?,
        boot_id: device::boot_id()?,
        models: engine.models(),
    };
    let spools = Arc::new(Spools::at(&home));
    let (inbox, inputs) = Inbox::new();
    let seat = Seat::open(&home, &spec.to_string(), inbox.clone());
    let watcher = CameraWatcher::new(spec, home).with_sparing(arguments.battery);
    let watcher = watcher.with_source(source).with_engine(engine);
    let driver = Driver::with_inbox(identity, Box::new(watcher), spools, (inbox, inputs))?;
    let driver = driver.with_pictures(seat.as_ref().map(Seat::pictures));
    let (events_in, events) = mpsc::channel(EVENTS_MAX);
    let rdp = Arc::new(sudare_headless::connect(options(arguments)?, events_in)?);
    let own_covered = Arc::new(AtomicBool::new(true));
    read_commands(Arc::clone(&rdp), Arc::clone(&own_covered), driver.inbox())?;
    let mut teller = Teller { json: arguments.json, refused: None, screen: None, own_covered };
    app::run(&rdp, events, driver, &mut |event, covers_own| {
        if let (AppEvent::Driver(event), Some(seat)) = (&event, &seat) {
            seat.event(event);
        }
        teller.tell(event, covers_own);
    });
    match teller.refused {
        Some(error) => bail!(error),
        None => Ok(()),
    }
}

fn options(arguments: &Arguments) -> anyhow::Result<RdpOptions> {
    let (host, port) = pair::address(&arguments.host)?;
    Ok(RdpOptions {
        host,
        port,
        user: arguments.user.clone(),
        password: std::env::var("SUDARE_RDP_PASSWORD").unwrap_or_default(),
        width: 1280,
        height: 720,
        connect_timeout: Duration::from_secs(15),
    })
}

/// Prints events as lines, JSON or text.
struct Teller {
    json: bool,
    refused: Option<String>,
    /// What was told of the screen: its kind, and its light.
    screen: Option<(ScreenKind, Option<[u8; 3]>)>,
    own_covered: Arc<AtomicBool>,
}

impl Teller {
    fn tell(&mut self, event: AppEvent, covers_own: bool) {
        let at_ms = clock::boottime_ms();
        self.own_covered.store(covers_own, Ordering::Relaxed);
        let (name, mut fields, text) = match event {
            AppEvent::Driver(event) => self.describe(event),
            AppEvent::Screen(screen) => {
                let shown = (screen.kind, screen.light);
                if self.screen.replace(shown) == Some(shown) {
                    return;
                }
                describe_screen(&screen)
            }
            AppEvent::Ended { error } => {
                ("ended", json!({ "error": error }), error.unwrap_or_else(|| "connection ended".into()))
            }
        };
        if !self.json {
            return output::line(&text);
        }
        if let Value::Object(map) = &mut fields {
            map.insert("event".into(), name.into());
            map.insert("t_ms".into(), at_ms.into());
            map.insert("own_covered".into(), covers_own.into());
        }
        // Values of JSON are always written.
        output::json(&fields).ok();
    }

    /// Name, fields and text of an event.
    fn describe(&mut self, event: Event) -> (&'static str, Value, String) {
        match event {
            Event::Ready { host_id, certificate, .. } => {
                let checked = certificate == CertificateCheck::Same;
                let text = format!("connected to {host_id}");
                ("ready", json!({ "host": host_id, "certificate_checked": checked }), text)
            }
            Event::Decided(d) => ("decision", decision(&d), describe(&d)),
            Event::Status(s) => status(&s),
            Event::Receipt(ack) => {
                let text = format!("the host keeps the evidence (entry {})", ack.leaf_index);
                ("receipt", json!({ "leaf_index": ack.leaf_index, "checkpoint": ack.checkpoint }), text)
            }
            Event::Unproven(why) => {
                let text = why.to_string();
                ("unproven", json!({ "text": text }), text)
            }
            Event::Break(on) => {
                let text = if on { "break: the camera is off" } else { "the break has ended" };
                ("break", json!({ "on": on }), text.to_owned())
            }
            Event::Refused { refusal, .. } => {
                let text = refusal.to_string();
                self.refused = Some(text.clone());
                ("refused", json!({ "code": refusal.code.number(), "text": text }), text)
            }
            Event::Dropped(why) => ("dropped", json!({ "text": why }), format!("channel closed: {why}")),
            Event::Trouble(text) => ("trouble", json!({ "text": text }), text),
            Event::Notice(notice) => {
                let text =
                    "the organisation's notice was not accepted on this device: sudare consent".to_owned();
                ("notice", json!({ "version": notice.version }), text)
            }
            Event::EnrolAgain => {
                let text = "the looks at the operator fit the template less and less: enrol again".to_owned();
                ("enrol-again", json!({}), text)
            }
            Event::Withdrawn(receipt) => {
                let erased = receipt.record().erased;
                let text = "the host has acted on the consent that was taken back".to_owned();
                ("withdrawn", json!({ "erased": erased }), text)
            }
            Event::Over { waiting } => {
                let text = format!("the host's channel is gone; {waiting} incidents are waiting for it");
                ("over", json!({ "waiting": waiting }), text)
            }
        }
    }
}

fn describe_screen(screen: &ScreenState) -> (&'static str, Value, String) {
    let age_us = u64::try_from(clock::since(screen.at).as_micros()).unwrap_or(u64::MAX);
    let kind = format!("{:?}", screen.kind).to_lowercase();
    let mut fields = json!({ "kind": kind, "covered": screen.is_covered(), "age_us": age_us });
    let mut text = format!("screen: {kind}");
    if let Some([red, green, blue]) = screen.light {
        let light = format!("#{red:02x}{green:02x}{blue:02x}");
        text = format!("{text}, lit {light}");
        fields["light"] = light.into();
    }
    ("screen", fields, text)
}

fn status(s: &Status) -> (&'static str, Value, String) {
    let shown = if s.shown == Shown::Covered { "covered" } else { "visible" };
    let fields = json!({ "shown": shown, "reason": s.reason.as_str(), "host_boot_ms": s.boot_ms });
    ("status", fields, format!("host: {shown}. {} {}", s.reason.japanese(), s.reason.english()))
}

fn decision(d: &Decision) -> Value {
    json!({ "state": d.state.as_str(), "cover": d.cover, "reason": d.reason.as_str() })
}

fn describe(d: &Decision) -> String {
    let own = if d.cover { "cover" } else { "show" };
    format!("seat: {} ({own}). {} {}", d.state.as_str(), d.reason.japanese(), d.reason.english())
}

/// Obeys standard input on its own thread. The end of input is not a command: a client may run without input.
fn read_commands(rdp: Arc<RdpHandle>, own_covered: Arc<AtomicBool>, driver: Inbox) -> std::io::Result<()> {
    let obey = move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match line.splitn(3, ' ').collect::<Vec<_>>().as_slice() {
                ["save", "remote", path] => save(rdp.picture(), Path::new(path)),
                ["save", "own", path] => {
                    let covered = own_covered.load(Ordering::Relaxed);
                    save(rdp.picture().map(|p| if covered { blackened(p) } else { p }), Path::new(path));
                }
                ["quit"] => return driver.stop(),
                _ => tracing::warn!("unknown command. Use `save remote FILE`, `save own FILE` or `quit`"),
            }
        }
    };
    std::thread::Builder::new().name("commands".into()).spawn(obey).map(|_| ())
}

/// What a window of this client would show while its own decision is to cover.
fn blackened(mut picture: ClientPicture) -> ClientPicture {
    picture.rgba = [0, 0, 0, 255].repeat(picture.rgba.len() / 4);
    picture
}

fn save(picture: Option<ClientPicture>, path: &Path) {
    let saved = picture.context("no picture was received yet").and_then(|p| write(&p, path));
    match saved {
        Ok(()) => {
            output::json(&json!({ "event": "saved", "path": path.display().to_string() })).ok();
        }
        Err(error) => output::error(&error),
    }
}

fn write(picture: &ClientPicture, path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
    Ok(picture.write_png(std::io::BufWriter::new(file))?)
}
