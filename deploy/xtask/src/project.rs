//! Where the checkout, the build and our own files lie.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders that every step needs.
pub(crate) struct Project {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, also where `CARGO_TARGET_DIR` moves it.
    pub(crate) target: PathBuf,
    /// What the set-up makes: `target/xtask`.
    pub(crate) own: PathBuf,
}

/// Cargo's two profiles, by the name of their folder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Project {
    /// Finds the folders from what cargo tells the program that it runs.
    pub(crate) fn locate() -> Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").context(
            "the checkout is unknown because cargo did not start this program. Type `cargo xtask`",
        )?;
        let root = Path::new(&package)
            .ancestors()
            .nth(2)
            .context("the folder of xtask is not deploy/xtask of a checkout. Clone the repository again")?;
        // The program itself lies in `<target>/<profile>/`, wherever cargo was told to build.
        let program = std::env::current_exe().context("the path of this program is unknown")?;
        let target = program.ancestors().nth(2).context("this program lies outside a target folder")?;
        let own = target.join("xtask");
        fs::create_dir_all(&own)
            .with_context(|| format!("cannot create {}. Check that the disk is writable", own.display()))?;
        Ok(Self { root: root.to_path_buf(), target: target.to_path_buf(), own })
    }

    /// The folder with the programs that cargo built.
    pub(crate) fn programs(&self, profile: Profile) -> PathBuf {
        self.target.join(match profile {
            Profile::Debug => "debug",
            Profile::Release => "release",
        })
    }

    /// One of our programs, ready to run.
    pub(crate) fn program(&self, profile: Profile, name: &str) -> PathBuf {
        self.programs(profile).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}
