//! Where chansrv of a display listens, and whether an RDP client is connected.
//!
//! ```text
//! <socket dir>/xrdpapi_<N>                0.9: one folder for everybody
//! <socket dir>/<uid>/xrdpapi_<N>          0.10: one folder a user, readable by xrdp's group
//!              …/xrdp_chansrv_socket_<N>  is there only while NO client is connected
//! ```
//! The last one is how a connection is noticed. Asking by opening a channel would cost one of
//! chansrv's 255 slots each time, and they never come back.

use std::path::{Path, PathBuf};

/// The sockets of one display.
#[derive(Debug, Clone)]
pub(super) struct Sockets {
    dirs: [PathBuf; 2],
    display: u32,
}

impl Sockets {
    pub(super) fn new(socket_dir: &Path, uid: u32, display: u32) -> Self {
        Sockets { dirs: [socket_dir.join(uid.to_string()), socket_dir.to_owned()], display }
    }

    /// The folders in which they may appear, for a watch; some may not exist (yet).
    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.dirs.iter().map(PathBuf::as_path)
    }

    /// Where channels are opened, once chansrv runs.
    pub(super) fn api(&self) -> Option<PathBuf> {
        let name = format!("xrdpapi_{}", self.display);
        self.dirs.iter().map(|dir| dir.join(&name)).find(|path| path.exists())
    }

    /// Whether an RDP client is connected to this display now.
    pub(super) fn client_is_connected(&self) -> bool {
        let Some(api) = self.api() else { return false };
        !api.with_file_name(self.waiting_name()).exists()
    }

    /// The name of the socket at which chansrv waits while no client is connected.
    pub(super) fn waiting_name(&self) -> String {
        format!("xrdp_chansrv_socket_{}", self.display)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn both_layouts_of_folders_are_found_and_a_client_is_told_by_absence() {
        for sub in ["", "1000"] {
            let dir = tempfile::tempdir().unwrap();
            let place = dir.path().join(sub);
            fs::create_dir_all(&place).unwrap();
            let sockets = Sockets::new(dir.path(), 1000, 10);
            assert!(!sockets.client_is_connected(), "chansrv does not run yet");
            fs::write(place.join("xrdp_chansrv_socket_10"), "").unwrap();
            fs::write(place.join("xrdpapi_10"), "").unwrap();
            assert_eq!(sockets.api(), Some(place.join("xrdpapi_10")));
            assert!(!sockets.client_is_connected());
            fs::remove_file(place.join("xrdp_chansrv_socket_10")).unwrap();
            assert!(sockets.client_is_connected());
        }
    }
}
