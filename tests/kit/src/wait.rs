//! Waiting for what must come, on any machine: bounded by minutes, and told in words when it does not come.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// A machine many times slower than a developer's is well within it; whatever takes longer has hung.
pub const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a look found: what is waited for, or words about what is there instead.
pub trait Look {
    type Found;
    /// # Errors
    /// What is there instead, in words.
    fn found(self) -> Result<Self::Found, String>;
}

impl Look for bool {
    type Found = ();
    fn found(self) -> Result<(), String> {
        if self { Ok(()) } else { Err(String::new()) }
    }
}

impl<T> Look for Option<T> {
    type Found = T;
    fn found(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}

impl<T> Look for Result<T, String> {
    type Found = T;
    fn found(self) -> Self {
        self
    }
}

/// Looks again and again until there is what is waited for.
///
/// # Errors
/// It did not come within [`PATIENCE`], with what was there instead; or looking itself failed, and waiting on would be
/// in vain.
pub fn wait_until<L: Look>(
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<L>,
) -> anyhow::Result<L::Found> {
    let started = Instant::now();
    loop {
        let instead = match look().with_context(|| format!("while waiting for {what}"))?.found() {
            Ok(found) => return Ok(found),
            Err(instead) => instead,
        };
        if started.elapsed() >= PATIENCE {
            bail!("{}", in_vain(what, &instead));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The words for something that did not come within [`PATIENCE`].
pub fn in_vain(what: &str, instead: &str) -> String {
    let minutes = PATIENCE.as_secs() / 60;
    let instead = if instead.is_empty() { String::new() } else { format!("; instead: {instead}") };
    format!("waited {minutes} minutes in vain for {what}{instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_it_is_there() {
        let mut left = 3;
        let found = wait_until("the third look", || {
            left -= 1;
            Ok((left == 0).then_some("there"))
        });
        assert_eq!(found.unwrap(), "there");
    }

    #[test]
    fn a_look_that_fails_ends_it_and_says_what_was_waited_for() {
        let ended: anyhow::Result<()> = wait_until("a guard", || {
            anyhow::ensure!(false, "the recorder ended");
            Ok(true)
        });
        assert_eq!(format!("{:#}", ended.unwrap_err()), "while waiting for a guard: the recorder ended");
        assert_eq!(
            in_vain("a cover", "the desktop"),
            "waited 5 minutes in vain for a cover; instead: the desktop"
        );
    }
}
