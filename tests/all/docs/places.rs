//! Where the code says what pages repeat. When files move, this is the only place of these tests to change.

/// What the plugin's settings are declared in.
pub(crate) const PLUGIN_SETTINGS: &str = "client-ext/runtime/src/plugin/settings.rs";

/// Modules with a list of their own modules, besides each crate's first file.
pub(crate) const MODULE_LISTS: [&str; 1] = ["host-ext/relay/src/live/mod.rs"];

/// Programs whose commands and flags pages show: the file with their commands (none where there is only one), its
/// enum, and the folder in which flags are declared.
pub(crate) const PROGRAMS: [Program; 14] = [
    Program::new("sudare", Some(("client-ext/cli/src/main.rs", "Command")), "client-ext/cli/src"),
    Program::new("sudare-host", Some(("host-ext/admin/src/main.rs", "Command")), "host-ext/admin/src"),
    Program::new(
        "sudare-authority",
        Some(("host-ext/authority/src/main.rs", "Authority")),
        "host-ext/authority/src",
    ),
    Program::new(
        "sudare-audit",
        Some(("host-ext/audit/src/cli/args.rs", "Command")),
        "host-ext/audit/src/cli",
    ),
    Program::new("sudare-witness", Some(("host-ext/witness/src/main.rs", "Command")), "host-ext/witness/src"),
    Program::new(
        "sudare-notary",
        Some(("host-ext/ship/src/bin/sudare-notary.rs", "Command")),
        "host-ext/ship/src",
    ),
    Program::new("sudare-gate", None, "host-ext/gate/src"),
    Program::new("sudare-owner", None, "host-ext/owner/src"),
    Program::new("sudare-nla", Some(("host-ext/nla/src/main.rs", "Command")), "host-ext/nla/src"),
    Program::new("sudare-recorder", None, "host-ext/recorder/src"),
    Program::new("sudare-ship", None, "host-ext/ship/src"),
    Program::new("sudare-forward", None, "host-ext/forward/src"),
    Program::new("sudare-fleet", None, "host-ext/fleet/src"),
    Program::new("sudare-embedded", None, "host-ext/embedded/src"),
];

/// Flags that all programs of a host share are declared here.
pub(crate) const SHARED_FLAGS: &str = "host-ext/base/src";
pub(crate) const XTASK: &str = "deploy/xtask/src/main.rs";

/// Sources in which the words of messages stand.
pub(crate) const CLIENT_SOURCES: [&str; 3] = ["client-ext", "protocol/src", "deploy/linux/client"];
pub(crate) const HOST_SOURCES: [&str; 3] = ["host-ext", "protocol/src", "deploy/linux/host"];
/// Sources in which variables are read.
pub(crate) const READERS: [&str; 5] = ["client-ext", "host-ext", "models", "tests", "deploy/xtask"];

/// One program that people type.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) commands: Option<(&'static str, &'static str)>,
    pub(crate) folder: &'static str,
}

impl Program {
    const fn new(
        name: &'static str,
        commands: Option<(&'static str, &'static str)>,
        folder: &'static str,
    ) -> Self {
        Program { name, commands, folder }
    }
}
