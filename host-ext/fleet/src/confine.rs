//! What the process gives up once it runs; call it before the first thread.

use std::path::{Path, PathBuf};

use sudare_base::files;
use sudare_base::harden::{self, Right, Rules};

/// `folder` is where the bundle is, if that is on this machine.
pub(crate) fn confine(state_dir: &Path, folder: Option<PathBuf>) -> anyhow::Result<()> {
    // Landlock rules are about existing folders.
    for name in ["fleet", "revoked"] {
        files::make_private_dir(&state_dir.join(name))?;
    }
    harden::protect()?;
    let enforced = harden::confine(&rules(state_dir, folder))?;
    if enforced != harden::Enforced::Fully {
        tracing::warn!(enforced = enforced.sentence(), "the kernel does not confine this process fully");
    }
    Ok(())
}

/// It writes two folders beside the host's keys, and cannot read those. Pure.
fn rules(state_dir: &Path, folder: Option<PathBuf>) -> Rules {
    let connects = folder.is_none();
    let mut paths = ["fleet", "revoked"].map(|name| (state_dir.join(name), Right::Keep)).to_vec();
    paths.push(("/dev/urandom".into(), Right::ReadIfThere));
    paths.extend(folder.map(|folder| (folder, Right::ReadIfThere)));
    if connects {
        paths.extend(Rules::system());
    }
    Rules { paths, connects }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_of_the_host_is_within_reach() {
        for folder in [None, Some(PathBuf::from("/mnt/sudare"))] {
            let rules = rules(Path::new("/var/lib/sudare"), folder);
            let key = Path::new("/var/lib/sudare/host.key");
            assert!(!rules.paths.iter().any(|(path, _)| key.starts_with(path)));
            assert_eq!(rules.connects, !rules.paths.iter().any(|(path, _)| path.starts_with("/mnt")));
        }
    }
}
