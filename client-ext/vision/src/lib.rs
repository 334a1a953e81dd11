//! Cameras and films, and the face models that look at their pictures.
//!
//! ```text
//!  camera/ ─► frame ─► pipeline: motion ─ attention ─ prepare ─ faces (YuNet) ─ tracks ─► what the seat shows
//!                                                   ├─ worker: align, identity (SFace)
//!                                                   ├─ mesh (where it looks, where it is installed)
//!                                                   └─ cues: antispoof (MiniFASNetV2), phones (YOLOX-nano)
//!  engine    the networks, from verified bytes
//!  enroll    an operator's template from pictures or a clip · finder: faces in a single picture again
//!  watch     a source, the pipeline and the decision, without a session (`sudare watch`)
//! ```
//! Deliberately absent: any decision about what is shown (`sudare-client-core` makes it), and any picture on disk.
//!
//! | module | what |
//! |---|---|
//! | `camera` | webcam, JPEG folder, MJPEG AVI, y4m, live MJPEG; a live source watches itself |
//! | `engine`, `prepare`, `align`, `sampling` | runs the models; pictures as tensors; faces turned upright; colours between pixels |
//! | `faces`, `finder` | the detector, and where faces are in a picture that is kept |
//! | `mesh` | the shape of a face, 468 points |
//! | `identity`, `worker` | embeds and compares; the thread that does it, so that no frame waits |
//! | `antispoof`, `phones`, `optional` | two networks that are used where they are installed |
//! | `cues`, `phone_worker` | when those look; the thread that looks for phones |
//! | `pipeline` | a frame in, a look out |
//! | `enroll`, `turned`, `covered`, `watch` | what `sudare enroll` and `sudare watch` do; which way up a face is, and whether it is covered |

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests measure by the real clock"))]

pub mod align;
pub mod antispoof;
#[cfg(test)]
mod bad_input_tests;
pub mod camera;
mod covered;
mod cues;
pub mod engine;
pub mod enroll;
#[cfg(test)]
mod enrolment_tests;
pub mod faces;
pub mod finder;
pub mod identity;
pub mod mesh;
mod optional;
mod phone_worker;
pub mod phones;
#[cfg(test)]
mod photograph_tests;
pub mod pipeline;
#[cfg(test)]
mod pixelate_tests;
pub mod prepare;
#[cfg(test)]
mod recognition_tests;
mod sampling;
#[cfg(test)]
mod testing;
mod turned;
pub mod watch;
pub mod worker;

pub use optional::Lacking;
pub use pipeline::{Mode, Seen, Vision};
