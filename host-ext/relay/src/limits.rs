//! Every bound that a peer of the gate can run into, with the relations between them asserted at compile time.
//!
//! One connection is one process of about 12 MiB, so that 200 of them fit on a small machine. What is held
//! during a cover is the only part that a peer can make large.

use sudare_protocol::screen::CHANNEL_WRITE_MAX_BYTES;

/// The length of a TPKT has 16 bits, that of a fast-path frame 15.
pub const FRAME_MAX_BYTES: usize = 65_535;
/// Bytes that may be read from a socket at once, behind a frame that is not complete yet.
pub const READ_MAX_BYTES: usize = 64 * 1024;
/// While more than this waits for a writer, its other side should not be read.
pub const WAITING_BYTES: usize = 256 * 1024;
/// What waits all the same: one read may hold many frames, one frame may become several units, and fragments become one.
pub const WAITING_MAX_BYTES: usize = FRAGMENTS_MAX_BYTES + WAITING_TO_HOST_MAX_BYTES;
/// The same towards the host, where nothing is joined.
pub const WAITING_TO_HOST_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Pixels, pointers and channels held during one cover. A host is asked to draw nothing meanwhile, but what is on its way
/// comes: two pictures of 3840x2160 pixels that nothing compresses, such as noise or a film, have 66 MB.
pub const HELD_MAX_BYTES: usize = 64 * 1024 * 1024;
/// What the client says meanwhile on channels that wait: answers to what it was asked before.
pub const HELD_TO_HOST_MAX_BYTES: usize = 1024 * 1024;
/// One fast-path update whose fragments are still coming ([MS-RDPBCGR] 2.2.9.1.2.1). Weston sends its first picture so,
/// uncompressed; one of 3840x2160 pixels has 33 MB.
pub const FRAGMENTS_MAX_BYTES: usize = 32 * 1024 * 1024;
/// One message of drdynvc: a PDU of [MS-RDPEDYC] has at most 1,600 bytes, some hosts send more.
pub const DYNAMIC_PDU_MAX_BYTES: usize = 64 * 1024;
/// Dynamic channels open at once.
pub const DYNAMIC_CHANNELS_MAX: usize = 256;
/// A dynamic channel's name ([MS-RDPEDYC] 2.2.2.1 sets no bound; those known have at most 44 characters).
pub const DYNAMIC_NAME_MAX_BYTES: usize = 256;
/// Static channels in CS_NET ([MS-RDPBCGR] 2.2.1.3.4).
pub const STATIC_CHANNELS_MAX: usize = 31;
/// PDUs in one frame of the share, and updates in one fast-path frame.
pub const PDUS_PER_FRAME_MAX: usize = 1_024;
/// One message of the graphics pipeline, and what it is once decompressed. A key frame of a large screen has a few MB.
pub const GRAPHICS_MESSAGE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The same of the client, whose longest is an offer of 5,462 cached bitmaps ([MS-RDPEGFX] 2.2.2.16).
pub const GRAPHICS_ANSWER_MAX_BYTES: usize = 128 * 1024;
/// PDUs of the graphics pipeline in one message.
pub const GRAPHICS_PDUS_MAX: usize = 16 * 1024;
/// PDUs that were sent together go on together up to this size, so that black never waits for more than one PDU.
pub const GRAPHICS_BATCH_BYTES: usize = 16 * 1024;
/// Surfaces of the host: a monitor has one, a window of a remote program as well.
pub const GRAPHICS_SURFACES_MAX: usize = 64;
/// Frames that a client has not acknowledged: some never do, and none lags by seconds.
pub const GRAPHICS_FRAMES_MAX: usize = 1_024;
/// Keys and characters that may be down at once; a keyboard has about 110.
pub const KEYS_DOWN_MAX: usize = 256;
/// Bandwidth is measured with random bytes ([MS-RDPBCGR] 2.2.14), which need not be more than this at a time.
pub const AUTODETECT_MAX_BYTES: usize = 16 * 1024;
/// Data in one chunk of a static channel ([MS-RDPBCGR] 2.2.7.1.10), and one PDU of drdynvc.
pub const CHUNK_BYTES: usize = 1_600;
/// One frame with tiles of ours; more is split ([MS-RDPBCGR] 2.2.9.1.2: clients take at least this).
pub const PAINT_FRAME_MAX_BYTES: usize = 0x3FFF;
/// Tiles of words and light that wait at once: the panel of a large screen in 16 bits a pixel, uncompressed.
pub const PAINT_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What is kept of the host's updates for one screenshot, and for all that are being recorded at once.
pub const RECORDING_MAX_BYTES: usize = 8 * 1024 * 1024;
/// With more than this held by a cover, screenshots are given up: what is held must not end the connection for them.
pub const RECORDING_HELD_MAX_BYTES: usize = HELD_MAX_BYTES / 2;
/// Updates in one; a large screen of small bitmaps has some thousands.
pub const RECORDING_PIECES_MAX: usize = 32 * 1024;
/// Screenshots that are being recorded at once: one of a suspicion, one of the cover that follows it.
pub const RECORDINGS_MAX: usize = 4;
/// Parts of a screen that are not drawn again yet. Bands and tiles leave some dozens.
pub const RECORDING_GAPS_MAX: usize = 4 * 1024;
/// Pixels of a screen that a screenshot is taken of: 128 MiB where it is decoded.
pub const SCREEN_PIXELS_MAX: u32 = 8_192 * 4_096;
/// Pixels on one side of a screen ([MS-RDPBCGR] 2.2.1.3.2: 8,192 with what Windows supports).
pub const SCREEN_SIDE_MAX: u16 = 8_192;

/// A screen that the host has not drawn again by then gets no screenshot. xrdp takes 70 ms.
pub const RECORDING_WAIT_MS: u64 = 700;
/// A host that has not begun drdynvc by then gets the gate's own beginning.
pub const HOST_CAPS_WAIT_MS: u64 = 2_000;
/// After a client has closed `SUDARE`, and how often it is opened again.
pub const REOPEN_AFTER_MS: u64 = 1_000;
pub const REOPEN_MAX: u32 = 100;
/// A host that draws under a cover is told not to again, and no more often: xrdp forgets it when it attaches a desktop.
pub const SUPPRESS_AGAIN_MS: u64 = 250;
/// A repaint that has been asked for and has not begun by then is told.
pub const REPAINT_WAIT_MS: u64 = 1_000;

const _: () = assert!(READ_MAX_BYTES >= FRAME_MAX_BYTES, "a whole frame can be read at once");
const _: () = assert!(WAITING_BYTES >= 2 * FRAME_MAX_BYTES);
// What waits may have to be held.
const _: () = assert!(WAITING_MAX_BYTES <= HELD_MAX_BYTES);
const _: () = assert!(CHANNEL_WRITE_MAX_BYTES < WAITING_MAX_BYTES);
// One more unit must fit behind what a screenshot has let in.
const _: () = assert!(RECORDING_HELD_MAX_BYTES + FRAGMENTS_MAX_BYTES <= HELD_MAX_BYTES);
const _: () = assert!(DYNAMIC_PDU_MAX_BYTES >= CHUNK_BYTES);
