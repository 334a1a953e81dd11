//! Everything on which the two ends of Sudare must agree byte for byte.
//!
//! ```text
//!  bytes ──► frame ──► cose ──► message ──► client / host (state machines) ──► actions
//!            length    who       what         handshake, sequence, lease
//!            prefix    signed
//!
//!  records   what the organisation signs: hosts, devices, policy · timings, rules  what a policy sets
//!  eyes, light  whether somebody alive is there: what a policy asks, the check by light, its judgement
//!  template  the operator's face template, sealed to one connection
//!  reason    why a session is covered, in words for people · error  why a message was refused
//!  evidence  what the log holds · seal  pictures that only auditors can open · approval  of an erasure
//!  tlog      Merkle log and signed checkpoints · verify  checking a log offline
//! ```
//! Everything here is pure: bytes, randomness and time are arguments, actions are results. Time is in
//! milliseconds, either `boot_ms` (CLOCK_BOOTTIME: never goes back, counts suspend) or `wall_ms` (Unix time,
//! for people).
//!
//! **Deliberately absent:** clocks, threads, files and sockets, which clippy.toml bans; randomness, except
//! what age draws in [`seal`]; any choice of algorithm by a peer (one signature scheme, one encoding per
//! message); and the decision to cover, which the guard makes from what is verified here.
//!
//! | module | what |
//! |---|---|
//! | `limits` | every bound that a peer can run into; relations are asserted at compile time |
//! | `frame`, `cbor`, `cose`, `message` | bytes to messages and back; one message has one encoding, and nothing is believed before its signature |
//! | `session` | transcript and sequence numbers: a message of one session means nothing in another |
//! | `client`, `host` | the two ends as state machines, one type per state; `Live` comes only from a verified handshake |
//! | `receipt` | what an ACK must prove before a client forgets evidence |
//! | `intake` | announced pictures, chunk by chunk, and nothing that the signed manifest does not list |
//! | `eyes`, `light` | what a policy asks of liveness; the check that the cover draws and how its answer is judged |
//! | `records`, `timings`, `rules` | what the organisation signs; a record is used only as `Signed<R>`, which only `verify` makes |
//! | `groups` | what a policy sets for some people only, and how far Sudare goes with them |
//! | `bundle` | all records for a fleet of hosts in one signed file that only gets newer |
//! | `enrol` | invitations: how a device is let in without the organisation's key; the code that a person types |
//! | `approval` | an approver's wish to erase: names log and incident, and expires |
//! | `notice`, `withdrawal` | what an employee accepts before anything looks; how that is taken back |
//! | `template` | the operator's face vectors, sealed to one connection |
//! | `reason`, `error` | why covered, why refused: words and advice; numbers are never reused |
//! | `screen` | the channel's name, the panel of a cover |
//! | `evidence` | log entries, and the words of notes |
//! | `tlog` | Merkle log, its proofs, checkpoints and cosignatures |
//! | `seal` | sealed pictures |
//! | `verify` | checks a log; everything is computed from the entries |
//! | `keyfile`, `hex`, `utc`, `text` | keys, bytes and times as text; which characters texts may have |

pub mod approval;
pub mod bundle;
pub mod cbor;
pub mod client;
pub mod cose;
pub mod enrol;
pub mod error;
pub mod evidence;
pub mod eyes;
pub mod frame;
pub mod groups;
pub mod hex;
pub mod host;
pub mod intake;
pub mod keyfile;
pub mod light;
pub mod limits;
pub mod message;
pub mod notice;
pub mod reason;
pub mod receipt;
pub mod records;
pub mod rules;
pub mod screen;
#[cfg(feature = "seal")]
pub mod seal;
pub mod session;
pub mod template;
pub mod text;
pub mod timings;
pub mod tlog;
pub mod utc;
pub mod verify;
pub mod withdrawal;

pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use error::{Code, Fault, Refusal};
