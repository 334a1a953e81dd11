//! How long a peer may take, and how much may wait behind a cover.

use std::time::Duration;

/// From the accepted socket to TLS on both legs, without anybody who has to read or click.
pub const NEGOTIATE_MAX: Duration = Duration::from_secs(10);
/// CredSSP with the client, which may ask a person about the certificate in between.
pub const NLA_MAX: Duration = Duration::from_secs(60);
/// From there to the session: some clients ask a person about the certificate in between.
pub const CONNECT_MAX: Duration = Duration::from_secs(120);
/// From the session's begin to the host's first announcement of a screen.
pub const SCREEN_MAX_MS: u64 = 60_000;
/// A peer that takes nothing for so long has stopped reading. A client that stands still for less is covered by
/// the end of its lease; a host has more time, because programs of its session may keep it busy.
pub const CLIENT_STALL_MAX_MS: u64 = 5_000;
/// The same for the host.
pub const HOST_STALL_MAX_MS: u64 = 15_000;
/// A client that cannot be led to its host is told why for so long.
pub const TOLD_MAX_MS: u64 = 300_000;
/// The last words to both sides.
pub const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// The guard is asked at least so often.
pub const TICK: Duration = Duration::from_millis(50);
/// The same while nothing can become due: two hundred clients without the extension took a core between them.
pub const IDLE_TICK: Duration = Duration::from_millis(500);
/// When it was not asked for this long, the machine slept: it is asked again before another pixel.
pub const ASK_AGAIN_MS: u64 = 250;

/// One picture, from the start of the program that decodes it. With the time of its recording it must arrive before
/// the guard stops waiting (5 s).
pub const PICTURE_MAX: Duration = Duration::from_secs(4);
/// What that program may say.
pub const PICTURE_SAYS_BYTES: u64 = 512;
/// Pictures that are decoded at once.
pub const PICTURES_MAX: usize = sudare_relay::limits::RECORDINGS_MAX;

/// Messages are pulled until a block has this many bytes; black waits behind one block.
pub const BLOCK_BYTES: usize = 16 * 1024;
/// TLS keeps this much unsent.
pub const TLS_BUFFER_BYTES: usize = 16 * 1024;
/// The kernel keeps about this much unsent. What it has sent and not been told of does not count, so long routes
/// are not slowed down.
pub const UNSENT_BYTES: u32 = 16 * 1024;
/// Read at once below TLS, which takes 4 KiB at a time itself: a whole record and its frame in one system call.
pub const TLS_READ_BYTES: usize = 17 * 1024;
/// One read: the size of a TLS record.
pub const READ_BYTES: usize = 16 * 1024;
/// A certificate chain, or a key.
pub const PEM_MAX_BYTES: u64 = 64 * 1024;
/// Connections that the kernel keeps while nobody accepts them.
pub const BACKLOG: u32 = 64;

const _: () =
    assert!(sudare_relay::limits::RECORDING_WAIT_MS < 1_000, "what is left of the guard's five seconds");
const _: () = assert!(READ_BYTES <= sudare_relay::limits::READ_MAX_BYTES, "frames take a whole read");
const _: () = assert!(ASK_AGAIN_MS > 2 * 50, "two ticks may be late without a question between");
