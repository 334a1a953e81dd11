//! Hosts that are lived with: Debian 12 and 13 with systemd, our packages and xrdp as it comes, and a session that goes on
//! while services are restarted, killed, reloaded and upgraded.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use sudare_stack::booted::doctor::{self, Outcome, ROWS};
use sudare_stack::booted::field::Field;
use sudare_stack::booted::guide::{self, Followed};
use sudare_stack::booted::seat::{Seat, Shown};
use sudare_stack::booted::{self, BOOKWORM, Release, TRIXIE};

use crate::bench::scenario::number;
use crate::bench::table::{Needed, Table};

/// On each release.
const EVENTS: usize = 50;
const KEYS: [&str; 5] =
    ["sessions_lost", "restart_to_visible_s", "install_to_guarded_s", "host_commands", "doctor_false_green"];

/// What one release gave.
struct Lived {
    release: Release,
    followed: Followed,
    /// From the client's start to the words on its screen.
    log_on: Duration,
    field: Field,
    doctor: Outcome,
}

/// `programs` are packed; releases are kept beside them.
pub(super) fn measure(table: &mut Table, programs: &Path, photographs: &Path) -> anyhow::Result<()> {
    if let Some(why) = booted::missing() {
        table.leave_out(&KEYS, &format!("{why}. `cargo xtask test --long` installs what it needs"));
        return Ok(());
    }
    let kept = programs.parent().unwrap_or(programs).join("booted");
    let lived = [BOOKWORM, TRIXIE].map(|release| live(release, &kept, photographs));
    let lived = lived.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    lived.iter().for_each(|lived| tell(table, lived));
    table.keep("sessions_lost", lived.iter().map(|of| of.field.lost.len()).sum::<usize>());
    let mut back: Vec<Duration> = lived.iter().flat_map(|of| of.field.back.clone()).collect();
    back.sort_unstable();
    let p95 = Field { back: back.clone(), ..Field::default() }.back_p95().map(|back| back.as_secs_f64());
    table.keep("restart_to_visible_s", json!({ "p95": p95, "n": back.len() }));
    let slowest = lived.iter().map(|of| (of.followed.took + of.log_on).as_secs_f64()).fold(0.0, f64::max);
    table.keep("install_to_guarded_s", slowest);
    table.keep("doctor_false_green", lived.iter().map(|of| of.doctor.false_green()).sum::<usize>());
    table.keep("host_commands", lived.iter().map(|of| of.followed.commands).max());
    Ok(())
}

fn live(release: Release, kept: &Path, photographs: &Path) -> anyhow::Result<Lived> {
    let mut seat = Seat::meet(release, kept, photographs)?;
    seat.sit_down()?;
    let followed = guide::follow(&seat, "## 2. ", |_, _| ())?;
    let started = Instant::now();
    seat.connect(false)?;
    seat.wait_for(Shown::Words)?;
    let log_on = started.elapsed();
    seat.enrol()?;
    guide::follow(&seat, "## 4. ", |_, _| ())?;
    seat.connect(true)?;
    seat.wait_for(Shown::Desktop)?;
    let field = Field::play(&seat, EVENTS)?;
    // The rows break the one device that there is.
    seat.machine.must("rm -f /var/lib/sudare/devices/*", "")?;
    doctor::enrol(&seat.machine)?;
    let doctor = doctor::play(&seat.machine, ROWS)?;
    Ok(Lived { release, followed, log_on, field, doctor })
}

fn tell(table: &mut Table, lived: &Lived) {
    let Lived { release, followed, log_on, field, doctor } = lived;
    let name = |what: &str| format!("field: {}: {what}", release.name);
    table.row(&name("commands to a guarded host"), number(followed.commands as u64), "", Needed::AtMost(4.0));
    let to_guarded = (followed.took + *log_on).as_secs_f64();
    table.row(&name("install to guarded log-on"), Some(to_guarded), "s", Needed::AtMost(60.0));
    table.row(&name("restarts, crashes, upgrades"), number(field.events as u64), "", Needed::AtLeast(50.0));
    table.row(&name("sessions lost"), number(field.lost.len() as u64), "", Needed::AtMost(0.0));
    let back = field.back_p95().map(|back| back.as_secs_f64());
    table.row(&name("back to visible, p95"), back, "s", Needed::AtMost(5.0));
    let green = number(doctor.false_green() as u64);
    let rows = format!("doctor green, of {} breakages", doctor.rows.len());
    table.row(&name(&rows), green, "", Needed::AtMost(0.0));
    field.lost.iter().for_each(|lost| table.tell(format!("LOST on {}: {lost}", release.name)));
}
