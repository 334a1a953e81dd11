//! Clients of the two notaries of a checkpoint: a witness, and a time-stamp service.
//!
//! | module | what |
//! |---|---|
//! | `cosign` | submits a checkpoint to a witness (C2SP tlog-witness) |
//! | `stamp` | fetches a time-stamp token (RFC 3161) |
//! | `http` | a bounded POST |

pub mod cosign;
pub mod http;
pub mod stamp;
