//! What a site would see of Sudare in a year, in minutes: attacks of programs in sessions, and desktops of users.
//!
//! | module | what |
//! |---|---|
//! | `desktops` | the attack matrix at the client's pixels; lockers and windows before and after covers |

mod desktops;

use std::path::Path;
use std::time::{Duration, Instant};

use super::table::Table;

/// For all of it, on two cores that do other work as well.
const TIME: Duration = Duration::from_secs(19 * 60);

/// Everything of the field. What this machine cannot run is left out, and said.
pub fn measure(table: &mut Table, bin: &Path, out: &Path, step: &dyn Fn(&str)) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    let until = Instant::now() + TIME;
    step("field: attacks from inside the session, and the desktops of users");
    desktops::measure(table, bin, out, until)
}
