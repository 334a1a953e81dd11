//! The client's settings ([MS-RDPBCGR] 2.2.1.3).
//!
//! | block | what is changed |
//! |---|---|
//! | CS_CORE | the selected protocol is the one of the host's leg, or the host ends; skipped joins are not offered, and RDPGFX only by policy |
//! | CS_NET | channels that policy closes get a name that no host knows, so that the numbers of the others stay; no compression |
//! | CS_MULTITRANSPORT | taken out, so that everything stays on this connection |
//! | all others | nothing |

use super::gcc::{self, Block, in_block};
use super::negotiate::Agreed;
use super::{Connection, DRDYNVC, Out, Phase, Response};
use crate::error::{Fault, Stage};
use crate::limits::STATIC_CHANNELS_MAX;
use crate::policy::{Policy, Rule};
use crate::wire::{mcs, patch};

const CORE: u16 = 0xC001;
const NET: u16 = 0xC003;
const MULTITRANSPORT: u16 = 0xC00A;
/// Fields of CS_CORE; older clients end before them.
const EARLY_CAPABILITIES_AT: usize = 140;
const SELECTED_PROTOCOL_AT: usize = 208;
const EARLY_GRAPHICS: u16 = 0x0100;
/// The joins that [`Join`](super::Join) wants to see.
const EARLY_SKIPS_JOINS: u16 = 0x0800;
const SOUND: &str = "rdpsnd";
const NAME_BYTES: usize = 8;
/// Compression of the channel, and by RDP's own bulk compression.
const OPTIONS_CLEARED: u32 = 0x0040_0000 | 0x0080_0000;

/// Waits for Connect Initial.
#[derive(Debug)]
pub struct Initial {
    agreed: Agreed,
}

impl Initial {
    pub(super) fn new(agreed: Agreed) -> Self {
        Self { agreed }
    }
}

impl Phase for Initial {
    const STAGE: Stage = Stage::Settings;

    fn client(self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault> {
        let (before, blocks) = gcc::read_initial(mcs::x224_data(frame)?)?;
        let mut edited = Vec::with_capacity(blocks.len());
        let mut names = None;
        for block in gcc::blocks(blocks)? {
            let mut bytes = block.bytes.to_vec();
            match block.kind {
                CORE => edit_core(&block, &mut bytes, &self.agreed)?,
                NET if names.is_some() => return Err(Fault::Unknown),
                NET => names = Some(edit_net(&block, &mut bytes, &self.agreed.policy)?),
                MULTITRANSPORT => continue,
                _ => {}
            }
            edited.extend(bytes);
        }
        out.to_host.extend(mcs::write_x224_data(&gcc::write_initial(before, &edited)?)?);
        Ok(Connection::Response(Response::new(self.agreed, names.unwrap_or_default())))
    }

    fn host(self, _: &[u8], _: &mut Out) -> Result<Connection, Fault> {
        Err(Fault::OutOfTurn)
    }
}

fn edit_core(block: &Block<'_>, bytes: &mut [u8], agreed: &Agreed) -> Result<(), Fault> {
    let mut fields = block.body();
    if fields.take(EARLY_CAPABILITIES_AT).is_ok()
        && let Ok(flags) = fields.u16()
    {
        let graphics = if agreed.policy.graphics { 0 } else { EARLY_GRAPHICS };
        let flags = flags & !(EARLY_SKIPS_JOINS | graphics);
        patch(bytes, in_block(EARLY_CAPABILITIES_AT), &flags.to_le_bytes())?;
    }
    if block.body().left() >= SELECTED_PROTOCOL_AT.saturating_add(4) {
        patch(bytes, in_block(SELECTED_PROTOCOL_AT), &agreed.host.to_le_bytes())?;
    }
    Ok(())
}

/// The channels' names and rules, in order.
fn edit_net(block: &Block<'_>, bytes: &mut [u8], policy: &Policy) -> Result<Vec<(String, Rule)>, Fault> {
    let mut fields = block.body();
    let count = usize::try_from(fields.u32()?).map_err(|_| Fault::TooMuch)?;
    if count > STATIC_CHANNELS_MAX {
        return Err(Fault::TooMuch);
    }
    let mut found: Vec<(String, Rule)> = Vec::with_capacity(count);
    for index in 0..count {
        let at = in_block(fields.at());
        let name = fields.take(NAME_BYTES)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let options = fields.u32()? & !OPTIONS_CLEARED;
        patch(bytes, at.saturating_add(NAME_BYTES), &options.to_le_bytes())?;
        let again = found.iter().any(|(other, _)| *other == name);
        let rule = match &*name {
            // A second one of the same name would be a way around the first one's rule.
            _ if again => Rule::Closed,
            DRDYNVC => Rule::Pass,
            // Only sound is known well enough to be silenced.
            name => match policy.static_rule(name) {
                Rule::Silence if !name.eq_ignore_ascii_case(SOUND) => Rule::Closed,
                rule => rule,
            },
        };
        if rule == Rule::Closed {
            patch(bytes, at, format!("gate{index:03}\0").as_bytes())?;
        }
        found.push((if again { String::new() } else { name }, rule));
    }
    if fields.left() == 0 { Ok(found) } else { Err(Fault::Length) }
}
