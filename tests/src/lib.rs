//! What only tests, the demo and the benchmark share: they alone know both ends.

pub mod bench;
pub mod blanking;
pub mod camera_vm;
pub mod demo;
pub mod evidence;
pub mod faults;
pub mod pair;
pub mod plugin;
pub mod scene;
pub mod sim;
pub mod tsa;
pub mod xrdp;
