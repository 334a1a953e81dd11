//! Motion-JPEG AVI: a short RIFF walk.
//!
//! Sources: Microsoft's "AVI RIFF File Reference" and the OpenDML extension (several `RIFF AVIX` parts). Lists are
//! walked through flat, in file order; the index is not used, so a file whose end is missing still plays up to
//! there. What lies behind the last part is not the film's.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use super::jpeg::{self, JpegError};
use super::replay::{FilmReader, Pixels};
use super::{CameraFault, MAX_FRAME_PIXELS, MAX_FRAME_SIDE_PX};

/// A larger compressed frame or header is rejected.
const MAX_CHUNK_BYTES: u32 = 16 * 1024 * 1024;
/// `strl` lists read before the first frame.
const MAX_STREAMS: u8 = 16;
/// What a film plays at that does not know its rate.
const UNKNOWN_RATE: (u32, u32) = (25, 1);
const CONVERT: &str = "Convert it: ffmpeg -i IN -c:v mjpeg -q:v 3 OUT.avi";

/// See the module text.
#[derive(Debug)]
pub struct Avi<R = BufReader<File>> {
    input: Counted<R>,
    what: String,
    /// Frames per second, numerator and denominator.
    rate: (u32, u32),
    size: (u32, u32),
    /// How the names of its chunks begin, such as `00` of `00dc`.
    stream: [u8; 2],
    /// The index came, which only a film that was written to its end has.
    has_index: bool,
    /// Where the current RIFF part says it ends; `None` if its writer never filled that in.
    riff_end: Option<u64>,
}

impl Avi {
    /// Opens a file and reads its headers up to the first frame.
    ///
    /// # Errors
    /// It cannot be read, is not an AVI, or contains no Motion JPEG.
    pub fn open(path: &Path) -> Result<Self, CameraFault> {
        let what = path.display().to_string();
        let file = File::open(path).map_err(|e| CameraFault::from_io(&what, &e))?;
        Self::from_reader(BufReader::new(file), what)
    }
}

impl<R: Read> Avi<R> {
    fn from_reader(input: R, what: String) -> Result<Self, CameraFault> {
        let mut input = Counted { input, at: 0 };
        let unsupported = |detail: &str| CameraFault::Unsupported {
            what: what.clone(),
            detail: detail.to_owned(),
            advice: CONVERT.to_owned(),
        };
        let head = input.read_array::<12>().map_err(|_| unsupported("it is not an AVI file"))?;
        let (b"RIFF", b"AVI ") = (&head[..4], &head[8..]) else {
            return Err(unsupported("it is not an AVI file"));
        };
        let riff_end = part_end(8, u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let mut headers = Headers::default();
        headers.read(&mut input).map_err(|_| unsupported("its headers are cut off or damaged"))?;
        let Some((index, rate)) = headers.video else {
            return Err(unsupported("it holds no Motion JPEG video"));
        };
        let stream = [b'0' + index / 10, b'0' + index % 10];
        Ok(Self { input, what, rate, size: headers.size, stream, has_index: false, riff_end })
    }

    fn damaged(&self, frame: u64, detail: impl Into<String>) -> CameraFault {
        CameraFault::Damaged { what: self.what.clone(), frame, detail: detail.into() }
    }

    /// The payload of the next video chunk, or `None` at a proper end of the file.
    fn next_video_chunk(&mut self, frame: u64) -> Result<Option<Vec<u8>>, CameraFault> {
        loop {
            let is_behind = self.riff_end.is_some_and(|end| self.input.at >= end);
            let chunk = match self.input.chunk() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    let cut = self.riff_end.is_some_and(|end| self.input.at < end) && !self.has_index;
                    return if cut { Err(self.damaged(frame, "the file is cut off")) } else { Ok(None) };
                }
                Err(_) if is_behind => return Ok(None),
                Err(error) => return Err(self.cut(frame, &error)),
            };
            // Sizes that a writer got wrong are no reason to lose pictures, and padding is none to look for some.
            if is_behind && !is_chunk_name(&chunk.id) {
                return Ok(None);
            }
            let step = match &chunk.id {
                b"RIFF" => {
                    self.riff_end = part_end(self.input.at, chunk.size);
                    self.input.read_array::<4>().map(drop)
                }
                b"LIST" => self.input.read_array::<4>().map(drop),
                id if self.is_picture(id) => {
                    return self.input.payload(chunk.size).map(Some).map_err(|e| self.cut(frame, &e));
                }
                id => {
                    let skipped = self.input.skip(chunk.size);
                    self.has_index |= id == b"idx1" && skipped.is_ok();
                    skipped
                }
            };
            match step {
                Err(_) if is_behind => return Ok(None),
                step => step.map_err(|e| self.cut(frame, &e))?,
            }
        }
    }

    /// Writers call pictures `dc` (compressed) or `db` (not), whatever they are.
    fn is_picture(&self, id: &[u8; 4]) -> bool {
        id.starts_with(&self.stream) && matches!(id.get(2..), Some(b"dc" | b"db"))
    }

    fn cut(&self, frame: u64, error: &std::io::Error) -> CameraFault {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged(frame, "the file is cut off"),
            _ => self.damaged(frame, error.to_string()),
        }
    }
}

impl<R: Read + Send> FilmReader for Avi<R> {
    fn describe(&self) -> String {
        let ((num, den), (width, height)) = (self.rate, self.size);
        format!("{}: {width}x{height} MJPEG at {:.2} fps", self.what, f64::from(num) / f64::from(den))
    }

    fn rate(&self) -> (u32, u32) {
        self.rate
    }

    fn read(&mut self, seq: u64, skip: bool) -> Result<Option<Pixels>, CameraFault> {
        let Some(bytes) = self.next_video_chunk(seq)? else {
            return Err(CameraFault::Ended { what: self.what.clone() });
        };
        // An empty chunk repeats the frame before it.
        if skip || bytes.is_empty() {
            return Ok(None);
        }
        let picture = jpeg::decode(&bytes, MAX_FRAME_SIDE_PX, MAX_FRAME_PIXELS).map_err(|e| match e {
            JpegError::Damaged(detail) => self.damaged(seq, detail),
            JpegError::Unsupported(detail) | JpegError::TooLarge(detail) => CameraFault::Unsupported {
                what: self.what.clone(),
                detail: format!("a picture of it: {detail}"),
                advice: CONVERT.to_owned(),
            },
        })?;
        Ok(Some((picture.width, picture.height, picture.rgb)))
    }
}

fn is_chunk_name(id: &[u8; 4]) -> bool {
    id.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ')
}

/// Where a RIFF part ends. A writer that could not go back leaves 0 or all ones.
fn part_end(at: u64, size: u32) -> Option<u64> {
    (size != 0 && size != u32::MAX).then(|| at + u64::from(size))
}

/// What the `hdrl` list says about the first Motion-JPEG stream.
#[derive(Default)]
struct Headers {
    size: (u32, u32),
    video: Option<(u8, (u32, u32))>,
    streams: u8,
    /// Rate of the whole film, for streams that do not know theirs.
    main_rate: Option<(u32, u32)>,
    /// Rate of the video stream whose `strh` was read and whose `strf` was not yet.
    pending_rate: Option<(u32, u32)>,
}

impl Headers {
    /// Reads up to the start of the `movi` list.
    fn read<R: Read>(&mut self, input: &mut Counted<R>) -> std::io::Result<()> {
        loop {
            let chunk = input.chunk()?.ok_or(ErrorKind::UnexpectedEof)?;
            match &chunk.id {
                b"LIST" => match &input.read_array::<4>()? {
                    b"movi" => return Ok(()),
                    b"strl" if self.streams < MAX_STREAMS => self.streams += 1,
                    b"strl" => return Err(ErrorKind::InvalidData.into()),
                    _ => {}
                },
                b"avih" => {
                    let us = u32_at(&input.payload(chunk.size)?, 0).filter(|us| *us > 0);
                    self.main_rate = us.map(|us| (1_000_000, us));
                }
                b"strh" => self.stream_header(&input.payload(chunk.size)?),
                b"strf" => self.stream_format(&input.payload(chunk.size)?),
                _ => input.skip(chunk.size)?,
            }
        }
    }

    fn stream_header(&mut self, bytes: &[u8]) {
        let rate = match (u32_at(bytes, 24), u32_at(bytes, 20)) {
            (Some(rate @ 1..), Some(scale @ 1..)) => (rate, scale),
            _ => self.main_rate.unwrap_or(UNKNOWN_RATE),
        };
        self.pending_rate = bytes.starts_with(b"vids").then_some(rate);
    }

    fn stream_format(&mut self, bytes: &[u8]) {
        let codec = bytes.get(16..20).map(<[u8]>::to_ascii_uppercase);
        let Some(rate) = self.pending_rate.take() else { return };
        if matches!(codec.as_deref(), Some(b"MJPG" | b"JPEG")) && self.video.is_none() {
            self.size = (u32_at(bytes, 4).unwrap_or(0), u32_at(bytes, 8).unwrap_or(0));
            self.video = Some((self.streams.saturating_sub(1), rate));
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

struct Chunk {
    id: [u8; 4],
    size: u32,
}

/// A reader that knows how far it is.
#[derive(Debug)]
struct Counted<R> {
    input: R,
    at: u64,
}

impl<R: Read> Counted<R> {
    /// The next chunk header, or `None` exactly at the end of the input.
    fn chunk(&mut self) -> std::io::Result<Option<Chunk>> {
        let mut head = [0; 8];
        let mut have = 0;
        while let Some(rest) = head.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => have += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.at += 8;
        let [a, b, c, d, s0, s1, s2, s3] = head;
        Ok(Some(Chunk { id: [a, b, c, d], size: u32::from_le_bytes([s0, s1, s2, s3]) }))
    }

    fn read_array<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut out = [0; N];
        self.input.read_exact(&mut out)?;
        self.at += out.len() as u64;
        Ok(out)
    }

    /// A chunk's content. Its size is a claim, so memory grows only with bytes that are really there.
    fn payload(&mut self, size: u32) -> std::io::Result<Vec<u8>> {
        if size > MAX_CHUNK_BYTES {
            return Err(std::io::Error::new(ErrorKind::InvalidData, format!("a chunk claims {size} bytes")));
        }
        let mut out = Vec::new();
        (&mut self.input).take(u64::from(size)).read_to_end(&mut out)?;
        if out.len() as u64 != u64::from(size) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.at += u64::from(size);
        self.padding(size)?;
        Ok(out)
    }

    fn skip(&mut self, size: u32) -> std::io::Result<()> {
        let skipped = std::io::copy(&mut (&mut self.input).take(u64::from(size)), &mut std::io::sink())?;
        if skipped != u64::from(size) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.at += skipped;
        self.padding(size)
    }

    /// Chunks are padded to even sizes; the very last one may lack it.
    fn padding(&mut self, size: u32) -> std::io::Result<()> {
        if size % 2 == 1 {
            self.at += std::io::copy(&mut (&mut self.input).take(1), &mut std::io::sink())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::jpeg::tests::gradient;

    fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut out = id.to_vec();
        out.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        out.extend_from_slice(body);
        if body.len() % 2 == 1 {
            out.push(0);
        }
        out
    }

    fn list(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
        chunk(b"LIST", &[kind.to_vec(), parts.concat()].concat())
    }

    fn film(codec: &[u8; 4], frames: u16) -> Vec<u8> {
        film_of(codec, b"01dc", 30_000, &(0..frames).map(|i| gradient(32 + i, 16)).collect::<Vec<_>>())
    }

    fn film_of(codec: &[u8; 4], name: &[u8; 4], rate: u32, pictures: &[Vec<u8>]) -> Vec<u8> {
        let mut strh = b"vidsMJPG".to_vec();
        strh.resize(20, 0);
        strh.extend_from_slice(&1001_u32.to_le_bytes());
        strh.extend_from_slice(&rate.to_le_bytes());
        let mut strf = 40_u32.to_le_bytes().to_vec();
        strf.extend_from_slice(&[32, 0, 0, 0, 16, 0, 0, 0, 1, 0, 24, 0]);
        strf.extend_from_slice(codec);
        let audio = list(b"strl", &[chunk(b"strh", b"auds"), chunk(b"strf", &[0; 16])]);
        let video = list(b"strl", &[chunk(b"strh", &strh), chunk(b"strf", &strf)]);
        let header = list(b"hdrl", &[chunk(b"avih", &[0; 56]), audio, video]);
        let frames: Vec<_> =
            pictures.iter().flat_map(|jpeg| [chunk(b"00wb", b"sound"), chunk(name, jpeg)]).collect();
        let body = [b"AVI ".to_vec(), header, list(b"movi", &frames), chunk(b"idx1", &[0; 16])].concat();
        chunk(b"RIFF", &body)
    }

    fn play(bytes: &[u8]) -> (u64, CameraFault) {
        let mut avi = match Avi::from_reader(bytes, "film.avi".to_owned()) {
            Ok(avi) => avi,
            Err(fault) => return (0, fault),
        };
        for seq in 0.. {
            if let Err(fault) = avi.read(seq, false) {
                return (seq, fault);
            }
        }
        unreachable!()
    }

    #[test]
    fn a_whole_film_plays_to_its_end() {
        let bytes = film(b"MJPG", 5);
        assert!(matches!(play(&bytes), (5, CameraFault::Ended { .. })));
        let avi = Avi::from_reader(&bytes[..], "x".to_owned()).unwrap();
        assert_eq!((avi.rate(), avi.size, &avi.stream), ((30_000, 1001), (32, 16), b"01"));
    }

    #[test]
    fn pictures_are_known_by_both_of_their_names() {
        let pictures = [gradient(32, 16), gradient(33, 16)];
        for name in [b"01dc", b"01db"] {
            let (frames, fault) = play(&film_of(b"MJPG", name, 30_000, &pictures));
            assert!(matches!((frames, &fault), (2, CameraFault::Ended { .. })), "{frames} {fault}");
        }
    }

    #[test]
    fn what_lies_behind_a_film_does_not_damage_it() {
        let whole = film(b"MJPG", 3);
        for tail in
            [&[0_u8; 3][..], &[0; 7], &[0; 8], &[0; 4096], b"abc", b"\xffGARBAGE and more", b"JUNK\xff\0\0\0"]
        {
            let (frames, fault) = play(&[&whole[..], tail].concat());
            let ended = matches!(fault, CameraFault::Ended { .. });
            assert!(frames == 3 && ended, "{} bytes behind it: {frames} {fault}", tail.len());
        }
    }

    #[test]
    fn a_wrong_size_of_the_whole_loses_no_picture_and_damages_nothing() {
        let whole = film(b"MJPG", 3);
        for size in [0, 100, u32::try_from(whole.len()).unwrap() + 50, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[4..8].copy_from_slice(&size.to_le_bytes());
            let (frames, fault) = play(&bytes);
            assert!(frames == 3 && matches!(fault, CameraFault::Ended { .. }), "{size}: {frames} {fault}");
        }
    }

    #[test]
    fn a_stream_that_does_not_know_its_rate_plays_all_the_same() {
        let mut bytes = film_of(b"MJPG", b"01dc", 0, &[gradient(32, 16)]);
        assert_eq!(Avi::from_reader(&bytes[..], "x".to_owned()).unwrap().rate(), UNKNOWN_RATE);
        let avih = bytes.windows(4).position(|w| w == b"avih").unwrap() + 8;
        bytes[avih..avih + 4].copy_from_slice(&100_000_u32.to_le_bytes());
        assert_eq!(Avi::from_reader(&bytes[..], "x".to_owned()).unwrap().rate(), (1_000_000, 100_000));
    }

    #[test]
    fn a_picture_of_a_kind_that_is_not_read_is_not_called_damaged() {
        let mut jpeg = gradient(32, 16);
        let frame = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 4] = 12;
        let fault = play(&film_of(b"MJPG", b"01dc", 30_000, &[jpeg])).1;
        assert!(matches!(fault, CameraFault::Unsupported { .. }) && fault.to_string().contains("12 bits"));
    }

    #[test]
    fn every_cut_gives_the_frames_before_it_and_then_damaged() {
        let bytes = film(b"MJPG", 4);
        let mut counts = Vec::new();
        for len in 0..bytes.len() {
            match play(&bytes[..len]) {
                (frames, CameraFault::Damaged { frame, .. }) => {
                    assert_eq!(frames, frame);
                    counts.push(frames);
                }
                (0, CameraFault::Unsupported { .. }) => {}
                other => panic!("cut at {len}: {other:?}"),
            }
        }
        assert!(counts.is_sorted() && counts.first() == Some(&0) && counts.last() == Some(&4));
    }

    #[test]
    fn other_codecs_and_files_are_refused_with_the_command_to_convert() {
        for bytes in [film(b"H264", 1), b"RIFF\0\0\0\0WAVE".to_vec(), b"text".to_vec()] {
            let fault = play(&bytes).1;
            assert!(fault.to_string().contains("ffmpeg -i IN"), "{fault}");
        }
    }

    #[test]
    fn a_chunk_that_claims_gigabytes_takes_no_memory() {
        let mut bytes = film(b"MJPG", 1);
        let at = bytes.windows(4).position(|w| w == b"01dc").unwrap();
        bytes[at + 4..at + 8].copy_from_slice(&0x7FFF_FFFF_u32.to_le_bytes());
        assert!(matches!(play(&bytes), (0, CameraFault::Damaged { .. })));
    }
}
