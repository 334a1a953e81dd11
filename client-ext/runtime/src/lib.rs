//! Runs the client's side of a session, whatever RDP client brings the channel.
//!
//! ```text
//!  RDP client ─ inbox::Transport ─► inbox ─► driver ─► selector, session (core) ─► driver ─► RDP client
//!                                    ▲ ▲        ├─► watcher: camera and face models ─┐
//!                                    │ └────────┼────────────────────────────────────┘
//!                                    └─ sealer ◄┘ seals (evidence) and stores (spool, receipts, durable)
//!  seat/ what the employee's window sees and asks
//!  device, operator   this device's key and seed, its operators' templates
//!  plugin/            needed by every plugin of an RDP client: settings, start, notifications
//!  clock, random      the only places that read clocks and randomness · platform/  whatever differs by system
//! ```
//! A new client transport changes nothing here: it implements [`inbox::Transport`] and passes bytes on.
//! Deliberately absent: any RDP library and any async runtime.
//!
//! | module | what |
//! |---|---|
//! | `driver`, `inbox` | one thread that carries out what the core decides, and the bounded queue into it; never waits for RDP client, camera or disk |
//! | `watcher` | the thread that looks at the seat: on only while a host has proved itself, and not in a break |
//! | `evidence`, `sealer` | what the core chose is encoded, sealed and stored, on a thread of its own |
//! | `spool`, `receipts` | evidence that no host acknowledged, per host; what hosts confirmed |
//! | `hosts` | where the hosts are that this device is paired with |
//! | `membership` | the organisation that is pinned, a pairing under way, the notices that were accepted |
//! | `device`, `operator` | keys, seed and operator files; private, made at first use |
//! | `drift` | the two numbers about how well the template still fits |
//! | `battery` | whether this PC runs on its battery, so that the eyes may spare it |
//! | `durable` | the one way in which files are written here: whole or not at all |
//! | `clock`, `random` | the only places that read clocks and randomness |
//! | `platform` | what differs between systems: modes, folders, notifications |
//! | `seat` | the private socket on which the employee's window sees a session and asks for a cover |
//! | `plugin` | what every plugin of an RDP client needs: settings, connection, notices |

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests measure by the real clock"))]

pub mod battery;
pub mod clock;
pub mod device;
pub mod drift;
pub mod driver;
mod durable;
pub mod evidence;
pub mod hosts;
pub mod inbox;
pub mod membership;
pub mod operator;
mod platform;
pub mod plugin;
pub mod random;
pub mod receipts;
mod sealer;
pub mod seat;
pub mod spool;
#[cfg(test)]
#[path = "../../core/src/testing.rs"]
mod testing;
#[cfg(test)]
#[path = "../../core/src/testing_pictures.rs"]
mod testing_pictures;
pub mod watcher;

pub use sudare_client_core::event::Event;
