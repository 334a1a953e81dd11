//! Times from outside.

pub mod http;
