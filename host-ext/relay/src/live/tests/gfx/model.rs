//! A client that keeps surfaces as [MS-RDPEGFX] says, and is strict about what it is told.

use std::collections::BTreeMap;

use super::super::dynamic::{pdus, split};
use super::ID;
use super::host::XRGB;
use crate::wire::gfx::{self, Command, Place, command};
use crate::wire::{Reader, dvc};

/// What surfaces have before anything is drawn: FreeRDP's colour.
pub(super) const NEW: u32 = 0xFFFF_FFFF;
const ALPHA: u32 = 0xFF00_0000;
const SURFACE_TO_CACHE: u16 = 6;

/// What becomes of surfaces at a reset of the output: clients differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reset {
    /// They stay: what the specification says.
    #[default]
    Kept,
    /// They stay, but are as new: FreeRDP.
    White,
    /// They are gone: IronRDP.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surface {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) format: u8,
    pub(super) place: Option<Place>,
    pub(super) pixels: Vec<u32>,
}

type Cached = (usize, usize, Vec<u32>);

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) surfaces: BTreeMap<u16, Surface>,
    pub(super) cache: BTreeMap<u16, Cached>,
    /// Frames to be acknowledged, with the count of all.
    pub(super) acks: Vec<(u32, u32)>,
    total: u32,
    open: Option<u32>,
    /// All commands so far.
    pub(super) commands: Vec<u16>,
    pub(super) resets: Reset,
    /// Only CapsConfirm is taken.
    pub(super) resetting: bool,
    pub(super) output: (u32, u32),
    pieces: dvc::Pieces,
}

impl Client {
    /// Frames of the gate, in whole messages of the channel.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let all = split(bytes);
        let slow: Vec<Vec<u8>> = all.into_iter().filter(|frame| frame.first() == Some(&3)).collect();
        for pdu in pdus(&slow) {
            let message = match dvc::read(&pdu).unwrap() {
                dvc::Pdu::Data { id: ID, data } => self.pieces.add(None, data, 1 << 25).unwrap(),
                dvc::Pdu::DataFirst { id: ID, total, data } => {
                    self.pieces.add(Some(total), data, 1 << 25).unwrap()
                }
                _ => None,
            };
            if let Some(message) = message {
                let mut plain = Vec::new();
                // Nothing is compressed, so each message can be read without the others.
                ironrdp_graphics::zgfx::Decompressor::new().decompress(&message, &mut plain).unwrap();
                self.draw(&plain);
            }
        }
    }

    /// The client begins anew.
    pub(super) fn begin_anew(&mut self) {
        let resets = self.resets;
        *self = Self { resets, resetting: true, ..Self::default() };
    }

    pub(super) fn draw(&mut self, message: &[u8]) {
        for pdu in gfx::split(message).unwrap() {
            self.commands.push(pdu.command);
            if self.resetting && pdu.command != command::CAPS_CONFIRM {
                continue;
            }
            self.resetting = false;
            self.run(&pdu);
        }
    }

    fn run(&mut self, pdu: &gfx::Pdu<'_>) {
        match pdu.of_host().unwrap() {
            Command::Create { surface, width, height, format } => {
                let (width, height) = (usize::from(width), usize::from(height));
                let pixels = vec![NEW; width * height];
                let new = Surface { width, height, format, place: None, pixels };
                let old = self.surfaces.insert(surface, new);
                assert!(old.is_none(), "surface {surface:#x} is made twice");
            }
            Command::Delete { surface } => {
                assert!(self.surfaces.remove(&surface).is_some(), "no surface {surface:#x} to delete");
            }
            Command::Map { surface, place } => self.surface(surface).place = Some(place),
            Command::Start { frame, .. } => {
                assert_eq!(self.open.replace(frame), None, "a frame within a frame");
            }
            Command::End { frame } => {
                assert_eq!(self.open.take(), Some(frame), "the end of another frame");
                self.total += 1;
                self.acks.push((frame, self.total));
            }
            Command::Reset { width, height } => {
                self.output = (width, height);
                match self.resets {
                    Reset::Kept => {}
                    Reset::White => self.surfaces.values_mut().for_each(|of| of.pixels.fill(NEW)),
                    Reset::Gone => self.surfaces.clear(),
                }
            }
            Command::Draw { .. } => self.draw_one(pdu),
            Command::CapsConfirm | Command::CacheImportReply => {}
            Command::Other => self.draw_one(pdu),
        }
    }

    fn surface(&mut self, id: u16) -> &mut Surface {
        self.surfaces.get_mut(&id).unwrap_or_else(|| panic!("no surface {id:#x}"))
    }

    fn draw_one(&mut self, pdu: &gfx::Pdu<'_>) {
        let mut body = Reader::new(pdu.body);
        let mut next = || body.u16().unwrap();
        match pdu.command {
            command::SOLID_FILL => {
                let id = next();
                let colour = u32::from(next()) | (u32::from(next()) << 16);
                assert_eq!(next(), 1);
                let part = [next(), next(), next(), next()];
                self.surface(id).put(part, |_, _| colour);
            }
            command::WIRE_TO_SURFACE_1 => {
                let (id, codec) = (next(), next());
                let format = body.u8().unwrap();
                assert_eq!((codec, format), (0, XRGB), "the model knows no codec");
                let mut next = || body.u16().unwrap();
                let part = [next(), next(), next(), next()];
                body.u32().unwrap();
                let pixels: Vec<u32> = body
                    .rest()
                    .chunks(4)
                    .map(|pixel| u32::from_le_bytes(pixel.try_into().unwrap()))
                    .collect();
                let width = usize::from(part[2] - part[0]);
                self.surface(id).put(part, |x, y| pixels[y * width + x]);
            }
            command::SURFACE_TO_SURFACE => {
                let (from, to) = (next(), next());
                let part = [next(), next(), next(), next()];
                assert_eq!(next(), 1);
                let (x, y) = (next(), next());
                let cut = self.surface(from).cut(part);
                self.paste(to, &cut, x, y);
            }
            SURFACE_TO_CACHE => {
                let id = next();
                let _key = [next(), next(), next(), next()];
                let slot = next();
                let part = [next(), next(), next(), next()];
                let cut = self.surface(id).cut(part);
                self.cache.insert(slot, cut);
            }
            command::CACHE_TO_SURFACE => {
                let (slot, id) = (next(), next());
                assert_eq!(next(), 1);
                let (x, y) = (next(), next());
                let cut = self.cache.get(&slot).cloned().unwrap();
                self.paste(id, &cut, x, y);
            }
            _ => {}
        }
    }

    fn paste(&mut self, id: u16, (width, height, pixels): &Cached, x: u16, y: u16) {
        let end = |at: u16, size: usize| at + u16::try_from(size).unwrap();
        let part = [x, y, end(x, *width), end(y, *height)];
        self.surface(id).put(part, |x, y| pixels[y * width + x]);
    }

    /// Whether every surface that is shown is black, in all its pixels.
    pub(super) fn is_black(&self) -> bool {
        self.shown_pixels().all(|pixel| pixel & !ALPHA == 0)
    }

    /// Whether anything that the host has drawn is shown.
    pub(super) fn tells(&self) -> bool {
        self.shown_pixels().any(|pixel| pixel & !ALPHA != 0 && pixel != NEW)
    }

    fn shown_pixels(&self) -> impl Iterator<Item = u32> {
        let shown = self.surfaces.values().filter(|surface| surface.place.is_some());
        shown.flat_map(|surface| surface.pixels.iter().copied())
    }
}

impl Surface {
    fn put(&mut self, [left, top, right, bottom]: [u16; 4], pixel: impl Fn(usize, usize) -> u32) {
        for (row, y) in (top..bottom).enumerate() {
            for (column, x) in (left..right).enumerate() {
                let (x, y) = (usize::from(x), usize::from(y));
                if x < self.width && y < self.height {
                    self.pixels[y * self.width + x] = pixel(column, row);
                }
            }
        }
    }

    fn cut(&self, [left, top, right, bottom]: [u16; 4]) -> Cached {
        let (right, bottom) = (usize::from(right).min(self.width), usize::from(bottom).min(self.height));
        let (left, top) = (usize::from(left).min(right), usize::from(top).min(bottom));
        let pixels = (top..bottom).flat_map(|y| (left..right).map(move |x| self.pixels[y * self.width + x]));
        (right - left, bottom - top, pixels.collect())
    }
}
