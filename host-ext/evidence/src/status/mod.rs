//! The status files of the shipper and the forwarder, for `sudare-host doctor`, which links neither of the two.

pub mod forward;
pub mod ship;
