//! Clients of those who attest to a checkpoint that has left the host: a witness, and a time-stamp service.
//!
//! - [`cosign`]: hands a checkpoint to a witness (C2SP tlog-witness). - [`stamp`]: asks for a token (RFC 3161).
//! - [`http`]: a bounded POST.

pub mod cosign;
pub mod http;
pub mod stamp;
