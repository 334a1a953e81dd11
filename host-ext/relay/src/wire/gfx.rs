//! PDUs of the graphics pipeline ([MS-RDPEGFX] 2.2.2), by their headers and the few fields that a cover needs.
//!
//! ```text
//!  cmdId u16 │ flags u16 │ pduLength u32 │ …
//! ```
//! The length decides where the next one begins: hosts send commands that no specification lists, and a decoder that
//! knows all commands would lose its place behind one of them.

use super::Reader;
use crate::error::Fault;
use crate::limits::GRAPHICS_PDUS_MAX;

/// Commands that the gate tells apart ([MS-RDPEGFX] 2.2.1.5).
pub mod command {
    /// A bitmap for a surface (2.2.2.1).
    pub const WIRE_TO_SURFACE_1: u16 = 0x01;
    /// Progressive RemoteFX for a surface (2.2.2.2).
    pub const WIRE_TO_SURFACE_2: u16 = 0x02;
    /// One colour for rectangles of a surface (2.2.2.4).
    pub const SOLID_FILL: u16 = 0x04;
    /// From a surface to another one, or within it (2.2.2.5).
    pub const SURFACE_TO_SURFACE: u16 = 0x05;
    /// From the client's bitmap cache to a surface (2.2.2.7).
    pub const CACHE_TO_SURFACE: u16 = 0x07;
    /// A surface is made (2.2.2.9).
    pub const CREATE_SURFACE: u16 = 0x09;
    /// A surface is no more (2.2.2.10).
    pub const DELETE_SURFACE: u16 = 0x0A;
    /// A frame begins (2.2.2.11).
    pub const START_FRAME: u16 = 0x0B;
    /// A frame ends; the client shows what it has drawn, and acknowledges (2.2.2.12).
    pub const END_FRAME: u16 = 0x0C;
    /// Of the client: a frame was decoded (2.2.2.13).
    pub const FRAME_ACKNOWLEDGE: u16 = 0x0D;
    /// The output gets another size (2.2.2.14).
    pub const RESET_GRAPHICS: u16 = 0x0E;
    /// A surface is shown on the output (2.2.2.15).
    pub const MAP_TO_OUTPUT: u16 = 0x0F;
    /// The answer to what a client offers of an older cache (2.2.2.17).
    pub const CACHE_IMPORT_REPLY: u16 = 0x11;
    /// Of the client: what it can do (2.2.2.18).
    pub const CAPS_ADVERTISE: u16 = 0x12;
    /// What of it the host has chosen (2.2.2.19).
    pub const CAPS_CONFIRM: u16 = 0x13;
    /// A surface is shown in a window (2.2.2.20).
    pub const MAP_TO_WINDOW: u16 = 0x15;
    /// Of the client: how long a frame took (2.2.2.21).
    pub const QOE_ACKNOWLEDGE: u16 = 0x16;
    /// A surface is shown on the output in another size (2.2.2.22).
    pub const MAP_TO_SCALED_OUTPUT: u16 = 0x17;
    /// A surface is shown in a window in another size (2.2.2.23).
    pub const MAP_TO_SCALED_WINDOW: u16 = 0x18;
}

const HEADER_BYTES: usize = 8;
/// Of a frame's acknowledgement: where the number of all frames so far is.
pub const ACKNOWLEDGED_TOTAL_AT: usize = HEADER_BYTES + 8;

/// One PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pdu<'a> {
    /// Its header included.
    pub bytes: &'a [u8],
    /// What it does: one of [`command`], or another.
    pub command: u16,
    /// Behind the header.
    pub body: &'a [u8],
}

/// Where a surface is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the output: its corner, and the size that it is shown in, if that is not its own.
    Output {
        /// From the left.
        x: u32,
        /// From the top.
        y: u32,
        /// Width and height.
        scaled: Option<(u32, u32)>,
    },
    /// In a window of the client's.
    Window,
}

/// What a host's PDU means for a cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A surface is made.
    Create {
        /// Its number.
        surface: u16,
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
        /// As [MS-RDPEGFX] 2.2.1.4 counts them.
        format: u8,
    },
    /// A surface is no more.
    Delete {
        /// Its number.
        surface: u16,
    },
    /// A surface is shown from now on.
    Map {
        /// Its number.
        surface: u16,
        /// Where.
        place: Place,
    },
    /// Something is drawn on a surface.
    Draw {
        /// Its number.
        surface: u16,
    },
    /// A frame begins.
    Start {
        /// When, by the host's clock.
        time: u32,
        /// Its number.
        frame: u32,
    },
    /// A frame ends.
    End {
        /// Its number.
        frame: u32,
    },
    /// The output gets this size.
    Reset {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The host has chosen what it uses.
    CapsConfirm,
    /// The answer to a client's offer of an older cache: no picture is shown by it.
    CacheImportReply,
    /// All others, known or not.
    Other,
}

/// What a client's PDU means for a cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What it can do; once more, it begins anew.
    CapsAdvertise,
    /// It has decoded a frame.
    Frame {
        /// Its number.
        frame: u32,
        /// How many it has decoded so far.
        total: u32,
    },
    /// It says how long a frame took.
    Quality {
        /// Its number.
        frame: u32,
    },
    /// All others, known or not.
    Other,
}

/// The first PDU of a message.
///
/// # Errors
/// If it is cut, or shorter than its header.
pub fn read(message: &[u8]) -> Result<Pdu<'_>, Fault> {
    let mut header = Reader::new(message);
    let (command, _) = (header.u16()?, header.u16()?);
    let length = usize::try_from(header.u32()?).map_err(|_| Fault::Length)?;
    let bytes = message.get(..length).ok_or(Fault::Length)?;
    Ok(Pdu { bytes, command, body: bytes.get(HEADER_BYTES..).ok_or(Fault::Length)? })
}

/// The PDUs of a message, one behind the other.
///
/// # Errors
/// If one is cut, or there are too many.
pub fn split(message: &[u8]) -> Result<Vec<Pdu<'_>>, Fault> {
    let mut found = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let pdu = read(rest)?;
        rest = rest.get(pdu.bytes.len()..).unwrap_or_default();
        found.push(pdu);
        if found.len() > GRAPHICS_PDUS_MAX {
            return Err(Fault::TooMuch);
        }
    }
    Ok(found)
}

impl Pdu<'_> {
    /// What it means, as a host's.
    ///
    /// # Errors
    /// If it ends before the fields that a cover needs.
    pub fn of_host(&self) -> Result<Command, Fault> {
        let mut body = Reader::new(self.body);
        Ok(match self.command {
            command::WIRE_TO_SURFACE_1 | command::WIRE_TO_SURFACE_2 | command::SOLID_FILL => {
                Command::Draw { surface: body.u16()? }
            }
            command::SURFACE_TO_SURFACE | command::CACHE_TO_SURFACE => {
                // Where from comes first.
                body.u16()?;
                Command::Draw { surface: body.u16()? }
            }
            command::CREATE_SURFACE => Command::Create {
                surface: body.u16()?,
                width: body.u16()?,
                height: body.u16()?,
                format: body.u8()?,
            },
            command::DELETE_SURFACE => Command::Delete { surface: body.u16()? },
            command::MAP_TO_OUTPUT | command::MAP_TO_SCALED_OUTPUT => {
                let (surface, _) = (body.u16()?, body.u16()?);
                let (x, y) = (body.u32()?, body.u32()?);
                let scaled = match self.command {
                    command::MAP_TO_SCALED_OUTPUT => Some((body.u32()?, body.u32()?)),
                    _ => None,
                };
                Command::Map { surface, place: Place::Output { x, y, scaled } }
            }
            command::MAP_TO_WINDOW | command::MAP_TO_SCALED_WINDOW => {
                Command::Map { surface: body.u16()?, place: Place::Window }
            }
            command::START_FRAME => Command::Start { time: body.u32()?, frame: body.u32()? },
            command::END_FRAME => Command::End { frame: body.u32()? },
            command::RESET_GRAPHICS => Command::Reset { width: body.u32()?, height: body.u32()? },
            command::CAPS_CONFIRM => Command::CapsConfirm,
            command::CACHE_IMPORT_REPLY => Command::CacheImportReply,
            _ => Command::Other,
        })
    }

    /// What it means, as a client's.
    ///
    /// # Errors
    /// If it ends before the fields that a cover needs.
    pub fn of_client(&self) -> Result<Answer, Fault> {
        let mut body = Reader::new(self.body);
        Ok(match self.command {
            command::CAPS_ADVERTISE => Answer::CapsAdvertise,
            command::FRAME_ACKNOWLEDGE => {
                // How much waits at the client is the same with our frames and without.
                body.u32()?;
                Answer::Frame { frame: body.u32()?, total: body.u32()? }
            }
            command::QOE_ACKNOWLEDGE => Answer::Quality { frame: body.u32()? },
            _ => Answer::Other,
        })
    }
}

/// A rectangle of a surface; right and bottom are outside ([MS-RDPEGFX] 2.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rectangle {
    /// The first column.
    pub left: u16,
    /// The first row.
    pub top: u16,
    /// Behind the last column.
    pub right: u16,
    /// Behind the last row.
    pub bottom: u16,
}

impl Rectangle {
    fn bytes(self) -> impl Iterator<Item = u8> {
        [self.left, self.top, self.right, self.bottom].into_iter().flat_map(u16::to_le_bytes)
    }
}

/// Writes any PDU behind what is there.
fn write(pdus: &mut Vec<u8>, command: u16, body: &[u8]) -> Result<(), Fault> {
    let length = body.len().checked_add(HEADER_BYTES).and_then(|length| u32::try_from(length).ok());
    pdus.extend_from_slice(&command.to_le_bytes());
    pdus.extend_from_slice(&[0; 2]);
    pdus.extend_from_slice(&length.ok_or(Fault::TooMuch)?.to_le_bytes());
    pdus.extend_from_slice(body);
    Ok(())
}

/// A surface is made.
///
/// # Errors
/// If it does not fit.
pub fn write_create(
    pdus: &mut Vec<u8>,
    surface: u16,
    (width, height): (u16, u16),
    format: u8,
) -> Result<(), Fault> {
    let mut body: Vec<u8> = [surface, width, height].into_iter().flat_map(u16::to_le_bytes).collect();
    body.push(format);
    write(pdus, command::CREATE_SURFACE, &body)
}

/// A surface is no more.
///
/// # Errors
/// See [`write_create`].
pub fn write_delete(pdus: &mut Vec<u8>, surface: u16) -> Result<(), Fault> {
    write(pdus, command::DELETE_SURFACE, &surface.to_le_bytes())
}

/// A frame begins.
///
/// # Errors
/// See [`write_create`].
pub fn write_start(pdus: &mut Vec<u8>, time: u32, frame: u32) -> Result<(), Fault> {
    write(pdus, command::START_FRAME, &[time.to_le_bytes(), frame.to_le_bytes()].concat())
}

/// A frame ends.
///
/// # Errors
/// See [`write_create`].
pub fn write_end(pdus: &mut Vec<u8>, frame: u32) -> Result<(), Fault> {
    write(pdus, command::END_FRAME, &frame.to_le_bytes())
}

/// One colour for a rectangle: blue, green, red. Opaque, where a surface has that.
///
/// # Errors
/// See [`write_create`].
pub fn write_fill(
    pdus: &mut Vec<u8>,
    surface: u16,
    [blue, green, red]: [u8; 3],
    rectangle: Rectangle,
) -> Result<(), Fault> {
    let mut body = surface.to_le_bytes().to_vec();
    body.extend_from_slice(&[blue, green, red, 0xFF]);
    body.extend_from_slice(&1_u16.to_le_bytes());
    body.extend(rectangle.bytes());
    write(pdus, command::SOLID_FILL, &body)
}

/// The whole of a surface to another one of its size, or over itself.
///
/// # Errors
/// See [`write_create`].
pub fn write_copy(pdus: &mut Vec<u8>, from: u16, to: u16, (width, height): (u16, u16)) -> Result<(), Fault> {
    let whole = Rectangle { left: 0, top: 0, right: width, bottom: height };
    let mut body: Vec<u8> = [from, to].into_iter().flat_map(u16::to_le_bytes).collect();
    body.extend(whole.bytes());
    // To one place: its corner.
    body.extend_from_slice(&1_u16.to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    write(pdus, command::SURFACE_TO_SURFACE, &body)
}

/// Codecs of a bitmap ([MS-RDPEGFX] 2.2.2.1).
pub mod codec {
    /// Four bytes a pixel, from the top.
    pub const UNCOMPRESSED: u16 = 0;
    /// RDP 6.0 bitmap compression ([MS-RDPEGDI] 2.2.2.5.1).
    pub const PLANAR: u16 = 0xA;
}

/// A bitmap without alpha for a rectangle of that size.
///
/// # Errors
/// If it does not fit.
pub fn write_bitmap(
    pdus: &mut Vec<u8>,
    surface: u16,
    codec: u16,
    rectangle: Rectangle,
    data: &[u8],
) -> Result<(), Fault> {
    const XRGB: u8 = 0x20;
    let length = u32::try_from(data.len()).map_err(|_| Fault::TooMuch)?;
    let mut body: Vec<u8> = [surface, codec].into_iter().flat_map(u16::to_le_bytes).collect();
    body.push(XRGB);
    body.extend(rectangle.bytes());
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(data);
    write(pdus, command::WIRE_TO_SURFACE_1, &body)
}

#[cfg(test)]
mod tests {
    use ironrdp_egfx::pdu;
    use proptest::prelude::*;

    use super::*;

    /// What another implementation writes, as it is read here.
    fn host(pdu: pdu::GfxPdu) -> Command {
        let bytes = ironrdp_core::encode_vec(&pdu).unwrap();
        let read = read(&bytes).unwrap();
        assert_eq!(read.bytes, bytes);
        read.of_host().unwrap()
    }

    fn client(pdu: pdu::GfxPdu) -> Answer {
        read(&ironrdp_core::encode_vec(&pdu).unwrap()).unwrap().of_client().unwrap()
    }

    #[test]
    fn what_another_implementation_writes_is_read() {
        let create = pdu::CreateSurfacePdu {
            surface_id: 7,
            width: 8,
            height: 9,
            pixel_format: pdu::PixelFormat::ARgb,
        };
        let made = Command::Create { surface: 7, width: 8, height: 9, format: 0x21 };
        assert_eq!(host(pdu::GfxPdu::CreateSurface(create)), made);
        let map = pdu::MapSurfaceToOutputPdu { surface_id: 7, output_origin_x: 1, output_origin_y: 2 };
        let place = Place::Output { x: 1, y: 2, scaled: None };
        assert_eq!(host(pdu::GfxPdu::MapSurfaceToOutput(map)), Command::Map { surface: 7, place });
        let map = pdu::MapSurfaceToScaledOutputPdu {
            surface_id: 7,
            output_origin_x: 1,
            output_origin_y: 2,
            target_width: 3,
            target_height: 4,
        };
        let place = Place::Output { x: 1, y: 2, scaled: Some((3, 4)) };
        assert_eq!(host(pdu::GfxPdu::MapSurfaceToScaledOutput(map)), Command::Map { surface: 7, place });
        let map =
            pdu::MapSurfaceToWindowPdu { surface_id: 7, window_id: 1, mapped_width: 2, mapped_height: 3 };
        let window = Command::Map { surface: 7, place: Place::Window };
        assert_eq!(host(pdu::GfxPdu::MapSurfaceToWindow(map)), window);
        let end = pdu::GfxPdu::EndFrame(pdu::EndFramePdu { frame_id: 5 });
        assert_eq!(host(end), Command::End { frame: 5 });
        let reset =
            pdu::GfxPdu::ResetGraphics(pdu::ResetGraphicsPdu { width: 5, height: 6, monitors: Vec::new() });
        assert_eq!(host(reset), Command::Reset { width: 5, height: 6 });
        let paste = pdu::CacheToSurfacePdu { cache_slot: 3, surface_id: 7, destination_points: Vec::new() };
        assert_eq!(host(pdu::GfxPdu::CacheToSurface(paste)), Command::Draw { surface: 7 });
        let acknowledge = pdu::FrameAcknowledgePdu {
            queue_depth: pdu::QueueDepth::Suspend,
            frame_id: 5,
            total_frames_decoded: 6,
        };
        let frame = Answer::Frame { frame: 5, total: 6 };
        assert_eq!(client(pdu::GfxPdu::FrameAcknowledge(acknowledge)), frame);
        let quality =
            pdu::QoeFrameAcknowledgePdu { frame_id: 5, timestamp: 1, time_diff_se: 2, time_diff_dr: 3 };
        assert_eq!(client(pdu::GfxPdu::QoeFrameAcknowledge(quality)), Answer::Quality { frame: 5 });
    }

    #[test]
    fn what_is_written_is_read_by_another_implementation() {
        let part = Rectangle { left: 1, top: 2, right: 3, bottom: 5 };
        let mut pdus = Vec::new();
        write_create(&mut pdus, 7, (8, 9), 0x20).unwrap();
        write_start(&mut pdus, 3, 4).unwrap();
        write_fill(&mut pdus, 7, [1, 2, 3], part).unwrap();
        write_copy(&mut pdus, 7, 8, (8, 9)).unwrap();
        write_bitmap(&mut pdus, 7, codec::PLANAR, part, &[1, 2, 3]).unwrap();
        write_end(&mut pdus, 4).unwrap();
        write_delete(&mut pdus, 7).unwrap();
        let read: Vec<pdu::GfxPdu> =
            split(&pdus).unwrap().iter().map(|pdu| ironrdp_core::decode(pdu.bytes).unwrap()).collect();
        let [_, start, fill, copy, bitmap, _, _] = &read[..] else { panic!("{read:?}") };
        assert!(matches!(start, pdu::GfxPdu::StartFrame(start) if start.frame_id == 4));
        let pdu::GfxPdu::SolidFill(fill) = fill else { panic!("{fill:?}") };
        assert_eq!((fill.fill_pixel.b, fill.fill_pixel.r, fill.fill_pixel.xa), (1, 3, 0xFF));
        assert_eq!((fill.rectangles[0].left, fill.rectangles[0].bottom), (1, 5));
        let pdu::GfxPdu::SurfaceToSurface(copy) = copy else { panic!("{copy:?}") };
        assert_eq!((copy.source_surface_id, copy.destination_surface_id), (7, 8));
        assert_eq!((copy.source_rectangle.right, copy.source_rectangle.bottom), (8, 9));
        let pdu::GfxPdu::WireToSurface1(bitmap) = bitmap else { panic!("{bitmap:?}") };
        assert_eq!((&bitmap.bitmap_data[..], bitmap.destination_rectangle.top), (&[1, 2, 3][..], 2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_pdus_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..60), command in 0..0x1A_u8) {
            split(&bytes).ok();
            // With a right header, the part behind it is reached.
            let length = u8::try_from(bytes.len() + 8).unwrap();
            bytes.splice(0..0, [command, 0, 0, 0, length, 0, 0, 0]);
            let pdus = split(&bytes).unwrap();
            prop_assert_eq!(pdus.len(), 1);
            pdus[0].of_host().ok();
            pdus[0].of_client().ok();
        }
    }
}
