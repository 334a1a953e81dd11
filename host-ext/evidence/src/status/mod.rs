//! What the services that carry evidence elsewhere say of themselves, for `sudare-host doctor`. Plain files: whoever
//! reads them links neither service.

pub mod forward;
pub mod ship;
