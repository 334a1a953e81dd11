//! The real stack: Debian's xrdp with a session of a throw-away user, and Debian's xfreerdp on a
//! screen that is not there, all in namespaces of its own.
//!
//! ```text
//!  sudare-stack (root)                    the machine's own xrdp, users, files: untouched
//!   └ unshare: mount, pid, net, ipc, uts
//!      └ pid 1, reaps                      whatever happens, all below ends with it
//!         └ scenario                       /etc overlaid; /run /tmp /var/log on tmpfs; lo only
//!            ├ xrdp-sesman ─► session of alice: Xorg (xorgxrdp), startwm.sh, Xsession, sudare-secret-desktop
//!            ├ xrdp        ◄──── RDP ────┐
//!            └ Xvfb ◄─ xfreerdp ─────────┘   pictures (its file of pixels) and keys (XTEST) here
//! ```
//! The ini files are those of the package. `sudare-secret-desktop` is what the user has on the screen: known
//! colours, something that moves, and a file with the keys that arrived.
//!
//! Scenarios with clients or servers of Debian 13 have its files beside those of this machine ([`place`]).
//!
//! A check that cannot fail proves nothing, so the first scenario, [`scenarios::control`], runs
//! without any of our programs: there the same checks must see the desktop and the keys.

pub mod certificate;
pub mod client;
pub mod clipboard;
pub mod film;
pub mod framebuffer;
pub mod gnome;
pub mod keys;
pub mod logged;
pub mod namespace;
pub mod needs;
pub mod observer;
pub mod palette;
pub mod place;
pub mod process;
pub mod remmina;
pub mod report;
pub mod scenarios;
pub mod screen;
pub mod secret_desktop;
pub mod servers;
pub mod session;
pub mod shadow;
pub mod stack;
pub mod sudare;
pub mod users;
pub mod watch;
pub mod weston;

pub use client::{Client, ClientOptions};
pub use keys::Keyboard;
pub use place::Place;
pub use report::{Check, Report};
pub use screen::{Count, Screen};
pub use stack::{Stack, StackOptions};
pub use watch::{Seen, Watch};
