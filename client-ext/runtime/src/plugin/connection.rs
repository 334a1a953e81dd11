//! Starts the threads of one connection: settings, keys and models, then the driver.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sudare_client_core::event::Event;
use sudare_protocol::message::CertificateCheck;
use sudare_vision::engine::Engine;
use tracing_subscriber::EnvFilter;

use crate::clock;
use crate::device::{self, DeviceError};
use crate::driver::{Driver, Identity};
use crate::inbox::{Inbox, Inputs};
use crate::membership::{Membership, MembershipError};
use crate::plugin::notices::{Notice, Notices};
use crate::plugin::notify;
use crate::plugin::settings::{Settings, SettingsError};
use crate::seat::Seat;
use crate::spool::Spools;
use crate::watcher::CameraWatcher;

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error("cannot start a thread: {0}. Close other programs and connect again")]
    Thread(#[from] std::io::Error),
}

/// Starts the thread and returns at once. If the session cannot start, the inbox refuses channels and the host's
/// cover says what is missing.
pub fn start(arguments: Vec<String>) -> Inbox {
    let (inbox, inputs) = Inbox::new();
    let theirs = inbox.clone();
    let body = move || run(&arguments, theirs, inputs);
    if let Err(error) = thread::Builder::new().name("sudare".into()).spawn(body) {
        tracing::error!(
            "cannot start a thread for the extension: {error}. Close other programs and connect again"
        );
    }
    inbox
}

fn run(arguments: &[String], inbox: Inbox, inputs: Inputs) {
    let settings = Settings::load(arguments);
    log_to_stderr(settings.as_ref().map_or("warn", |s| s.log_level.as_str()));
    let seat_inbox = inbox.clone();
    let driver = settings.map_err(StartError::from).and_then(|settings| {
        let driver = driver(&settings, inbox, inputs)?;
        let seat = Seat::open(&settings.home, &settings.camera.to_string(), seat_inbox);
        Ok((driver.with_pictures(seat.as_ref().map(Seat::pictures)), seat))
    });
    match driver {
        Ok((driver, seat)) => {
            let mut notices = Notices::default();
            driver.run(&mut |event, _| {
                log(&event);
                if let Some(seat) = &seat {
                    seat.event(&event);
                }
                notices.event(&event, clock::boottime_ms()).into_iter().for_each(notify::show);
            });
        }
        Err(error) => {
            tracing::error!("{error}. The host stays covered; the connection goes on without the extension");
            notify::show(Notice::cannot_start(&error.to_string()));
        }
    }
}

/// For troubleshooting; no names.
fn log(event: &Event) {
    match event {
        Event::Ready { certificate, .. } => {
            let certificate_checked = *certificate == CertificateCheck::Same;
            tracing::info!(certificate_checked, "the host proved itself; the session begins");
        }
        Event::Status(s) => tracing::info!(shown = ?s.shown, reason = s.reason.as_str(), "the host's screen"),
        Event::Break(on) => tracing::info!(on, "break"),
        Event::Receipt(ack) => tracing::info!(entry = ack.leaf_index, "the host keeps an incident"),
        Event::Withdrawn(receipt) => {
            tracing::info!(
                erased = receipt.record().erased,
                "the host has acted on the consent that was taken back"
            );
        }
        Event::Over { waiting } => tracing::info!(waiting, "the host's channel is gone"),
        // Logged by the session and the driver.
        Event::Decided(_)
        | Event::Refused { .. }
        | Event::Dropped(_)
        | Event::Trouble(_)
        | Event::Unproven(_)
        | Event::Notice(_)
        | Event::EnrolAgain => {}
    }
}

fn driver(settings: &Settings, inbox: Inbox, inputs: Inputs) -> Result<Driver, StartError> {
    let mut identity = identity(settings, &settings.home)?;
    let mut watcher =
        CameraWatcher::new(settings.camera.clone(), settings.home.clone()).with_sparing(settings.battery);
    // Without models the session begins all the same: the watch tries again, and tells the host that nothing can be
    // seen and the operator why.
    match Engine::from_cache() {
        Ok(engine) => {
            identity.models = engine.models();
            watcher = watcher.with_engine(engine);
        }
        Err(error) => tracing::error!("{error}"),
    }
    Ok(Driver::with_inbox(identity, Box::new(watcher), spools(&settings.home), (inbox, inputs))?)
}

fn identity(settings: &Settings, home: &Path) -> Result<Identity, StartError> {
    Ok(Identity {
        membership: membership(settings, home)?,
        device_key: device::device_key(home)?,
        boot_id: device::boot_id().map_err(DeviceError::from)?,
        models: Vec::new(),
    })
}

fn membership(settings: &Settings, home: &Path) -> Result<Membership, MembershipError> {
    let membership = Membership::at(home).with_organisation(settings.organisation.as_deref());
    membership.check()?;
    Ok(membership)
}

/// Evidence that waits for a host, over reconnects within one process. One for each device's folder, because
/// evidence that an ended connection left in another one would wait until the process ends.
fn spools(home: &Path) -> Arc<Spools> {
    static SPOOLS: Mutex<BTreeMap<PathBuf, Arc<Spools>>> = Mutex::new(BTreeMap::new());
    let mut spools = SPOOLS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(spools.entry(home.to_owned()).or_insert_with(|| Arc::new(Spools::at(home))))
}

fn log_to_stderr(level: &str) {
    let filter = EnvFilter::new(format!("{level},ort=error,zbus=error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr);
    // After a reconnect in the same process it is set already, with the level of the first connection.
    log.try_init().ok();
}
