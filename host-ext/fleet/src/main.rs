//! `sudare-fleet`: fetches the organisation's bundle, and puts it in place while sessions run.
//!
//! ```text
//!  file:, https:, s3: ─► source: fetch, bounded ─► sudare_records::fleet: verify, newer?, put in place ─► guards
//!                                                   └─► status.json: doctor, status
//! ```
//! The place it comes from is not trusted: whoever writes there can withhold a bundle, and nothing more. What a host has
//! stays in force until a newer one comes.
//!
//! | module | what |
//! |---|---|
//! | `source` | where the bundle is: a file, a web server, a bucket; what has not changed is not fetched again |
//! | `follow` | one attempt after the other, and how they went |
//! | `confine` | what the process gives up once it runs |
//!
//! Deliberately absent: any secret key, and everything about sessions. Guards look for themselves, every five seconds.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod confine;
mod follow;
mod source;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use sudare_base::program::{self, Settings};
use sudare_base::signals::Signals;
use sudare_base::{clock, files, output};
use sudare_records::fleet::Fleet;
use sudare_records::keys::read_public;
use sudare_records::state::{PIN, SIGN_HOST, record};
use tokio::sync::watch;

use crate::follow::Follower;
use crate::source::Source;

/// Fetch the bundle of records that the security team makes for all hosts, and put it in place while sessions run.
///
/// Runs until stopped, and looks every minute. A bundle must be signed with the organisation's key, name this host or
/// none, and be newer than the one before; everything else is refused, said in the journal and by `sudare-host doctor`.
/// Credentials of a bucket come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
/// AWS_ENDPOINT_URL).
#[derive(Debug, Parser)]
#[command(
    name = "sudare-fleet",
    version,
    after_help = "\
Examples:
  sudare-fleet --from https://vdi.example/sudare/fleet.bundle
  sudare-fleet --from s3://sudare/fleet.bundle
  sudare-fleet --from file:///mnt/sudare/fleet.bundle --once"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// Where the bundle is: file:///…, https://… or s3://BUCKET/KEY
    #[arg(long, value_name = "URL")]
    from: String,
    /// Seconds between two looks
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=3600))]
    every: u64,
    /// Look once; fails if that fails
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    program::run("sudare-fleet", || cli.run())
}

impl Cli {
    fn run(&self) -> anyhow::Result<()> {
        let signals = Signals::hear()?;
        let config = self.settings.load(&[])?;
        let dir = config.state_dir.as_path();
        files::become_owner(dir)?;
        let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
        let host = record::<sudare_protocol::records::HostRecord>(
            &dir.join("host.record"),
            &organisation,
            clock::wall_ms(),
            SIGN_HOST,
        )?;
        let host_id = host.record().host_id.clone();
        // An error means that a provider was installed before, which is fine.
        drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
        let source = Source::open(&self.from)?;
        confine::confine(dir, source.folder())?;
        let mut follower = Follower::new(Fleet::new(dir, organisation), host_id, dir, source);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if self.once {
            let said = runtime.block_on(follower.look()).context("no bundle was put in place")?;
            output::line(&said);
            return Ok(());
        }
        let (stop, mut stopped) = watch::channel(());
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            signals.until_end(|| tracing::info!("options and variables count from the next start"));
            drop(stop);
        })?;
        runtime.block_on(async {
            loop {
                follower.look_and_tell().await;
                let pause = tokio::time::sleep(Duration::from_secs(self.every));
                tokio::select! {
                    () = pause => {}
                    _ = stopped.changed() => return,
                }
            }
        });
        Ok(())
    }
}
