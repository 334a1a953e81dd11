//! FreeRDP's C interface of dynamic channels: its types, our entries, and every unsafe block.
//!
//! One binary serves FreeRDP 2 and 3: structs that we pass have the size of 3.x, and of structs that we receive we read
//! only the part common to both (`IDRDYNVC_ENTRY_POINTS` ends after four functions in 2.x; the fifth is never touched).
//! layout_tests.rs compares the types with Debian's `freerdp/dvc.h`.
//!
//! Threads and lifetimes (tested with FreeRDP 2.11 and 3.15, and read in both):
//! * Entry, Initialize and Terminated run on the connection's thread, everything about channels on
//!   one channel thread. Terminated comes after the last OnClose.
//! * `Write` copies and queues, from any thread. An empty `Write` closes the channel and runs OnClose inside. The
//!   channel dies when OnClose returns.
//! * FreeRDP 2 looks a channel up and then uses it without a lock, so closing one while the channel
//!   thread works on it would free it there. Therefore only the channel thread closes, from inside
//!   a callback of *another* channel (`Shared::sweep`); until then a doomed channel neither sends nor receives.

#![allow(unsafe_code, reason = "C calls and C memory; each block says why it is right")]
#![allow(non_snake_case, reason = "the names are FreeRDP's")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sudare_protocol::screen::CHANNEL_NAME;

use crate::certificate::Acceptance;
use crate::gate::Gate;

type Uint = u32;
type Bool = c_int;

/// CHANNEL_RC_OK. Nothing else is ever returned.
const OK: Uint = 0;
/// The name under which FreeRDP knows the plugin; it keeps the pointer.
const PLUGIN_NAME: &CStr = c"sudare";
/// More than any command line has; a larger count is rejected.
const ARGUMENTS_MAX: usize = 64;
/// Channels open at once. The host needs one, and a few while it reconnects.
const CHANNELS_MAX: usize = 32;

#[repr(C)]
pub(crate) struct EntryPoints {
    pub(crate) RegisterPlugin:
        Option<unsafe extern "C" fn(*mut EntryPoints, *const c_char, *mut Plugin) -> Uint>,
    pub(crate) GetPlugin: Option<unsafe extern "C" fn(*mut EntryPoints, *const c_char) -> *mut Plugin>,
    pub(crate) GetPluginData: Option<unsafe extern "C" fn(*mut EntryPoints) -> *mut AddinArgv>,
    pub(crate) GetRdpSettings: Option<unsafe extern "C" fn(*mut EntryPoints) -> *mut c_void>,
}

#[repr(C)]
pub(crate) struct AddinArgv {
    pub(crate) argc: c_int,
    pub(crate) argv: *mut *mut c_char,
}

#[repr(C)]
pub(crate) struct Plugin {
    pub(crate) Initialize: Option<unsafe extern "C" fn(*mut Plugin, *mut Manager) -> Uint>,
    pub(crate) Connected: Option<unsafe extern "C" fn(*mut Plugin) -> Uint>,
    pub(crate) Disconnected: Option<unsafe extern "C" fn(*mut Plugin, u32) -> Uint>,
    pub(crate) Terminated: Option<unsafe extern "C" fn(*mut Plugin) -> Uint>,
    pub(crate) Attached: Option<unsafe extern "C" fn(*mut Plugin) -> Uint>,
    pub(crate) Detached: Option<unsafe extern "C" fn(*mut Plugin) -> Uint>,
    pub(crate) pInterface: *mut c_void,
}

#[repr(C)]
pub(crate) struct Manager {
    pub(crate) CreateListener: Option<
        unsafe extern "C" fn(
            *mut Manager,
            *const c_char,
            u32,
            *mut ListenerCallback,
            *mut *mut Listener,
        ) -> Uint,
    >,
    pub(crate) GetChannelId: Option<unsafe extern "C" fn(*mut VirtualChannel) -> u32>,
    pub(crate) FindChannelById: Option<unsafe extern "C" fn(*mut Manager, u32) -> *mut VirtualChannel>,
    pub(crate) GetChannelName: Option<unsafe extern "C" fn(*mut VirtualChannel) -> *const c_char>,
    pub(crate) DestroyListener: Option<unsafe extern "C" fn(*mut Manager, *mut Listener) -> Uint>,
}

#[repr(C)]
pub(crate) struct Listener {
    pub(crate) GetConfiguration: Option<unsafe extern "C" fn(*mut Listener, *mut *mut c_void) -> Uint>,
    pub(crate) pInterface: *mut c_void,
}

#[repr(C)]
pub(crate) struct VirtualChannel {
    pub(crate) Write: Option<unsafe extern "C" fn(*mut VirtualChannel, u32, *const u8, *mut c_void) -> Uint>,
    pub(crate) Close: Option<unsafe extern "C" fn(*mut VirtualChannel) -> Uint>,
}

/// 3.x has the last field, 2.x does not look there.
#[repr(C)]
pub(crate) struct ListenerCallback {
    pub(crate) OnNewChannelConnection: Option<
        unsafe extern "C" fn(
            *mut ListenerCallback,
            *mut VirtualChannel,
            *mut u8,
            *mut Bool,
            *mut *mut ChannelCallback,
        ) -> Uint,
    >,
    pub(crate) pInterface: *mut c_void,
}

/// 3.x has the last field, 2.x does not look there.
#[repr(C)]
pub(crate) struct ChannelCallback {
    pub(crate) OnDataReceived: Option<unsafe extern "C" fn(*mut ChannelCallback, *mut Stream) -> Uint>,
    pub(crate) OnOpen: Option<unsafe extern "C" fn(*mut ChannelCallback) -> Uint>,
    pub(crate) OnClose: Option<unsafe extern "C" fn(*mut ChannelCallback) -> Uint>,
    pub(crate) pInterface: *mut c_void,
}

/// The beginning of WinPR's `wStream`; the rest differs and is not read.
#[repr(C)]
pub(crate) struct Stream {
    pub(crate) buffer: *mut u8,
    pub(crate) pointer: *mut u8,
    pub(crate) length: usize,
    pub(crate) capacity: usize,
}

/// The plugin behind the C entries.
pub(crate) trait Extension: Send + Sync {
    /// A channel was opened. `None` refuses it.
    fn opened(&self, channel: Channel) -> Option<Box<dyn ChannelEvents>>;
    /// The connection is over (another may begin in the same process).
    fn terminated(&self);
}

/// Receives the data of one channel. Dropped when the channel is closed.
pub(crate) trait ChannelEvents: Send {
    fn data(&mut self, bytes: &[u8]);
}

/// What FreeRDP passed to the entry.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    /// The arguments after the name in `/dvc:sudare,…`.
    pub(crate) arguments: Vec<String>,
    pub(crate) acceptance: Acceptance,
}

/// Our end of one channel, for any thread.
#[derive(Debug, Clone)]
pub(crate) struct Channel(Arc<Open>);

#[derive(Debug)]
struct Open {
    gate: Gate<ChannelPointer>,
    doomed: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct ChannelPointer(*mut VirtualChannel);
// SAFETY: FreeRDP allows `Write` from any thread, and `Gate` prevents any use after its end.
unsafe impl Send for ChannelPointer {}

impl Channel {
    /// Writes one message. FreeRDP copies and queues it. Returns false if the channel is closed.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        // An empty write would close it.
        !bytes.is_empty() && !self.0.doomed.load(Ordering::Acquire) && self.0.write(bytes)
    }

    /// Stops sending and receiving; the channel is closed as soon as that is safe.
    pub(crate) fn close(&self) {
        self.0.doomed.store(true, Ordering::Release);
    }

    pub(crate) fn is_doomed(&self) -> bool {
        self.0.doomed.load(Ordering::Acquire)
    }
}

impl Open {
    fn write(&self, bytes: &[u8]) -> bool {
        let Ok(length) = u32::try_from(bytes.len()) else { return false };
        let written = self.gate.with(|channel| {
            // SAFETY: inside the gate the channel is alive, and both of its functions are set for
            // as long as it lives. The bytes are copied before the call returns.
            unsafe {
                (*channel.0).Write.map(|write| write(channel.0, length, bytes.as_ptr(), ptr::null_mut()))
            }
        });
        written.flatten() == Some(OK)
    }
}

/// What the entries of one connection share.
struct Shared {
    extension: Box<dyn Extension>,
    channels: Mutex<Vec<Channel>>,
}

impl Shared {
    fn channels(&self) -> MutexGuard<'_, Vec<Channel>> {
        // The list is valid after every statement, so a panicked holder does no harm.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the doomed channels except `current`, on whose behalf FreeRDP called. See the head of this file. No lock
    /// is held meanwhile: OnClose runs inside and takes it.
    fn sweep(&self, current: &Channel) {
        let doomed: Vec<Channel> = self
            .channels()
            .iter()
            .filter(|c| c.is_doomed() && !Arc::ptr_eq(&c.0, &current.0))
            .cloned()
            .collect();
        for channel in doomed {
            channel.0.write(&[]);
        }
    }
}

/// FreeRDP's part of a connection: its plugin and its listener.
#[repr(C)]
struct OurPlugin {
    plugin: Plugin,
    listener: OurListener,
    channel_name: CString,
}

#[repr(C)]
struct OurListener {
    callback: ListenerCallback,
    shared: Arc<Shared>,
}

/// FreeRDP's part of a channel.
#[repr(C)]
struct OurChannel {
    callback: ChannelCallback,
    channel: Channel,
    shared: Arc<Shared>,
    events: Mutex<Option<Box<dyn ChannelEvents>>>,
}

const PLUGIN_VERSION_TEXT: &str = concat!("sudare-freerdp/", env!("CARGO_PKG_VERSION"), ";");

/// For `sudare doctor`, which looks for it in the file: the symbol keeps the linker from leaving it out.
// SAFETY: no other symbol has this name, and it is read by nobody as a function.
#[unsafe(no_mangle)]
pub(crate) static SUDARE_PLUGIN_VERSION: [u8; PLUGIN_VERSION_TEXT.len()] = {
    let (text, mut bytes, mut at) = (PLUGIN_VERSION_TEXT.as_bytes(), [0; PLUGIN_VERSION_TEXT.len()], 0);
    while at < bytes.len() {
        bytes[at] = text[at];
        at += 1;
    }
    bytes
};

/// The one symbol that FreeRDP looks for.
///
/// # Safety
/// FreeRDP calls it, with the entry points of a connection that is being set up.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn DVCPluginEntry(entry: *mut c_void) -> u32 {
    // SAFETY: as this function's own promise.
    unsafe { enter(entry.cast(), crate::plugin::start) }
}

/// Registers a plugin.
///
/// # Safety
/// As `DVCPluginEntry`.
pub(crate) unsafe fn enter(entry: *mut EntryPoints, start: fn(Startup) -> Box<dyn Extension>) -> Uint {
    guarded("DVCPluginEntry", || {
        // SAFETY: FreeRDP hands over its entry points, which live during this call.
        let Some(points) = (unsafe { entry.as_ref() }) else { return };
        let (Some(register), Some(get)) = (points.RegisterPlugin, points.GetPlugin) else { return };
        // SAFETY: the name is a C string; a second `/dvc:sudare` of one connection is ignored.
        if !unsafe { get(entry, PLUGIN_NAME.as_ptr()) }.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        let extension = start(unsafe { startup(entry, points) });
        let Ok(channel_name) = CString::new(CHANNEL_NAME) else { return };
        let shared = Arc::new(Shared { extension, channels: Mutex::default() });
        let ours = Box::into_raw(Box::new(OurPlugin {
            plugin: Plugin {
                Initialize: Some(initialize),
                Connected: None,
                Disconnected: None,
                Terminated: Some(terminated),
                Attached: None,
                Detached: None,
                pInterface: ptr::null_mut(),
            },
            listener: OurListener {
                callback: ListenerCallback {
                    OnNewChannelConnection: Some(on_new_channel),
                    pInterface: ptr::null_mut(),
                },
                shared,
            },
            channel_name,
        }));
        // SAFETY: `plugin` is the first field of `OurPlugin`, so the pointers are the same. From
        // now on FreeRDP owns it, until Terminated.
        if unsafe { register(entry, PLUGIN_NAME.as_ptr(), ours.cast()) } != OK {
            tracing::error!(
                "FreeRDP does not take the plugin. The host stays covered; start the client again"
            );
            // SAFETY: FreeRDP did not keep it, so it is ours again.
            drop(unsafe { Box::from_raw(ours) });
        }
    })
}

unsafe extern "C" fn initialize(plugin: *mut Plugin, manager: *mut Manager) -> Uint {
    guarded("Initialize", || {
        let ours: *mut OurPlugin = plugin.cast();
        // SAFETY: FreeRDP gives back what was registered, and its manager, both alive. Only
        // field addresses are taken of ours, because FreeRDP keeps that of the listener.
        let created = unsafe {
            let Some(create) = (*manager).CreateListener else { return };
            let callback = (&raw mut (*ours).listener).cast();
            create(manager, (*ours).channel_name.as_ptr(), 0, callback, ptr::null_mut())
        };
        if created != OK {
            tracing::error!("FreeRDP gives no listener. The host stays covered; start the client again");
        }
    })
}

unsafe extern "C" fn terminated(plugin: *mut Plugin) -> Uint {
    guarded("Terminated", || {
        // SAFETY: FreeRDP gives back what was registered, once, and no longer uses it; the last
        // channel was closed before.
        let ours = unsafe { Box::from_raw(plugin.cast::<OurPlugin>()) };
        ours.listener.shared.extension.terminated();
    })
}

unsafe extern "C" fn on_new_channel(
    listener: *mut ListenerCallback,
    channel: *mut VirtualChannel,
    _data: *mut u8,
    accept: *mut Bool,
    callback: *mut *mut ChannelCallback,
) -> Uint {
    guarded("OnNewChannelConnection", || {
        // SAFETY: FreeRDP gives back the listener it was given, and places for two answers.
        let shared = unsafe {
            *accept = 0;
            *callback = ptr::null_mut();
            Arc::clone(&(*listener.cast::<OurListener>()).shared)
        };
        if shared.channels().len() >= CHANNELS_MAX {
            tracing::warn!(
                "a channel was refused: {CHANNELS_MAX} are open. Look for a program on the host that opens them"
            );
            return;
        }
        let open = Open { gate: Gate::new(ChannelPointer(channel)), doomed: AtomicBool::new(false) };
        let ours = Channel(Arc::new(open));
        let Some(events) = shared.extension.opened(ours.clone()) else { return };
        shared.channels().push(ours.clone());
        let held = Box::new(OurChannel {
            callback: ChannelCallback {
                OnDataReceived: Some(on_data),
                OnOpen: Some(on_open),
                OnClose: Some(on_close),
                pInterface: ptr::null_mut(),
            },
            channel: ours,
            shared,
            events: Mutex::new(Some(events)),
        });
        // SAFETY: as above; `callback` is the first field of `OurChannel`. From now on FreeRDP
        // owns it, until OnClose.
        unsafe {
            *callback = Box::into_raw(held).cast();
            *accept = 1;
        }
    })
}

unsafe extern "C" fn on_data(callback: *mut ChannelCallback, stream: *mut Stream) -> Uint {
    guarded("OnDataReceived", || {
        // SAFETY: FreeRDP gives back the callback it was given, before OnClose.
        let ours = unsafe { &*callback.cast::<OurChannel>() };
        // SAFETY: FreeRDP gives a stream that lives during this call.
        if let Some(bytes) = unsafe { payload(stream) }
            && !ours.channel.is_doomed()
            && let Some(events) = ours.events.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            events.data(bytes);
        }
        ours.shared.sweep(&ours.channel);
    })
}

unsafe extern "C" fn on_open(callback: *mut ChannelCallback) -> Uint {
    guarded("OnOpen", || {
        // SAFETY: FreeRDP gives back the callback it was given, before OnClose.
        let ours = unsafe { &*callback.cast::<OurChannel>() };
        ours.shared.sweep(&ours.channel);
    })
}

unsafe extern "C" fn on_close(callback: *mut ChannelCallback) -> Uint {
    guarded("OnClose", || {
        // SAFETY: FreeRDP gives back the callback it was given, once, and no longer uses it.
        let ours = unsafe { Box::from_raw(callback.cast::<OurChannel>()) };
        // First: whatever happens below, the channel is not used after this call.
        ours.channel.0.gate.close();
        ours.shared.channels().retain(|c| !Arc::ptr_eq(&c.0, &ours.channel.0));
        drop(ours);
    })
}

/// The bytes between the stream's position and its end.
///
/// # Safety
/// `stream` is null or a stream that lives for `'a`.
unsafe fn payload<'a>(stream: *const Stream) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    let stream = unsafe { stream.as_ref() }?;
    let position = (stream.pointer as usize).checked_sub(stream.buffer as usize)?;
    let length = stream.length.checked_sub(position)?;
    if stream.pointer.is_null() || stream.length > stream.capacity {
        return None;
    }
    // SAFETY: FreeRDP's buffer has `capacity` bytes, and `position + length` is not more.
    Some(unsafe { std::slice::from_raw_parts(stream.pointer, length) })
}

/// # Safety
/// As `DVCPluginEntry`; `points` is what `entry` points at.
unsafe fn startup(entry: *mut EntryPoints, points: &EntryPoints) -> Startup {
    let mut startup = Startup::default();
    if let Some(data) = points.GetPluginData {
        // SAFETY: the arguments live at least as long as this call; `argv` has `argc` C strings.
        unsafe {
            if let Some(argv) = data(entry).as_ref() {
                let count = usize::try_from(argv.argc).unwrap_or(0).min(ARGUMENTS_MAX);
                for at in 1..count {
                    let argument = *argv.argv.add(at);
                    if !argument.is_null() {
                        startup.arguments.push(CStr::from_ptr(argument).to_string_lossy().into_owned());
                    }
                }
            }
        }
    }
    if let Some(settings) = points.GetRdpSettings {
        // SAFETY: the settings live as long as the connection.
        startup.acceptance = unsafe { acceptance(settings(entry)) };
    }
    startup
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

type KeyForName = unsafe extern "C" fn(*const c_char) -> isize;
type GetString = unsafe extern "C" fn(*const c_void, usize) -> *const c_char;
type GetBool = unsafe extern "C" fn(*const c_void, usize) -> Bool;

/// Reads which certificates FreeRDP accepts. The numbers of settings differ between 2.x and 3.x, so they are looked up by
/// name, and so are the functions, because nothing is linked. If anything is missing, nothing is known.
///
/// # Safety
/// `settings` is null or FreeRDP's settings.
unsafe fn acceptance(settings: *const c_void) -> Acceptance {
    let unknown = Acceptance { accepts_any: true, ..Acceptance::default() };
    // SAFETY: a null handle searches the whole program; the names are C strings.
    let find = |name: &CStr| unsafe { dlsym(ptr::null_mut(), name.as_ptr()) };
    let key_for_name = find(c"freerdp_settings_get_key_for_name");
    let (get_string, get_bool) = (find(c"freerdp_settings_get_string"), find(c"freerdp_settings_get_bool"));
    if settings.is_null() || key_for_name.is_null() || get_string.is_null() || get_bool.is_null() {
        return unknown;
    }
    // SAFETY: these are the signatures of the functions of these names in 2.x and 3.x (an enum
    // of 3.x in the place of size_t has the same register).
    let (key_for_name, get_string, get_bool) = unsafe {
        (
            std::mem::transmute::<*mut c_void, KeyForName>(key_for_name),
            std::mem::transmute::<*mut c_void, GetString>(get_string),
            std::mem::transmute::<*mut c_void, GetBool>(get_bool),
        )
    };
    // SAFETY: C strings in, and a number or -1 out.
    let key = |name: &CStr| usize::try_from(unsafe { key_for_name(name.as_ptr()) }).ok();
    let keys = (
        key(c"FreeRDP_CertificateAcceptedFingerprints"),
        key(c"FreeRDP_AutoDenyCertificate"),
        key(c"FreeRDP_AutoAcceptCertificate"),
        key(c"FreeRDP_IgnoreCertificate"),
    );
    let (Some(pins), Some(deny), Some(accept), Some(ignore)) = keys else { return unknown };
    // SAFETY: the keys are of the types that the functions are for, and the string lives while
    // the settings do; it is copied.
    unsafe {
        let text = get_string(settings, pins);
        let fingerprints =
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() };
        Acceptance {
            fingerprints,
            deny: get_bool(settings, deny) != 0,
            accepts_any: get_bool(settings, accept) != 0 || get_bool(settings, ignore) != 0,
        }
    }
}

/// Runs an entry. A panic must not cross into C, and no error may be returned: FreeRDP would end the user's connection.
/// A failure shows as a cover on the host.
fn guarded(entry: &str, work: impl FnOnce()) -> Uint {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("the plugin panicked in {entry}. The host covers; please report this line");
    }
    OK
}
