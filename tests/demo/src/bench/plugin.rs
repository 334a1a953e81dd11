//! What the plugin adds to xfreerdp while one face is in view.

use std::path::Path;
use std::time::Duration;

use sudare_stack::xfreerdp;
use sudare_test_kit::stage::Stage;

use super::table::{Needed, Table};

const WATCHED: Duration = Duration::from_secs(15);

/// Both figures are null where xfreerdp cannot be run with the plugin.
pub fn measure(table: &mut Table, stage: &Stage, photographs: &Path) -> anyhow::Result<()> {
    if let Some(missing) = xfreerdp::missing() {
        table.leave_out(&["plugin_cpu_percent", "plugin_mb"], &format!("{missing} is missing"));
        return Ok(());
    }
    let cost = xfreerdp::cost(stage, photographs, WATCHED)?;
    table.row("the plugin in xfreerdp, of one core", Some(cost.cpu_percent), "%", Needed::AtMost(15.0));
    table.row("the plugin in xfreerdp, memory", Some(cost.mb), "MB", Needed::AtMost(250.0));
    table.keep("plugin_cpu_percent", cost.cpu_percent);
    table.keep("plugin_mb", cost.mb);
    Ok(())
}
