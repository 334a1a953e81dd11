//! The C library's functions that are stood in for, and the only foreign calls of this package.
//!
//! A caller knows `open` and `syscall` as variadic. Here they take all arguments they may have: on x86-64 and
//! AArch64 Linux both kinds put whole numbers into the same places, and one that was not given is not looked at.

#![allow(
    unsafe_code,
    reason = "functions of the C library are stood in for; each block says why it is right"
)]

use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::abi;
use crate::camera::{Camera, Effects, Moment, Timer};
use crate::pictures::Pictures;
use crate::plan::{Outage, Plan, When};

/// Its node, the node's name and the file with the camera's name, at first and when it has another number.
const NODES: [(&CStr, &[u8], &CStr); 2] = [
    (c"/dev/video77", b"video77", c"/sys/class/video4linux/video77/name"),
    (c"/dev/video78", b"video78", c"/sys/class/video4linux/video78/name"),
];
const DEV: &CStr = c"/dev";
const NAME: &[u8] = b"Emulated camera\n";

/// The camera and the memory of its buffers.
struct Device {
    camera: Camera,
    outage_file: Option<PathBuf>,
    memory: Option<File>,
}

/// Descriptors of the camera. Looked at by every `close` and `ioctl` of the program, so it needs no lock: a lock
/// would be taken again by what is done while it is held.
static DESCRIPTORS: [AtomicI32; 16] = [const { AtomicI32::new(-1) }; 16];
/// The listing of /dev under way, and whether the camera was put into it.
static LISTING: AtomicPtr<libc::DIR> = AtomicPtr::new(std::ptr::null_mut());
static IS_LISTED: AtomicBool = AtomicBool::new(true);

/// The next definition of a function: the C library's.
struct Next {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static CStr) -> Self {
        Self { name, found: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// Two threads may look it up at once and find the same; `OnceLock` would call `syscall` to wait.
    fn get(&self) -> *mut c_void {
        let found = self.found.load(Ordering::Relaxed);
        if !found.is_null() {
            return found;
        }
        // SAFETY: the name is a C string, and RTLD_NEXT is right in a preloaded library.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // Without the C library's own function nothing can go on.
            std::process::abort();
        }
        self.found.store(found, Ordering::Relaxed);
        found
    }
}

type Open = unsafe extern "C" fn(*const c_char, c_int, libc::mode_t) -> c_int;
type OpenAt = unsafe extern "C" fn(c_int, *const c_char, c_int, libc::mode_t) -> c_int;
type Close = unsafe extern "C" fn(c_int) -> c_int;
type Ioctl = unsafe extern "C" fn(c_int, c_ulong, *mut c_void) -> c_int;
type Syscall = unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;
type Mmap = unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, libc::off_t) -> *mut c_void;
type OpenDir = unsafe extern "C" fn(*const c_char) -> *mut libc::DIR;
type ReadDir = unsafe extern "C" fn(*mut libc::DIR) -> *mut libc::dirent64;

/// The C library's function of this name, which must have this type.
macro_rules! next {
    ($name:literal as $kind:ty) => {{
        static NEXT: Next = Next::new($name);
        std::mem::transmute::<*mut c_void, $kind>(NEXT.get())
    }};
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller gave what `open` asks for.
    unsafe { open_emulated(path).unwrap_or_else(|| next!(c"open" as Open)(path, flags, mode)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: as for `open`.
    unsafe { open_emulated(path).unwrap_or_else(|| next!(c"open64" as Open)(path, flags, mode)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: as for `open`.
    unsafe { open_emulated(path).unwrap_or_else(|| next!(c"openat" as OpenAt)(dir, path, flags, mode)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(descriptor: c_int) -> c_int {
    if let Some(slot) = slot_of(descriptor) {
        slot.store(-1, Ordering::SeqCst);
        device().camera.close(descriptor);
    }
    // SAFETY: the caller gives the descriptor up.
    unsafe { next!(c"close" as Close)(descriptor) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(descriptor: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    if slot_of(descriptor).is_some() {
        // SAFETY: a caller that talks to a video device gives an argument of the size in the request.
        return unsafe { ioctl_emulated(descriptor, request, argument) };
    }
    // SAFETY: the caller gave what its device asks for.
    unsafe { next!(c"ioctl" as Ioctl)(descriptor, request, argument) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    if number == libc::SYS_ioctl
        && let Ok(descriptor) = c_int::try_from(a & 0xFFFF_FFFF)
        && slot_of(descriptor).is_some()
    {
        // SAFETY: as for `ioctl`; the third argument of that call is a pointer.
        let done = unsafe { ioctl_emulated(descriptor, b.cast_unsigned(), c as *mut c_void) };
        return c_long::from(done);
    }
    // SAFETY: handed on as it came.
    unsafe { next!(c"syscall" as Syscall)(number, a, b, c, d, e, f) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    at: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    descriptor: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    let memory = slot_of(descriptor).and_then(|_| device().memory.as_ref().map(File::as_raw_fd));
    // SAFETY: the caller's own mapping; only the descriptor may be another.
    unsafe { next!(c"mmap" as Mmap)(at, length, protection, flags, memory.unwrap_or(descriptor), offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn opendir(path: *const c_char) -> *mut libc::DIR {
    // SAFETY: the caller gave what `opendir` asks for.
    let dir = unsafe { next!(c"opendir" as OpenDir)(path) };
    // SAFETY: a path is a C string.
    if !dir.is_null() && unsafe { CStr::from_ptr(path) } == DEV {
        IS_LISTED.store(!device().camera.is_there(now_ms()), Ordering::SeqCst);
        LISTING.store(dir, Ordering::SeqCst);
    }
    dir
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readdir64(dir: *mut libc::DIR) -> *mut libc::dirent64 {
    if dir == LISTING.load(Ordering::SeqCst) && !IS_LISTED.swap(true, Ordering::SeqCst) {
        static ENTRIES: [OnceLock<Entry>; 2] = [const { OnceLock::new() }; 2];
        let number = usize::from(device().camera.is_renumbered(now_ms()));
        return std::ptr::from_ref(&ENTRIES[number].get_or_init(|| Entry::new(NODES[number].1)).0).cast_mut();
    }
    // SAFETY: handed on as it came.
    unsafe { next!(c"readdir64" as ReadDir)(dir) }
}

/// The camera's line in /dev. Readers look at it and never write.
struct Entry(libc::dirent64);

impl Entry {
    fn new(name: &[u8]) -> Self {
        // SAFETY: all zeroes are a valid entry without a name.
        let mut entry: libc::dirent64 = unsafe { std::mem::zeroed() };
        entry.d_ino = 77;
        entry.d_type = libc::DT_CHR;
        entry.d_reclen = u16::try_from(size_of::<libc::dirent64>()).unwrap_or(0);
        for (place, byte) in entry.d_name.iter_mut().zip(name) {
            *place = byte.cast_signed();
        }
        Self(entry)
    }
}

/// # Safety
/// `path` is a C string or null.
unsafe fn open_emulated(path: *const c_char) -> Option<c_int> {
    // SAFETY: promised by the caller.
    let path = if path.is_null() { return None } else { unsafe { CStr::from_ptr(path) } };
    let number = NODES.iter().position(|(node, _, name_file)| path == *node || path == *name_file)?;
    let is_now = device().camera.is_renumbered(now_ms()) == (number == 1);
    if path == NODES[number].2 {
        return (is_now && device().camera.is_there(now_ms())).then(|| file_of(NAME)).flatten();
    }
    if !is_now {
        return Some(fail(abi::ENOENT));
    }
    // SAFETY: no pointers are handed over.
    let descriptor =
        unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
    let free = DESCRIPTORS.iter().find(|slot| slot.load(Ordering::SeqCst) == -1);
    let opened = match free {
        Some(slot) if descriptor >= 0 => device().camera.open(descriptor, now_ms()).map(|()| slot),
        _ => Err(abi::EBUSY),
    };
    match opened {
        Ok(slot) => {
            slot.store(descriptor, Ordering::SeqCst);
            Some(descriptor)
        }
        Err(errno) => {
            // SAFETY: the descriptor was made here and nobody else knows it.
            unsafe { close(descriptor) };
            Some(fail(errno))
        }
    }
}

/// # Safety
/// `argument` points to as many bytes as the request's number says.
unsafe fn ioctl_emulated(descriptor: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    let request = u32::try_from(request & 0xFFFF_FFFF).unwrap_or(0);
    let mut ticks = 0_u64;
    if request == abi::DQBUF {
        // SAFETY: a timerfd gives eight bytes, which fit; with nothing to tell it leaves them at 0.
        unsafe { libc::read(descriptor, (&raw mut ticks).cast(), 8) };
    }
    // SAFETY: promised by the caller, and a reader of the device does not touch it meanwhile.
    let argument =
        unsafe { std::slice::from_raw_parts_mut(argument.cast::<u8>(), abi::argument_bytes(request)) };
    let mut device = device();
    let moment = Moment { now_ms: now_ms(), ticks };
    let done = device.camera.ioctl(descriptor, request, argument, moment);
    match done.and_then(|effects| device.apply(descriptor, effects)) {
        Ok(()) => 0,
        Err(errno) => fail(errno),
    }
}

impl Device {
    fn load() -> Result<Self, String> {
        let plan = Plan::read(|name| std::env::var(name).ok())?;
        let pictures = plan.pictures.as_deref().map_or(Ok(Pictures::default()), Pictures::load)?;
        let camera = Camera::new(&plan, pictures).ok_or("no format")?;
        let outage_file = match plan.outage {
            Some(Outage { when: When::While(file), .. }) => Some(file),
            _ => None,
        };
        Ok(Self { camera, outage_file, memory: None })
    }

    fn apply(&mut self, descriptor: c_int, effects: Effects) -> Result<(), abi::Errno> {
        let failed = |_: std::io::Error| abi::EIO;
        if let Some(bytes) = effects.allocate_bytes {
            let memory = memory_file().ok_or(abi::EIO)?;
            memory.set_len(bytes).map_err(failed)?;
            self.memory = Some(memory);
        }
        if let (Some((offset, bytes)), Some(memory)) = (effects.fill, &self.memory) {
            memory.write_all_at(&bytes, offset).map_err(failed)?;
        }
        if let Some(timer) = effects.timer {
            set_timer(descriptor, timer);
        }
        Ok(())
    }
}

fn device() -> MutexGuard<'static, Device> {
    static DEVICE: OnceLock<Mutex<Device>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| match Device::load() {
        Ok(device) => Mutex::new(device),
        Err(error) => {
            // A test that is not told would look for the mistake in the program under test.
            let said = writeln!(std::io::stderr(), "sudare-v4l2-shim: {error}");
            std::process::exit(if said.is_ok() { 99 } else { 98 });
        }
    });
    let mut device = device.lock().unwrap_or_else(PoisonError::into_inner);
    let outage_file = device.outage_file.as_ref().is_some_and(|file| file.exists());
    device.camera.note_outage_file(outage_file);
    device
}

fn set_timer(descriptor: c_int, timer: Timer) {
    let span = |ns: u64| libc::timespec {
        tv_sec: libc::time_t::try_from(ns / 1_000_000_000).unwrap_or(0),
        tv_nsec: c_long::try_from(ns % 1_000_000_000).unwrap_or(0),
    };
    let (first_ns, then_ns) = match timer {
        Timer::Never => (0, 0),
        Timer::Every { first_ns, then_ns } => (first_ns, then_ns),
    };
    let setting = libc::itimerspec { it_interval: span(then_ns), it_value: span(first_ns) };
    // SAFETY: both structures live until the call returns; the old setting is not asked for.
    unsafe { libc::timerfd_settime(descriptor, 0, &raw const setting, std::ptr::null_mut()) };
}

fn memory_file() -> Option<File> {
    // SAFETY: the name is a C string; the descriptor is new and owned by nobody else.
    let descriptor = unsafe { libc::memfd_create(c"sudare-shim".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: see above.
    (descriptor >= 0).then(|| unsafe { File::from_raw_fd(descriptor) })
}

/// A file with this text, given away as a descriptor.
fn file_of(text: &[u8]) -> Option<c_int> {
    let mut file = memory_file()?;
    file.write_all(text).ok()?;
    file.rewind().ok()?;
    Some(std::os::fd::IntoRawFd::into_raw_fd(file))
}

fn slot_of(descriptor: c_int) -> Option<&'static AtomicI32> {
    DESCRIPTORS.iter().find(|slot| descriptor >= 0 && slot.load(Ordering::SeqCst) == descriptor)
}

fn now_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure lives until the call returns.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

fn fail(errno: abi::Errno) -> c_int {
    // SAFETY: the C library gives each thread a place for it.
    unsafe { *libc::__errno_location() = errno.0 };
    -1
}
