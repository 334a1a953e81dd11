//! Whole connections over loopback sockets, between a client and a host of another implementation.

mod binding;
mod confined;
pub(crate) mod ends;
mod flow;
mod nla;
mod shown;
mod torn;
