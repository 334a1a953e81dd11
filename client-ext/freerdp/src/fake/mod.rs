//! A FreeRDP for tests, as far as a plugin sees it.

pub(crate) mod sys;
