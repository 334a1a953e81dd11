//! How a device is let in without the organisation's key: by an invitation, which names a user and is used once.
//!
//! ```text
//!  organisation (offline) ─ signs ─► EnrollerRecord ─ its key signs ─► Invitation ─ its one-time key signs ─► Enrolment
//!                                    who may invite                    for whom       (that key is in the code)    which device
//!                                        └────────────────────────── Admission ──────────────────────────────────┘
//! ```
//! An [`Admission`] is worth what a `DeviceRecord` of the organisation is worth, and anybody who has the organisation's
//! public key can check it. The host that takes one holds none of the four secret keys.
//!
//! | module | what |
//! |---|---|
//! | `records` | what is signed by whom |
//! | `admission` | the three of them together, and the device that they let in |
//! | `code` | what a person types: where the host is, what it must show, and the secret |
//!
//! Deliberately absent: how often an invitation is used. Whoever keeps devices sees to that, and an auditor who has all
//! admissions sees two with one number.

mod admission;
mod code;
mod records;

pub use admission::{Admission, Invited};
pub use code::{CodeError, FINGERPRINT_BYTES, PairingCode, SECRET_BYTES, fingerprint, invitation_key};
pub use records::{EnrollerRecord, Enrolment, Invitation, Revocation};
