//! What a site would see of Sudare in a year, in half an hour: hosts that are lived with, attacks of programs in sessions,
//! and desktops of users.
//!
//! | module | what |
//! |---|---|
//! | `hosts` | Debian 12 and 13 with systemd: sessions while services come and go, and doctor while something is broken |
//! | `desktops` | the attack matrix at the client's pixels; lockers and windows before and after covers |

mod desktops;
mod hosts;

use std::path::Path;
use std::time::{Duration, Instant};

use super::table::Table;

/// For attacks and desktops, on two cores that do other work as well.
const TIME: Duration = Duration::from_secs(19 * 60);

/// Everything of the field. What this machine cannot run is left out, and said.
pub fn measure(
    table: &mut Table,
    bin: &Path,
    photographs: &Path,
    out: &Path,
    step: &dyn Fn(&str),
) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    step("field: hosts that are lived with");
    hosts::measure(table, bin, photographs)?;
    let until = Instant::now() + TIME;
    step("field: attacks from inside the session, and the desktops of users");
    desktops::measure(table, bin, out, until)
}
