//! Evidence for tests and the benchmark: logs of any length, without a host that lives through them.

pub mod big_log;
