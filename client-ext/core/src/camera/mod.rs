//! What a stream of pictures tells about its camera, whoever is in view. Pure.
//!
//! | module | what |
//! |---|---|
//! | `repetition` | the very same picture again: a frozen camera, or a recording played over and over |
//! | `cadence` | pictures that come too evenly |
//! | `origin` | whether the system says that the camera is a program |
//!
//! Repeated pictures cover, because a live sensor cannot repeat its noise. The other two are signs: they go into the
//! record and the log, and cover nothing.

pub mod cadence;
pub mod origin;
pub mod repetition;
