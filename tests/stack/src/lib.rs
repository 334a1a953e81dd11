//! Real servers, real clients and what attacks them; everything else in the tests only starts their programs.

pub mod blanking;
pub mod camera_vm;
pub mod gallery;
pub mod xfreerdp;
pub mod xrdp;
