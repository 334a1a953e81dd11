//! What a site would see of Sudare in a year, in minutes: attacks of programs in sessions, and desktops of users.
//!
//! | module | what |
//! |---|---|
//! | `desktops` | the attack matrix at the client's pixels; lockers and windows before and after covers |

mod desktops;

use std::path::Path;

use super::table::Table;

/// Everything of the field. What this machine cannot run is left out, and said.
pub fn measure(table: &mut Table, bin: &Path, out: &Path, step: &dyn Fn(&str)) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    step("field: attacks from inside the session, and the desktops of users");
    desktops::measure(table, bin, out)
}
