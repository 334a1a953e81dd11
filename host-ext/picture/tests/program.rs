//! The program as the gate runs it: what it decodes, what it refuses in words, and what it can no longer do.

#![allow(clippy::disallowed_methods, reason = "the test starts the program")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::cast_possible_truncation, reason = "colours wrap around")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use ironrdp_graphics::rdp6::{BitmapStreamEncoder, RgbChannels};
use proptest::prelude::*;
use sudare_relay::Size;
use sudare_relay::recording::{Kind, Recording};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sudare-picture");
const COMPRESSED: u16 = 1;
const NO_HEADER: u16 = 0x0400;

fn run(recording: &[u8]) -> Output {
    let pipe = Stdio::piped;
    let mut program =
        Command::new(PROGRAM).stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().expect("it is built");
    let mut input = program.stdin.take().unwrap();
    let bytes = recording.to_vec();
    // It may refuse before it has read everything.
    let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn pixels(recording: &Recording) -> Vec<[u8; 3]> {
    let output = run(&recording.write());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks_exact(4).map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect()
}

fn refused(recording: &[u8], expected: &str) {
    let output = run(recording);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(expected), "{said}");
    assert!(said.trim_end().contains(". ") || said.contains("did not draw"), "who is to do what? {said}");
    assert!(output.stdout.is_empty());
}

/// An update with one bitmap.
fn update(corners: [u16; 4], data_size: [u16; 2], bits: u16, flags: u16, data: &[u8]) -> Vec<u8> {
    let [left, top, right, bottom] = corners;
    let length = u16::try_from(data.len()).unwrap();
    let fields = [1, 1, left, top, right, bottom, data_size[0], data_size[1], bits, flags, length];
    [&fields.iter().flat_map(|field: &u16| field.to_le_bytes()).collect::<Vec<_>>(), data].concat()
}

fn of(width: u16, height: u16, pieces: Vec<(Kind, Vec<u8>)>) -> Recording {
    let mut recording = Recording::new(Size { width, height });
    for (kind, piece) in pieces {
        recording.push(kind, piece).unwrap();
    }
    recording
}

#[test]
fn what_another_encoder_made_is_decoded() {
    let (width, height) = (64_u16, 48_u16);
    // Top row first.
    let picture: Vec<[u8; 3]> = (0..height)
        .flat_map(|y| (0..width).map(move |x| [x as u8 * 3, y as u8 * 5, (x / 8 * 31) as u8]))
        .collect();
    for rle in [false, true] {
        let rows: Vec<&[[u8; 3]]> = picture.chunks(width.into()).rev().collect();
        let bottom_up: Vec<u8> = rows.concat().concat();
        let mut data = vec![0; 64 * 1024];
        let length = BitmapStreamEncoder::new(width.into(), height.into())
            .encode_bitmap::<RgbChannels>(&bottom_up, &mut data, rle)
            .unwrap();
        for (flags, header) in [(COMPRESSED | NO_HEADER, &[][..]), (COMPRESSED, &[0; 8])] {
            let data = [header, &data[..length]].concat();
            let piece = update([0, 0, width - 1, height - 1], [width, height], 32, flags, &data);
            assert_eq!(pixels(&of(width, height, vec![(Kind::Bitmaps, piece)])), picture, "rle: {rle}");
        }
    }
}

#[test]
fn every_depth_is_decoded_and_later_pieces_lie_above() {
    let raw = |bits, data: &[u8]| update([0, 0, 1, 1], [4, 2], bits, 0, data);
    let red = [255, 0, 0];
    let blue_below = |rows: Vec<[u8; 3]>| assert_eq!(rows, [red, red, [0, 0, 255], [0, 0, 255]]);
    // The bottom row first, each filled up to four pixels.
    let row = |pixel: &[u8]| pixel.repeat(4);
    let two = |below: &[u8], above: &[u8]| [row(below), row(above)].concat();
    for (bits, below, above) in [
        (15, &0x001F_u16.to_le_bytes()[..], &0x7C00_u16.to_le_bytes()[..]),
        (16, &0x001F_u16.to_le_bytes(), &0xF800_u16.to_le_bytes()),
        (24, &[255, 0, 0], &[0, 0, 255]),
        (32, &[255, 0, 0, 9], &[0, 0, 255, 0]),
    ] {
        blue_below(pixels(&of(2, 2, vec![(Kind::Bitmaps, raw(bits, &two(below, above)))])));
    }
    let palette = [&[2, 0, 0, 0, 2, 0, 0, 0][..], &red, &[0, 0, 255]].concat();
    let indexed = vec![(Kind::Palette, palette), (Kind::Bitmaps, raw(8, &two(&[1], &[0])))];
    blue_below(pixels(&of(2, 2, indexed)));
    // Runs of one colour at 16 bits: red, then blue above a corner of it, partly outside.
    let runs = |corners, colour: u16| {
        let data = [&[0xF3, 8, 0][..], &colour.to_le_bytes()].concat();
        (Kind::Bitmaps, update(corners, [4, 2], 16, COMPRESSED | NO_HEADER, &data))
    };
    let drawn = pixels(&of(2, 2, vec![runs([0, 0, 1, 1], 0xF800), runs([1, 1, 4, 2], 0x001F)]));
    assert_eq!(drawn, [red, red, red, [0, 0, 255]]);
}

#[test]
fn hostile_and_torn_recordings_are_refused_in_words() {
    let sized = |side: u32| [&b"SUDAREP1"[..], &side.to_le_bytes(), &side.to_le_bytes()].concat();
    refused(&sized(100_000), "100000 x 100000 pixels");
    refused(b"", "no recording");
    let one = |piece| of(4, 4, vec![(Kind::Bitmaps, piece)]).write();
    let good = one(update([0, 0, 3, 3], [4, 4], 32, 0, &[0; 64]));
    refused(&good[..good.len() - 1], "ends in the middle");
    refused(&good[..16], "16 pixels of the screen are not in the recording");
    refused(&one(vec![1, 0, 9, 0]), "ends before its fields do");
    refused(&one(update([0, 0, 3, 3], [4, 4], 32, 0, &[0; 63])), "63 bytes in place of 64");
    refused(&one(update([0, 0, 3, 3], [4, 4], 7, 0, &[0; 64])), "7 bits a pixel");
    refused(&one(update([3, 3, 0, 0], [4, 4], 32, 0, &[0; 64])), "another size");
    refused(&one(update([0, 0, 9, 3], [4, 4], 32, 0, &[0; 64])), "another size");
    // 4 billion pixels from eight bytes: refused before anything is decompressed.
    let whole = u16::MAX;
    for bits in [8, 16, 24, 32] {
        refused(&one(update([0, 0, 3, 3], [whole, whole], bits, 0x401, &[0xF3; 8])), "65535 x 65535 pixels");
    }
    refused(&one(update([0, 0, 3, 3], [4, 4], 32, 0x401, &[0xFF; 9])), "damaged");
    refused(&one(update([0, 0, 3, 3], [4, 4], 16, 0x401, &[0xF3, 0xFF, 0xFF, 1, 1])), "damaged");
}

#[test]
fn the_largest_screen_fits_into_its_memory() {
    let (width, height) = (8_192_u16, 4_096_u16);
    // Bands of one colour, as long as a run can be.
    let bands = (0..height / 4).map(|band| {
        let top = band * 4;
        let data = [&[0xF3, 0, 0x80, 0, 0xF8][..]].concat();
        (Kind::Bitmaps, update([0, top, width - 1, top + 3], [width, 4], 16, 0x401, &data))
    });
    let output = run(&of(width, height, bands.collect()).write());
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.len(), 8_192 * 4_096 * 4);
}

#[test]
fn the_sandbox_refuses_files_sockets_programs_and_threads() {
    let output = Command::new(PROGRAM).arg("--check").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("the sandbox holds"), "{}: {said}", output.status);
}

#[test]
fn without_a_sandbox_the_same_tries_succeed() {
    // Otherwise the check would say nothing.
    let holes = sudare_picture::sandbox::holes();
    assert_eq!(holes.len(), 6, "{holes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_are_a_picture_or_an_error(
        pieces in prop::collection::vec((any::<bool>(), any::<[u8; 4]>(), 0_u16..40, 0_u16..40,
            prop::sample::select(vec![0_u16, 1, 8, 15, 16, 24, 32]), prop::sample::select(vec![0_u16, 1, 0x401]),
            prop::collection::vec(any::<u8>(), 0..80)), 0..6),
    ) {
        let pieces = pieces.into_iter().map(|(palette, corners, width, height, bits, flags, data)| {
            if palette { (Kind::Palette, data) } else {
                let corners = corners.map(|side| u16::from(side % 40));
                (Kind::Bitmaps, update(corners, [width, height], bits, flags, &data))
            }
        });
        let recording = of(32, 32, pieces.collect());
        if let Ok(pixels) = sudare_picture::decode(&recording.write()) {
            prop_assert_eq!(pixels.len(), 32 * 32 * 4);
        }
    }
}
