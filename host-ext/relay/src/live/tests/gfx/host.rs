//! PDUs as a host makes them, by hand.

use crate::wire::gfx::command;

pub(super) const XRGB: u8 = 0x20;
pub(super) const ARGB: u8 = 0x21;

pub(super) fn pdu(command: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&command.to_le_bytes()[..], &[0; 2], &length.to_le_bytes(), body].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn longs(longs: &[u32]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_le_bytes()).collect()
}

pub(super) fn advertise() -> Vec<u8> {
    pdu(command::CAPS_ADVERTISE, &[&words(&[1])[..], &longs(&[0x000A_0701, 4, 0])].concat())
}

pub(super) fn confirm_caps() -> Vec<u8> {
    pdu(command::CAPS_CONFIRM, &longs(&[0x000A_0701, 4, 0]))
}

pub(super) fn acknowledge(frame: u32, total: u32) -> Vec<u8> {
    pdu(command::FRAME_ACKNOWLEDGE, &longs(&[0, frame, total]))
}

pub(super) fn quality(frame: u32) -> Vec<u8> {
    pdu(command::QOE_ACKNOWLEDGE, &longs(&[frame, 1, 2]))
}

pub(super) fn create(surface: u16, width: u16, height: u16, format: u8) -> Vec<u8> {
    pdu(command::CREATE_SURFACE, &[&words(&[surface, width, height])[..], &[format]].concat())
}

pub(super) fn delete(surface: u16) -> Vec<u8> {
    pdu(command::DELETE_SURFACE, &words(&[surface]))
}

pub(super) fn map(surface: u16, x: u32, y: u32) -> Vec<u8> {
    pdu(command::MAP_TO_OUTPUT, &[words(&[surface, 0]), longs(&[x, y])].concat())
}

pub(super) fn map_scaled(surface: u16, width: u32, height: u32) -> Vec<u8> {
    pdu(command::MAP_TO_SCALED_OUTPUT, &[words(&[surface, 0]), longs(&[0, 0, width, height])].concat())
}

pub(super) fn map_window(surface: u16, scaled: bool) -> Vec<u8> {
    let fields = longs(&[77, 0, 4, 3, 8, 6]);
    match scaled {
        true => pdu(command::MAP_TO_SCALED_WINDOW, &[words(&[surface]), fields].concat()),
        false => pdu(command::MAP_TO_WINDOW, &[words(&[surface]), fields[..16].to_vec()].concat()),
    }
}

pub(super) fn reset(width: u32, height: u32) -> Vec<u8> {
    // With one monitor, and padding up to 340 bytes.
    pdu(command::RESET_GRAPHICS, &[longs(&[width, height, 1, 0, 0, 9, 9, 1]), vec![0; 300]].concat())
}

pub(super) fn start(frame: u32) -> Vec<u8> {
    pdu(command::START_FRAME, &longs(&[0x1234, frame]))
}

pub(super) fn end(frame: u32) -> Vec<u8> {
    pdu(command::END_FRAME, &longs(&[frame]))
}

/// All of a surface of at most 64x64.
pub(super) fn fill(surface: u16, colour: u8) -> Vec<u8> {
    fill_part(surface, colour, [0, 0, 64, 64])
}

pub(super) fn fill_part(surface: u16, colour: u8, part: [u16; 4]) -> Vec<u8> {
    let body = [words(&[surface]), vec![colour, 2, 3, 0x80], words(&[1]), words(&part)].concat();
    pdu(command::SOLID_FILL, &body)
}

/// One pixel, as it is.
pub(super) fn pixel(surface: u16, colour: u8, x: u16, y: u16) -> Vec<u8> {
    let head = [words(&[surface, 0]), vec![XRGB], words(&[x, y, x + 1, y + 1])].concat();
    pdu(command::WIRE_TO_SURFACE_1, &[head, longs(&[4]), vec![colour, 9, 9, 0xFF]].concat())
}

pub(super) fn copy(from: u16, to: u16, part: [u16; 4], x: u16, y: u16) -> Vec<u8> {
    pdu(command::SURFACE_TO_SURFACE, &[words(&[from, to]), words(&part), words(&[1, x, y])].concat())
}

const SURFACE_TO_CACHE: u16 = 6;

pub(super) fn to_cache(surface: u16, slot: u16) -> Vec<u8> {
    let body = [words(&[surface]), longs(&[1, 2]), words(&[slot, 0, 0, 2, 2])].concat();
    pdu(SURFACE_TO_CACHE, &body)
}

pub(super) fn from_cache(slot: u16, surface: u16) -> Vec<u8> {
    pdu(command::CACHE_TO_SURFACE, &words(&[slot, surface, 1, 1, 1]))
}

/// A command that no specification lists (FreeRDP's issue 12846).
pub(super) fn unknown(length: usize) -> Vec<u8> {
    pdu(0x19, &vec![0xAB; length])
}
