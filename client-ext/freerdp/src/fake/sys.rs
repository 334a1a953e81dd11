//! The other side of the C interface: entry points, manager and channels that behave like those of FreeRDP 2.11 (an
//! empty write runs OnClose inside, a channel dies after OnClose), and that count uses of dead ones. Dead ones stay
//! allocated, so that a fault is counted and not a crash.

#![allow(unsafe_code, reason = "plays C against the plugin's own types")]

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::sys::{
    AddinArgv, ChannelCallback, EntryPoints, Extension, Listener, ListenerCallback, Manager, Plugin, Startup,
    Stream, VirtualChannel, enter,
};

/// Shared by the fake and the tests.
#[derive(Default)]
pub(crate) struct Board {
    channels: Mutex<BTreeMap<u32, Addresses>>,
    sent: Mutex<BTreeMap<u32, Vec<Vec<u8>>>>,
    /// Writes to a channel after its end.
    pub(crate) dead_writes: AtomicUsize,
    /// Answers of the plugin's entries that were not 0.
    pub(crate) errors: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Addresses {
    channel: usize,
    callback: usize,
}

/// One connection of a fake FreeRDP with the plugin in it.
pub(crate) struct Fake {
    points: Box<Points>,
    pub(crate) board: Arc<Board>,
    next_id: u32,
}

#[repr(C)]
struct Points {
    entry: EntryPoints,
    /// In FreeRDP 2 this is not a function: calling it would crash.
    slot_5: usize,
    manager: OurManager,
    plugin: *mut Plugin,
    argv: AddinArgv,
    pointers: Vec<*mut c_char>,
    strings: Vec<CString>,
}

#[repr(C)]
struct OurManager {
    manager: Manager,
    listener: *mut ListenerCallback,
    name: String,
}

#[repr(C)]
struct OurChannel {
    channel: VirtualChannel,
    id: u32,
    alive: AtomicBool,
    board: Arc<Board>,
}

impl Fake {
    /// Entry and Initialize, as at each connection.
    pub(crate) fn connect(arguments: &[&str], start: fn(Startup) -> Box<dyn Extension>) -> Self {
        let strings: Vec<CString> = std::iter::once("sudare")
            .chain(arguments.iter().copied())
            .map(|text| CString::new(text).unwrap())
            .collect();
        let mut pointers: Vec<*mut c_char> = strings.iter().map(|s| s.as_ptr().cast_mut()).collect();
        let argv = AddinArgv { argc: c_int::try_from(pointers.len()).unwrap(), argv: pointers.as_mut_ptr() };
        let mut points = Box::new(Points {
            entry: EntryPoints {
                RegisterPlugin: Some(register_plugin),
                GetPlugin: Some(get_plugin),
                GetPluginData: Some(get_plugin_data),
                GetRdpSettings: Some(get_rdp_settings),
            },
            slot_5: usize::MAX,
            manager: OurManager { manager: manager(), listener: ptr::null_mut(), name: String::new() },
            plugin: ptr::null_mut(),
            argv,
            pointers,
            strings,
        });
        let board = Arc::new(Board::default());
        // SAFETY: the entry points live in a box for as long as the connection.
        board.note(unsafe { enter((&raw mut *points).cast(), start) });
        let mut fake = Fake { points, board, next_id: 0 };
        fake.call_plugin(|plugin, manager| {
            // SAFETY: what was registered is alive until Terminated.
            unsafe { (*plugin).Initialize.map(|initialize| initialize(plugin, manager)) }
        });
        fake
    }

    /// The name of the listener, once there is one.
    pub(crate) fn listens_to(&self) -> &str {
        &self.points.manager.name
    }

    /// The host opens a channel; `None` if the plugin refuses it.
    pub(crate) fn open(&mut self) -> Option<u32> {
        let listener = self.points.manager.listener;
        self.next_id += 1;
        let id = self.next_id;
        let channel = Box::into_raw(Box::new(OurChannel {
            channel: VirtualChannel { Write: Some(write), Close: Some(close) },
            id,
            alive: AtomicBool::new(true),
            board: Arc::clone(&self.board),
        }));
        let (mut accept, mut callback) = (1, ptr::null_mut());
        // SAFETY: the listener is alive until Terminated, and the channel for ever.
        let answer = unsafe {
            let on_new = (*listener).OnNewChannelConnection.unwrap();
            on_new(listener, channel.cast(), ptr::null_mut(), &raw mut accept, &raw mut callback)
        };
        self.board.note(answer);
        if accept == 0 || callback.is_null() {
            return None;
        }
        let addresses = Addresses { channel: channel as usize, callback: callback as usize };
        self.board.channels.lock().unwrap().insert(id, addresses);
        // SAFETY: the callback is alive until OnClose.
        self.board.note(unsafe { (*callback).OnOpen.map_or(0, |on_open| on_open(callback)) });
        Some(id)
    }

    /// The host sends; as FreeRDP does, with something before the position of the stream.
    pub(crate) fn data(&self, id: u32, bytes: &[u8]) {
        let Some(addresses) = self.board.channels.lock().unwrap().get(&id).copied() else { return };
        let callback = addresses.callback as *mut ChannelCallback;
        let mut buffer = [b"head", bytes].concat();
        let mut stream = Stream {
            buffer: buffer.as_mut_ptr(),
            pointer: buffer[4..].as_mut_ptr(),
            length: buffer.len(),
            capacity: buffer.len(),
        };
        // SAFETY: the callback is alive until OnClose, the stream during the call.
        self.board.note(unsafe { (*callback).OnDataReceived.unwrap()(callback, &raw mut stream) });
    }

    /// The host closes a channel.
    pub(crate) fn close(&self, id: u32) {
        self.board.close(id);
    }

    pub(crate) fn is_open(&self, id: u32) -> bool {
        self.board.channels.lock().unwrap().contains_key(&id)
    }

    /// What the plugin wrote since the last time.
    pub(crate) fn sent(&self, id: u32) -> Vec<Vec<u8>> {
        self.board.sent.lock().unwrap().remove(&id).unwrap_or_default()
    }

    /// The connection ends, as FreeRDP ends it.
    pub(crate) fn terminate(mut self) {
        let open: Vec<u32> = self.board.channels.lock().unwrap().keys().copied().collect();
        for id in open {
            self.board.close(id);
        }
        self.call_plugin(|plugin, _| {
            // SAFETY: what was registered is alive until now.
            unsafe { (*plugin).Terminated.map(|terminated| terminated(plugin)) }
        });
        self.points.plugin = ptr::null_mut();
    }

    fn call_plugin(&mut self, call: impl FnOnce(*mut Plugin, *mut Manager) -> Option<u32>) {
        if !self.points.plugin.is_null() {
            let manager = (&raw mut self.points.manager).cast();
            self.board.note(call(self.points.plugin, manager).unwrap_or(0));
        }
    }
}

impl Board {
    fn note(&self, answer: u32) {
        if answer != 0 {
            self.errors.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn close(&self, id: u32) {
        // Not held while OnClose runs.
        let Some(addresses) = self.channels.lock().unwrap().remove(&id) else { return };
        let callback = addresses.callback as *mut ChannelCallback;
        // SAFETY: alive until this very call; the channel itself is never freed.
        unsafe {
            self.note((*callback).OnClose.map_or(0, |on_close| on_close(callback)));
            (*(addresses.channel as *const OurChannel)).alive.store(false, Ordering::SeqCst);
        }
    }
}

fn manager() -> Manager {
    Manager {
        CreateListener: Some(create_listener),
        GetChannelId: None,
        FindChannelById: None,
        GetChannelName: None,
        DestroyListener: None,
    }
}

unsafe extern "C" fn register_plugin(entry: *mut EntryPoints, _: *const c_char, plugin: *mut Plugin) -> u32 {
    // SAFETY: `entry` is the first field of `Points`.
    unsafe { (*entry.cast::<Points>()).plugin = plugin };
    0
}

unsafe extern "C" fn get_plugin(entry: *mut EntryPoints, _: *const c_char) -> *mut Plugin {
    // SAFETY: as above.
    unsafe { (*entry.cast::<Points>()).plugin }
}

unsafe extern "C" fn get_plugin_data(entry: *mut EntryPoints) -> *mut AddinArgv {
    // SAFETY: as above.
    unsafe { &raw mut (*entry.cast::<Points>()).argv }
}

unsafe extern "C" fn get_rdp_settings(_: *mut EntryPoints) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn create_listener(
    manager: *mut Manager,
    name: *const c_char,
    _flags: u32,
    callback: *mut ListenerCallback,
    _listener: *mut *mut Listener,
) -> u32 {
    // SAFETY: `manager` is the first field of `OurManager`, and the name is a C string.
    unsafe {
        let ours: *mut OurManager = manager.cast();
        (*ours).listener = callback;
        (*ours).name = std::ffi::CStr::from_ptr(name).to_str().unwrap().to_owned();
    }
    0
}

unsafe extern "C" fn write(
    channel: *mut VirtualChannel,
    length: u32,
    bytes: *const u8,
    _: *mut c_void,
) -> u32 {
    // SAFETY: channels are never freed.
    let ours = unsafe { &*channel.cast::<OurChannel>() };
    let dead = || {
        if !ours.alive.load(Ordering::SeqCst) {
            ours.board.dead_writes.fetch_add(1, Ordering::SeqCst);
        }
    };
    dead();
    if length == 0 {
        ours.board.close(ours.id);
        return 0;
    }
    std::thread::yield_now();
    // SAFETY: the plugin gives as many bytes as it says.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, length as usize) }.to_vec();
    ours.board.sent.lock().unwrap().entry(ours.id).or_default().push(bytes);
    dead();
    0
}

unsafe extern "C" fn close(_: *mut VirtualChannel) -> u32 {
    // As in FreeRDP 2, of no effect.
    0
}
