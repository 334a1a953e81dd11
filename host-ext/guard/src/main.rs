//! `sudare-guard`: guards one display of xrdp. The supervisor starts it.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use sudare_base::heartbeat;
use sudare_base::program::{self, Settings};
use sudare_guard::assemble::{self, Assembled};
use sudare_guard::cover::x11::Cookie;
use sudare_guard::session::Sessions;
use sudare_guard::xrdp::{self, Options, Order, Tell};
use sudare_protocol::hex::unhex_all;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// A cookie has 32 digits, its name 18 letters.
const COOKIE_LINE_MAX_BYTES: u64 = 4096;
const ORDER_MAX_BYTES: u64 = 64;
const ORDERS_MAX: usize = 8;

/// Guard one display of xrdp (started by sudare-supervisor).
///
/// Standard input: one line `AUTHNAME HEX`, which lets programs draw on the display; then `cover N` covers until
/// `go-on N`; end of file ends the guard, covered. Standard output: `guard BUILD` first, then `covered N`,
/// `beat covered|visible UNCONFIRMED_MS CLIENT BLANKER_PID` every 50 ms, and `disconnect WHY`.
#[derive(Debug, Parser)]
#[command(name = "sudare-guard", version)]
struct Guard {
    #[command(flatten)]
    settings: Settings,
    /// Number of the X display
    #[arg(long, value_name = "N")]
    display: u32,
    /// The session's user
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The session user's number
    #[arg(long, value_name = "UID")]
    uid: u32,
    /// Process of the X server
    #[arg(long, value_name = "PID")]
    server_pid: i32,
}

fn main() -> ExitCode {
    let guard = Guard::parse();
    program::run("sudare-guard", || guard.run())
}

impl Guard {
    fn run(&self) -> anyhow::Result<()> {
        // Nobody of the same user needs to look into this process.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .context("this process cannot be protected from debuggers")?;
        let mut lines = Lines::greet()?;
        // Started by a descriptor, it would be a number in lists of processes.
        rustix::thread::set_name(c"sudare-guard").context("this process cannot be named")?;
        let config = self.settings.load(&[])?;
        let options = Options {
            display: self.display,
            user: self.user.clone(),
            uid: self.uid,
            server_pid: self.server_pid,
            cookie: read_cookie()?,
            socket_dir: config.xrdp_socket_dir.clone(),
            blanker: config.blanker(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            // Before anything that takes time.
            let blanker = options.start_blanker()?;
            let assembled = tokio::task::spawn_blocking(move || assemble::assemble_guard(&config)).await?;
            let Assembled { shared, evidence } = assembled?;
            tracing::info!(display = self.display, "guarding");
            let sessions = Arc::new(Sessions::new(shared));
            let guarded =
                xrdp::run(options, blanker, sessions, orders()?, &mut |tell| lines.tell(&tell)).await;
            // After the last session: waits until what it left is written.
            tokio::task::spawn_blocking(move || drop(evidence)).await?;
            Ok(guarded?)
        })
    }
}

fn read_cookie() -> anyhow::Result<Cookie> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().take(COOKIE_LINE_MAX_BYTES).read_line(&mut line)?;
    let (name, digits) = line.trim_end().split_once(' ').context(
        "the first line of standard input is not `AUTHNAME HEX`. Let sudare-supervisor start guards",
    )?;
    let data = unhex_all(digits).context("the cookie is not hexadecimal")?;
    Ok(Cookie { name: name.to_owned(), data: Zeroizing::new(data) })
}

/// The supervisor's orders; the last one when standard input ends, or at SIGTERM.
fn orders() -> anyhow::Result<mpsc::Receiver<Order>> {
    let (out, orders) = mpsc::channel(ORDERS_MAX);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let told = out.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        // Closed means that the guard ends already.
        told.send(Order::End).await.ok();
    });
    std::thread::Builder::new().name("supervisor".into()).spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(order) = next_order(&mut input)
            && out.blocking_send(order).is_ok()
        {}
        out.blocking_send(Order::End).ok();
    })?;
    Ok(orders)
}

/// The next line; `None` at the end, or for what no supervisor of this version says.
fn next_order(input: &mut impl std::io::BufRead) -> Option<Order> {
    let mut line = String::new();
    input.take(ORDER_MAX_BYTES).read_line(&mut line).ok()?;
    let (order, ticket) = line.strip_suffix('\n')?.split_once(' ')?;
    let ticket = ticket.parse().ok()?;
    match order {
        "cover" => Some(Order::Cover(ticket)),
        "go-on" => Some(Order::GoOn(ticket)),
        _ => None,
    }
}

/// Standard output, which never makes the guard wait: a heartbeat that does not fit is left out.
struct Lines {
    out: std::fs::File,
}

impl Lines {
    /// Says which build this is, before anything else.
    fn greet() -> anyhow::Result<Self> {
        let out = std::fs::File::from(rustix::io::dup(std::io::stdout())?);
        let flags = rustix::fs::fcntl_getfl(&out)?;
        rustix::fs::fcntl_setfl(&out, flags | rustix::fs::OFlags::NONBLOCK)?;
        let mut lines = Lines { out };
        lines.out.write_all(format!("{}\n", heartbeat::greeting()).as_bytes())?;
        Ok(lines)
    }

    fn tell(&mut self, tell: &Tell) {
        let line = match tell {
            Tell::Heartbeat(beat) => format!("{beat}\n"),
            Tell::Covered(ticket) => format!("covered {ticket}\n"),
            Tell::Disconnect(why) => format!("disconnect {}\n", why.replace('\n', " ")),
        };
        // A supervisor that does not read will miss the beats, and act on that.
        self.out.write_all(line.as_bytes()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_everything_else_ends_the_guard() {
        let mut input = &b"cover 7\ngo-on 8\ncover 9"[..];
        assert_eq!(next_order(&mut input), Some(Order::Cover(7)));
        assert_eq!(next_order(&mut input), Some(Order::GoOn(8)));
        let long = format!("cover {:080}\n", 1);
        for line in ["cover 9", "", "cover\n", "cover x\n", "show 1\n", "cover 1 2\n", &long] {
            assert_eq!(next_order(&mut line.as_bytes()), None, "{line:?}");
        }
    }
}
