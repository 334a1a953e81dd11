//! How accurate the eyes are: real detector, embedder, tracker and decision, on people that you give.
//!
//! ```text
//!  clips ─ unpack ─► people ─ enrolment ─► templates
//!                      │                       │
//!                      ├─ record ─► replay ────┼─► who opens whose desktop
//!                      └─ classes ─ play ──────┴─► who is noticed, and who is locked out in vain
//!  report (accuracy.json, table) · page, plots · worst (sheet of errors)
//! ```
//! People are never part of the project: no picture leaves `target`, and no figure is made without a folder of them.
//!
//! | module | what |
//! |---|---|
//! | `unpack`, `people`, `enrolment` | pictures of each person, where the face is, a template of each |
//! | `record`, `replay`, `curve`, `points` | everybody at everybody's desk, from looks recorded once, by threshold and by operating point |
//! | `scene`, `classes` | what happens before the camera |
//! | `sprite`, `costume`, `painter`, `lens_cover` | pictures of it: cut-out people, masks and turns, a room, noise |
//! | `surroundings` | what is around whoever sits there: their own clip |
//! | `raise`, `phone_prop` | a phone that somebody raises: when, where, what became of it; and how it is drawn |
//! | `light_lab`, `lighting` | pictures under the light of a screen, and where in them it falls |
//! | `light_loop`, `light_tries` | single checks by light, and whole tries before the host's decision |
//! | `play`, `moment` | scenes to the real eyes, and a picture of what went wrong |
//! | `outcome`, `figures` | shares and rates with their intervals |
//! | `report`, `page`, `plots`, `worst` | what is told |
//! | `crew`, `run` | all processors; the order of a whole run |

mod classes;
mod costume;
mod crew;
mod curve;
mod enrolment;
mod figures;
mod lens_cover;
mod light_lab;
mod light_loop;
mod light_tries;
mod lighting;
mod moment;
mod outcome;
mod page;
mod painter;
mod people;
mod phone_prop;
mod play;
mod plots;
mod points;
mod raise;
mod record;
mod replay;
mod report;
mod run;
mod scene;
mod sprite;
mod surroundings;
mod unpack;
mod worst;

pub use run::{Options, Part, files, run};
pub use scene::Class;
