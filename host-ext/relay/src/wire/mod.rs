//! Bytes of RDP that the gate reads or writes itself.
//!
//! | module | what |
//! |---|---|
//! | `reader` | fields of a message, each of which may be missing |
//! | `mcs` | X.224 Data and the MCS domain PDUs in it |
//! | `share` | share control and share data headers |
//! | `bitmap` | bitmaps in an update, for screenshots |
//! | `fastpath` | fast-path output |
//! | `input` | keys and mouse, in both ways of writing them |
//! | `channel` | chunks of static channels |
//! | `dvc` | PDUs of drdynvc |
//! | `gfx` | PDUs of the graphics pipeline |
//!
//! Only headers are read: what a codec has made passes as it came, also where no codec of ours could read it.
//! Every read may fail and every length is compared; what cannot be read is a [`Fault`](crate::error::Fault),
//! which ends the connection.

pub mod bitmap;
pub mod channel;
pub mod dvc;
pub mod fastpath;
pub mod gfx;
pub mod input;
pub mod mcs;
mod reader;
pub mod share;

pub use reader::Reader;
pub(crate) use reader::{length_u16, patch};
