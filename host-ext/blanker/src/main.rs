//! `sudare-blanker`: covers one X11 display.

fn main() {}
