//! CredSSP as bytes ([MS-CSSP]): how a TSRequest is found in a stream, read and written, and what the gate and the
//! program that ends CredSSP say to each other.
//!
//! ```text
//!  client ⇄ TLS ⇄ sudare-gate ── packets ── sudare-nla: users, NTLM, passwords
//!                    finds TSRequests         reads them
//! ```
//! | module | what |
//! |---|---|
//! | `der` | tags and lengths |
//! | `request` | a TSRequest: its end in a stream, its fields |
//! | `packet` | between the gate and `sudare-nla` |
//!
//! **Deliberately absent:** what the tokens mean and how they are verified, which is `sudare-nla`'s: this crate links no
//! cryptography.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

pub mod der;
pub mod packet;
pub mod request;

pub use packet::{Refusal, ToGate, ToNla};
pub use request::{Malformed, Request};
