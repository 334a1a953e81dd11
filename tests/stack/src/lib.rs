//! Real servers, real clients and what attacks them; everything else in the tests only starts their programs.
//!
//! | module | what |
//! |---|---|
//! | `xrdp` | the real stack in namespaces: servers, clients, scenarios with their controls |
//! | `xfreerdp` | Debian's xfreerdp with the plugin |
//! | `attackers` | programs inside a session that want to be seen, or to hear keys |
//! | `camera_vm` | Debian's kernel with its driver `vivid` in an emulated machine, for `--long` |
//! | `booted` | a machine with systemd and Debian's xrdp, for `--long` |
//! | `gallery` | contact sheets |

pub mod attackers;
pub mod booted;
pub mod camera_vm;
pub mod gallery;
pub mod xfreerdp;
pub mod xrdp;
