//! Whole connections over loopback sockets, between a client and a host of another implementation.

pub(crate) mod ends;
mod flow;
mod shown;
mod torn;
