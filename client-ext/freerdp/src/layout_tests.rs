//! Compares the declarations of `sys` with what bindgen reads from Debian's `freerdp/dvc.h`.

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::path::Path;

use crate::sys::{
    AddinArgv, ChannelCallback, EntryPoints, Listener, ListenerCallback, Manager, Plugin, Stream,
    VirtualChannel,
};

const INCLUDES: [&str; 2] = ["/usr/include/freerdp2", "/usr/include/winpr2"];

/// (type in C, field or "" for the size) to bytes, from the layout tests that bindgen writes.
fn from_header() -> Option<BTreeMap<(String, String), usize>> {
    if !Path::new(INCLUDES[0]).join("freerdp/dvc.h").is_file() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "dvc.h"), "freerdp/dvc.h is missing");
        return None;
    }
    let text = bindgen::Builder::default()
        .header_contents("plugin.h", "#include <freerdp/dvc.h>\n#include <winpr/stream.h>\n")
        .clang_args(INCLUDES.iter().map(|folder| format!("-I{folder}")))
        .allowlist_type("_?IWTS.*|_?IDRDYNVC_ENTRY_POINTS|_?ADDIN_ARGV|_?wStream")
        .generate()
        .unwrap()
        .to_string();
    let mut layout = BTreeMap::new();
    // `size_of::<T>(), 56usize,` and `addr_of!((*ptr).field) as usize - ptr as usize }, 8usize, "…T), "::",`
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    for part in squeezed.split("assert_eq!(").skip(1) {
        let number = |text: &str| text.split("usize").next().unwrap_or_default().parse::<usize>().ok();
        if let Some((name, rest)) =
            part.strip_prefix("::std::mem::size_of::<").and_then(|p| p.split_once(">(),"))
        {
            layout.extend(number(rest).map(|bytes| ((name.to_owned(), String::new()), bytes)));
        } else if let Some((_, rest)) = part.split_once("addr_of!((*ptr).")
            && let Some((field, rest)) = rest.split_once(")asusize-ptrasusize},")
            && let Some((_, named)) = rest.split_once("stringify!(")
            && let Some((name, _)) = named.split_once(')')
        {
            layout.extend(number(rest).map(|bytes| ((name.to_owned(), field.to_owned()), bytes)));
        }
    }
    Some(layout)
}

macro_rules! fields {
    ($ours:ty, $theirs:literal: $($field:ident)*) => {
        [$(($theirs, stringify!($field), offset_of!($ours, $field)),)*]
    };
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that is left out says so")]
fn every_field_lies_where_debians_header_has_it() {
    let Some(layout) = from_header() else {
        return println!("not run: freerdp/dvc.h is missing; apt-get install freerdp2-dev libwinpr2-dev");
    };
    let theirs = |name: &str, field: &str| {
        *layout
            .get(&(name.to_owned(), field.to_owned()))
            .unwrap_or_else(|| panic!("no {name}.{field}: {layout:?}"))
    };
    let mut ours = Vec::new();
    ours.extend(
        fields!(EntryPoints, "_IDRDYNVC_ENTRY_POINTS": RegisterPlugin GetPlugin GetPluginData GetRdpSettings),
    );
    ours.extend(fields!(AddinArgv, "_ADDIN_ARGV": argc argv));
    ours.extend(fields!(Plugin, "_IWTSPlugin": Initialize Connected Disconnected Terminated Attached Detached pInterface));
    ours.extend(fields!(Manager, "_IWTSVirtualChannelManager": CreateListener GetChannelId FindChannelById GetChannelName DestroyListener));
    ours.extend(fields!(Listener, "_IWTSListener": GetConfiguration pInterface));
    ours.extend(fields!(VirtualChannel, "_IWTSVirtualChannel": Write Close));
    ours.extend(fields!(ListenerCallback, "_IWTSListenerCallback": OnNewChannelConnection));
    ours.extend(fields!(ChannelCallback, "_IWTSVirtualChannelCallback": OnDataReceived OnOpen OnClose));
    ours.extend(fields!(Stream, "_wStream": buffer pointer length capacity));
    assert_eq!(ours.len(), 30);
    for (name, field, offset) in ours {
        assert_eq!(offset, theirs(name, field), "{name}.{field}");
    }

    // What we are given must not be larger in our eyes; what we give must not be smaller.
    for (name, bytes) in [
        ("_IDRDYNVC_ENTRY_POINTS", size_of::<EntryPoints>()),
        ("_ADDIN_ARGV", size_of::<AddinArgv>()),
        ("_IWTSPlugin", size_of::<Plugin>()),
        ("_IWTSVirtualChannelManager", size_of::<Manager>()),
        ("_IWTSListener", size_of::<Listener>()),
        ("_IWTSVirtualChannel", size_of::<VirtualChannel>()),
    ] {
        assert_eq!(bytes, theirs(name, ""), "{name}");
    }
    // FreeRDP 3 has one pointer more in each of these two, at the end.
    assert_eq!(size_of::<ListenerCallback>(), theirs("_IWTSListenerCallback", "") + 8);
    assert_eq!(size_of::<ChannelCallback>(), theirs("_IWTSVirtualChannelCallback", "") + 8);
    assert!(size_of::<Stream>() <= theirs("_wStream", ""));
}
