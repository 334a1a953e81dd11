//! Whose desktop is it? Answers this to gates, by what the kernel says about sockets.
//!
//! ```text
//!  gate ── /run/sudare-owner/socket ──► sudare-owner         the kernel names the gate: pid and uid
//!   │                                       │ duplicates the sockets of xrdp's processes (pidfd_getfd)
//!   │                                       ▼
//!   └── /run/sudare-xrdp/socket ──► xrdp, whose accepted socket names the same gate
//!                                    │ its other sockets
//!                                    ├── sesman                     somebody is signing in
//!                                    ├── …/xrdp_display_<N>         Xorg: the kernel names its user
//!                                    ├── 127.0.0.1:<5900 + N>       Xvnc: the same
//!                                    └── anything else              no desktop of this machine
//! ```
//! Names, paths and arguments of processes prove nothing: users choose them. What counts is uids, who owns a program
//! file, and which process is at the other end of a socket. A process is held by a descriptor of the kernel (pidfd)
//! from the moment at which it is looked at, so that a number that was used again is never taken for it.
//!
//! | module | what |
//! |---|---|
//! | `wire` | what gates ask and are told. Pure |
//! | `verdict` | from an xrdp process's sockets to an answer. Pure |
//! | `sockets` | the sockets of another process, and who is at their other ends |
//! | `tcp` | the kernel's table of TCP sockets |
//! | `process` | processes, and the programs they run |
//! | `find` | the xrdp process that serves a gate |
//! | `server` | gates come, ask, and are told of changes |
//!
//! **Deliberately absent:** our protocol, records, evidence; any name of a user; what an answer means, which is the
//! guard's.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod find;
mod process;
pub mod server;
mod sockets;
mod tcp;
mod verdict;
pub mod wire;
