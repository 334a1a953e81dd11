//! What the guard and the blanker say to each other; the blanker itself is the program of this package.

pub mod wire;
