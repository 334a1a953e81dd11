//! The command line, one module a command. Only [`output`] prints.

pub(crate) mod args;
pub(crate) mod commands;
mod coverage;
mod erase;
mod export;
mod open;
pub(crate) mod output;
mod retention;
mod show;
mod verify;
mod words;
