//! Asks for the passphrase of an identity file: on the terminal, without showing it, or as a line of standard input where
//! that is no terminal.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::os::fd::AsFd;

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use sudare_base::text::printable;
use zeroize::Zeroizing;

const PASSPHRASE_MAX_BYTES: u64 = 1024;

/// The passphrase that is typed or piped.
pub(crate) fn ask(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let passphrase = if io::stdin().is_terminal() {
        let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        write!(terminal, "{}: ", printable(what))?;
        let hidden = Hidden::start(&terminal)?;
        let typed = first_line(&terminal)?;
        drop(hidden);
        writeln!(terminal)?;
        typed
    } else {
        first_line(io::stdin().lock())?
    };
    if passphrase.is_empty() {
        bail!("{what} was not given. Type it on a terminal, or give it as the first line of standard input");
    }
    Ok(passphrase)
}

fn first_line(input: impl Read) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    BufReader::with_capacity(1, input.take(PASSPHRASE_MAX_BYTES))
        .read_line(&mut line)
        .context("the passphrase cannot be read")?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// What is typed is not shown while this lives.
struct Hidden<T: AsFd>(T, Termios);

impl<T: AsFd> Hidden<T> {
    fn start(terminal: T) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self(terminal, before))
    }
}

impl<T: AsFd> Drop for Hidden<T> {
    fn drop(&mut self) {
        tcsetattr(&self.0, OptionalActions::Flush, &self.1).ok();
    }
}
