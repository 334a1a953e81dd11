//! Compares the declarations of `sys` with what bindgen reads from Debian's `freerdp/dvc.h`, of FreeRDP 2 (Debian
//! 12), 3 (Debian 13), or both.

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::path::Path;

use crate::sys::{
    AddinArgv, ChannelCallback, EntryPoints, Listener, ListenerCallback, Manager, Plugin, Stream,
    VirtualChannel,
};

/// (type in C, field or "" for the size) to bytes.
type Layout = BTreeMap<(String, String), usize>;

/// The headers of both versions.
const INCLUDES: [[&str; 2]; 2] =
    [["/usr/include/freerdp2", "/usr/include/winpr2"], ["/usr/include/freerdp3", "/usr/include/winpr3"]];

/// From the layout tests that bindgen writes.
fn from_header(includes: &[&str; 2]) -> Layout {
    let text = bindgen::Builder::default()
        .header_contents("plugin.h", "#include <freerdp/dvc.h>\n#include <winpr/stream.h>\n")
        .clang_args(includes.iter().map(|folder| format!("-I{folder}")))
        .allowlist_type("([sS]?_)?(IWTS.*|IDRDYNVC_ENTRY_POINTS|ADDIN_ARGV|wStream)")
        .generate()
        .unwrap()
        .to_string();
    // The tags of structs are `_IWTSPlugin` in one version, `s_IWTSPlugin`, `S_IDRDYNVC_…` or none in the other.
    let plain = |name: &str| {
        name.strip_prefix(['s', 'S'])
            .filter(|n| n.starts_with('_'))
            .unwrap_or(name)
            .trim_start_matches('_')
            .to_owned()
    };
    let mut layout = BTreeMap::new();
    // `size_of::<T>(), 56usize,` and `addr_of!((*ptr).field) as usize - ptr as usize }, 8usize, "…T), "::",`
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    for part in squeezed.split("assert_eq!(").skip(1) {
        let number = |text: &str| text.split("usize").next().unwrap_or_default().parse::<usize>().ok();
        if let Some((name, rest)) =
            part.strip_prefix("::std::mem::size_of::<").and_then(|p| p.split_once(">(),"))
        {
            layout.extend(number(rest).map(|bytes| ((plain(name), String::new()), bytes)));
        } else if let Some((_, rest)) = part.split_once("addr_of!((*ptr).")
            && let Some((field, rest)) = rest.split_once(")asusize-ptrasusize},")
            && let Some((_, named)) = rest.split_once("stringify!(")
            && let Some((name, _)) = named.split_once(')')
        {
            layout.extend(number(rest).map(|bytes| ((plain(name), field.to_owned()), bytes)));
        }
    }
    layout
}

macro_rules! fields {
    ($ours:ty, $theirs:literal: $($field:ident)*) => {
        [$(($theirs, stringify!($field), offset_of!($ours, $field)),)*]
    };
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that is left out says so")]
fn every_field_lies_where_debians_header_has_it() {
    let there = |includes: &&[&str; 2]| Path::new(includes[0]).join("freerdp/dvc.h").is_file();
    let found: Vec<_> = INCLUDES.iter().filter(there).collect();
    if found.is_empty() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "dvc.h"), "freerdp/dvc.h is missing");
        return println!("not run: freerdp/dvc.h is missing; apt-get install freerdp2-dev libwinpr2-dev");
    }
    found.into_iter().for_each(|includes| compare(&from_header(includes)));
}

fn compare(layout: &Layout) {
    let theirs = |name: &str, field: &str| {
        *layout
            .get(&(name.to_owned(), field.to_owned()))
            .unwrap_or_else(|| panic!("no {name}.{field}: {layout:?}"))
    };
    let mut ours = Vec::new();
    ours.extend(
        fields!(EntryPoints, "IDRDYNVC_ENTRY_POINTS": RegisterPlugin GetPlugin GetPluginData GetRdpSettings),
    );
    ours.extend(fields!(AddinArgv, "ADDIN_ARGV": argc argv));
    ours.extend(fields!(Plugin, "IWTSPlugin": Initialize Connected Disconnected Terminated Attached Detached pInterface));
    ours.extend(fields!(Manager, "IWTSVirtualChannelManager": CreateListener GetChannelId FindChannelById GetChannelName DestroyListener));
    ours.extend(fields!(Listener, "IWTSListener": GetConfiguration pInterface));
    ours.extend(fields!(VirtualChannel, "IWTSVirtualChannel": Write Close));
    ours.extend(fields!(ListenerCallback, "IWTSListenerCallback": OnNewChannelConnection));
    ours.extend(fields!(ChannelCallback, "IWTSVirtualChannelCallback": OnDataReceived OnOpen OnClose));
    ours.extend(fields!(Stream, "wStream": buffer pointer length capacity));
    assert_eq!(ours.len(), 30);
    for (name, field, offset) in ours {
        assert_eq!(offset, theirs(name, field), "{name}.{field}");
    }

    // What we are given must not be larger in our eyes, and what we give must not be smaller: 3.x has one
    // pointer more at the end of some.
    for (name, bytes) in [
        ("IDRDYNVC_ENTRY_POINTS", size_of::<EntryPoints>()),
        ("ADDIN_ARGV", size_of::<AddinArgv>()),
        ("IWTSVirtualChannelManager", size_of::<Manager>()),
        ("IWTSListener", size_of::<Listener>()),
        ("IWTSVirtualChannel", size_of::<VirtualChannel>()),
        ("wStream", size_of::<Stream>()),
    ] {
        assert!(bytes <= theirs(name, ""), "{name}");
    }
    for (name, bytes) in [
        ("IWTSPlugin", size_of::<Plugin>()),
        ("IWTSListenerCallback", size_of::<ListenerCallback>()),
        ("IWTSVirtualChannelCallback", size_of::<ChannelCallback>()),
    ] {
        assert!(bytes >= theirs(name, ""), "{name}");
    }
}
