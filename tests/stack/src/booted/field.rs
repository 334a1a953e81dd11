//! What happens to a host while somebody works, and whether that person notices: services are restarted, killed,
//! reloaded and upgraded, and each time the session is the same one, and comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sudare_test_kit::wait_until;

use super::packages::NEWER;
use super::seat::{Seat, Shown};

/// How long the desktop has to be there until it counts as back.
const STEADY: Duration = Duration::from_secs(2);
/// A cover that an event brings has come by then: the lease is 3 s.
const COMES_WITHIN: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What happens, in the order of its weight.
pub const EVENTS: [(&str, &str); 14] = [
    ("reload of recorder and owner", "systemctl reload sudare-recorder sudare-owner"),
    ("reload of the gates", "systemctl reload 'sudare-gate@*.service'"),
    ("restart of the recorder", "systemctl restart sudare-recorder"),
    ("crash of the recorder", "systemctl kill --signal=KILL sudare-recorder"),
    ("restart of the owner's service", "systemctl restart sudare-owner"),
    ("crash of the owner's service", "systemctl kill --signal=KILL sudare-owner"),
    ("restart of the gate's socket", "systemctl restart sudare-gate.socket"),
    (
        "stop and start of the gate's socket",
        "systemctl stop sudare-gate.socket; sleep 1; systemctl start sudare-gate.socket",
    ),
    ("daemon-reload", "systemctl daemon-reload"),
    ("systemd's own restart", "systemctl daemon-reexec"),
    ("records put in place anew", "sudare-setup records records"),
    ("the same version again", "apt-get -qq install -y --reinstall ./sudare-host_*.deb"),
    ("upgrade", "apt-get -qq install -y /srv/newer/sudare-host_9_*.deb"),
    ("downgrade", "apt-get -qq install -y --allow-downgrades ./sudare-host_*.deb"),
];

/// What was seen.
#[derive(Debug, Default)]
pub struct Field {
    pub events: usize,
    /// Events after which it was not the same session, in words.
    pub lost: Vec<String>,
    /// From when the desktop was covered until it was back, where it was covered at all.
    pub back: Vec<Duration>,
    pub looks: usize,
}

impl Field {
    /// Plays so many events, one after another, on a session whose desktop is shown.
    ///
    /// # Errors
    /// An event cannot be brought about, or the desktop does not come back.
    pub fn play(seat: &Seat, events: usize) -> anyhow::Result<Self> {
        seat.machine.must(NEWER, "")?;
        let mut field = Self::default();
        for (name, command) in EVENTS.iter().cycle().take(events) {
            let before = seat.state()?;
            let is_over = AtomicBool::new(false);
            let covers = std::thread::scope(|scope| {
                let watch = scope.spawn(|| watch(seat, &is_over));
                let typed = seat.types(command);
                // Also of a watch that has ended early, whose error is the more telling one.
                std::thread::sleep(COMES_WITHIN);
                is_over.store(true, Ordering::Relaxed);
                let watched = watch.join().unwrap_or_else(|_| anyhow::bail!("the watch broke off"));
                typed.and(watched)
            })?;
            field.events += 1;
            field.looks += covers.looks;
            field.back.extend(covers.first.zip(covers.last).map(|(first, last)| last - first));
            let after = seat.state()?;
            if after != before {
                field.lost.push(format!("{name}: {} became {}", before.trim(), after.trim()));
            }
        }
        Ok(field)
    }

    /// The 95th of a hundred returns takes this long.
    #[must_use]
    pub fn back_p95(&self) -> Option<Duration> {
        let mut back = self.back.clone();
        back.sort_unstable();
        back.get((back.len() * 95).div_ceil(100).checked_sub(1)?).copied()
    }
}

/// When the desktop went first and came back last.
#[derive(Debug, Default)]
struct Covers {
    looks: usize,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// Looks until told that it is over, and the desktop has been there for a while.
fn watch(seat: &Seat, is_over: &AtomicBool) -> anyhow::Result<Covers> {
    let (mut covers, mut since) = (Covers::default(), Some(Instant::now()));
    wait_until("the desktop to stay", || {
        covers.looks += 1;
        std::thread::sleep(LOOK_EVERY);
        if seat.shown()? != Shown::Desktop {
            since = None;
            covers.first.get_or_insert_with(Instant::now);
            return Ok(Err("covered".to_owned()));
        }
        let back = *since.get_or_insert_with(Instant::now);
        covers.last = covers.first.map(|_| back);
        let stays = is_over.load(Ordering::Relaxed) && back.elapsed() > STEADY;
        Ok(if stays { Ok(()) } else { Err("not steady yet".to_owned()) })
    })?;
    Ok(covers)
}
