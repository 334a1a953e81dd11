//! `sudare cover`: covers the desktop of every running connection at once. For a key of the desktop's own.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use sudare_client_runtime::seat::client::{self, Lines, Talk};
use sudare_client_runtime::seat::message::{Asked, Told};
use sudare_client_runtime::seat::state::SeatState;
use sudare_client_runtime::seat::{SeatError, folder};
use sudare_client_runtime::{clock, operator};

use crate::output;

/// A cover is confirmed by the host within a moment; a host that cannot is gone, and covered.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);

/// Cover the desktop of every running connection now
///
/// It comes back when you have been alone before the camera for a moment, 10 seconds later or after `sudare cover --end`.
/// Nothing is recorded but the cover itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Set it as a keyboard shortcut of your desktop, so that one key covers.

Examples:
  sudare cover
  sudare cover --end")]
pub(crate) struct Arguments {
    /// End the cover that you asked for
    #[arg(long)]
    end: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let home = operator::device_dir()?;
    let asked = if arguments.end { Asked::EndCover } else { Asked::CoverNow };
    let (mut reached, mut failed) = (Vec::new(), None);
    // All are asked before any answer is waited for.
    for socket in client::seats(&home) {
        match ask(&socket.path, &asked) {
            Ok(talking) => reached.push(talking),
            // Left by a process that died.
            Err(SeatError::Io { .. }) => {}
            Err(error) => failed = Some(error),
        }
    }
    let count = reached.len();
    for (_talk, lines) in reached {
        output::line(&if arguments.end { ended() } else { covered(lines) });
    }
    match failed {
        Some(error) => Err(error.into()),
        None if count == 0 => bail!(
            "no connection with Sudare is running on this PC: there is no plugin's socket in {}. Connect to your remote desktop first",
            folder(&home).display()
        ),
        None => Ok(()),
    }
}

fn ask(path: &std::path::Path, asked: &Asked) -> Result<(Talk, Lines), SeatError> {
    let (talk, lines) = client::connect(path)?;
    talk.ask(asked)?;
    Ok((talk, lines))
}

fn ended() -> String {
    "解除しました。まもなく再表示されます。/ Ended. The desktop comes back when you are alone before the camera."
        .to_owned()
}

/// Waits for the host's word, within bounds.
fn covered(mut lines: Lines) -> String {
    let since = clock::instant();
    let mut last = None;
    while let Some(left) = CONFIRMED_WITHIN.checked_sub(clock::since(since)) {
        let told = lines.wait_at_most(left.max(Duration::from_millis(1))).and_then(|()| lines.told());
        match told {
            Ok(Told::State(state)) if state.covered || state.host.is_none() => return said(Some(&state)),
            Ok(Told::State(state)) => last = Some(state),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    said(last.as_ref())
}

fn said(state: Option<&SeatState>) -> String {
    match state {
        Some(SeatState { host: Some(host), covered: true, .. }) => {
            format!("{host}: 画面を隠しました。/ covered.")
        }
        Some(SeatState { host: Some(host), .. }) => {
            format!("{host}: まだ隠れていません。/ not confirmed yet; look at the screen.")
        }
        Some(SeatState { host: None, .. }) => {
            "この接続にはまだホストがありません。/ This connection has no host yet, which shows nothing."
                .to_owned()
        }
        None => "応答がありません。/ The plugin did not answer; look at the screen.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said_in_both_languages_and_no_cover_is_claimed_that_is_not_there() {
        let none = SeatState::new("camera:0");
        let covered = SeatState { host: Some("vdi-1".into()), ..none.clone() };
        let visible = SeatState { covered: false, ..covered.clone() };
        let lines = [said(Some(&covered)), said(Some(&visible)), said(Some(&none)), said(None)];
        for line in &lines {
            assert!(line.contains(" / ") || line.contains("。/ "), "{line}");
        }
        assert!(lines[0].contains("vdi-1: 画面を隠しました") && lines[0].ends_with("covered."));
        assert!(lines[1..].iter().all(|line| !line.contains("隠しました")), "{lines:?}");
    }
}
