//! Plays a film in a window of the session: `sudare-film PICTURES_A_SECOND MILLISECONDS`.

use std::time::Duration;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let mut next = || arguments.next().context("PICTURES_A_SECOND MILLISECONDS")?.context("a number");
    let (a_second, lasts_ms) = (next()?, next()?);
    sudare_stack::xrdp::film::play(a_second, Duration::from_millis(lasts_ms.into()))
}
