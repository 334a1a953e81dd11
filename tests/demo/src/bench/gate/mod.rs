//! What the gate costs and how fast it is: between ends that only talk, and between xfreerdp and xrdp.
//!
//! | module | what |
//! |---|---|
//! | `ends` | a client and a host that talk, with or without something between them |
//! | `delay` | what a round trip takes longer |
//! | `cost` | processor time for a moving picture, beside a plain TLS relay |
//! | `crowd` | many idle connections, and what each takes |
//! | `stack` | cover and uncover in a session of xrdp, at the client's pixels |

mod cost;
mod crowd;
mod delay;
mod ends;
mod stack;

use std::path::Path;

use super::table::Table;

/// Everything of the gate. What this machine cannot run is left out, and said.
pub fn measure(table: &mut Table, bin: &Path, out: &Path, step: &dyn Fn(&str)) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    step("gate: what a round trip takes longer");
    delay::measure(table, bin, out)?;
    step("gate: processor time beside a plain TLS relay");
    cost::measure(table, bin, out)?;
    step("gate: a moving desktop");
    stack::moving(table, bin, out)?;
    step("gate: cover and uncover between xfreerdp and xrdp");
    stack::figures(table, bin, out)?;
    step("gate: the same at 1920x1080");
    stack::figures_full_hd(table, bin, out)?;
    step("gate: many idle connections, and covers beside them");
    let crowd = crowd::Crowd::gather(&out.join("crowd"), bin)?;
    crowd.tell(table)?;
    stack::figures_in_a_crowd(table, bin, out)?;
    drop(crowd);
    step("gate: attacks from inside the session");
    stack::attacks(table, bin, out)
}
