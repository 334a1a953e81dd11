//! What a session must have after a cover as it had it before: its windows, its focus, and no key that hangs.

use std::time::{Duration, Instant};

use sudare_test_kit::scene::{ALONE, AWAY};
use sudare_test_kit::wait_until;
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::acts::Acts;
use crate::attackers::inside::{self, Placed};
use crate::xrdp::client::Client;

/// A key that is not up by then hangs; the release is on its way when the client is told of the cover.
const COMES_UP_WITHIN: Duration = Duration::from_secs(20);

/// What there is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    windows: Vec<Placed>,
    focus: Window,
}

impl Look {
    pub(super) fn take(x: &RustConnection) -> anyhow::Result<Self> {
        Ok(Look { windows: inside::viewable(x)?, focus: x.get_input_focus()?.reply()?.focus })
    }

    pub(super) fn windows(&self) -> usize {
        self.windows.len()
    }

    pub(super) fn has_focus_of(&self, other: &Self) -> bool {
        self.focus == other.focus
    }

    /// How many windows of this moment are not there, or elsewhere, at a later one.
    pub(super) fn lost_until(&self, later: &Self) -> usize {
        self.windows.iter().filter(|window| !later.windows.contains(window)).count()
    }
}

/// How many keys the session takes to be down.
pub(super) fn keys_down(x: &RustConnection) -> anyhow::Result<u32> {
    Ok(x.query_keymap()?.reply()?.keys.iter().map(|byte| byte.count_ones()).sum())
}

/// Shift is held when the cover comes, and let go under it, of which the session hears nothing: it is up all the same.
/// Gives how many keys hung.
pub(super) fn held_key_comes_up(
    acts: &mut Acts<'_>,
    client: &mut Client,
    x: &RustConnection,
    name: &str,
) -> anyhow::Result<u32> {
    acts.stack.hold_shift(true)?;
    wait_until("the held key to arrive", || Ok(keys_down(x)? > 0))?;
    acts.camera.show(AWAY);
    acts.stack.wait_picture("the cover over a held key", client, |count| count.is_cover())?;
    let (asked, mut under) = (Instant::now(), keys_down(x)?);
    while under > 0 && asked.elapsed() < COMES_UP_WITHIN {
        std::thread::sleep(Duration::from_millis(20));
        under = keys_down(x)?;
    }
    acts.stack.hold_shift(false)?;
    acts.camera.show(ALONE);
    acts.stack.wait_picture("the desktop after a held key", client, |count| count.is_desktop())?;
    let after = keys_down(x)?;
    acts.report.check(
        &format!("{name}: a key that was held comes up with the cover"),
        under == 0 && after == 0,
        format!("{under} down under the cover, {after} after it"),
    );
    Ok(under.max(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_went_or_moved_is_lost_and_a_new_one_is_not() {
        let look = |windows: &[Placed]| Look { windows: windows.to_vec(), focus: 1 };
        let before = look(&[(1, 0, 0, 9, 9), (2, 5, 5, 3, 3)]);
        assert_eq!(before.lost_until(&before), 0);
        assert_eq!(before.lost_until(&look(&[(1, 0, 0, 9, 9), (2, 5, 6, 3, 3)])), 1);
        assert_eq!(before.lost_until(&look(&[(3, 0, 0, 1, 1)])), 2);
        assert_eq!(look(&[]).lost_until(&before), 0);
    }
}
