//! The status files of the shipper, the forwarder and `sudare-fleet`, for `sudare-host doctor`, which links none of them.

pub mod fleet;
pub mod forward;
pub mod ship;
