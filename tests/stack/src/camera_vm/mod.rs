//! A throw-away machine whose kernel has a camera: Debian's own kernel with its test driver `vivid`, under QEMU's
//! software emulation. Needs no rights, no KVM, and changes nothing on this machine.
//!
//! ```text
//! kernel.rs     linux-image package → vmlinuz, the modules that vivid needs
//! initramfs.rs  busybox, those modules, programs with their libraries, a script → one cpio archive
//! mod.rs        QEMU boots both; what the script prints comes back line by line
//! ```
//! Sources: Linux's Documentation/admin-guide/media/vivid.rst and
//! Documentation/driver-api/early-userspace/buffer-format.rst.

mod initramfs;
mod kernel;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sudare_test_kit::needs::find;

/// What must be installed, by the name of a program of each package.
pub const TOOLS: [(&str, &str); 4] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("depmod", "kmod"),
    ("v4l2-ctl", "v4l-utils"),
];
const MEMORY_MB: &str = "768";
/// The last line of every script.
const END: &str = "@@end";
/// A kernel that panics over and over prints without an end.
const MAX_LINES: usize = 20_000;

/// Whether this machine can have the packages that the other is built from.
#[must_use]
pub fn is_possible_here() -> bool {
    cfg!(all(target_arch = "x86_64", target_os = "linux")) && find("apt-get").is_some()
}

/// What to install first.
#[must_use]
pub fn missing() -> Option<String> {
    let missing: Vec<_> = TOOLS.iter().filter(|(tool, _)| find(tool).is_none()).map(|(_, p)| *p).collect();
    (!missing.is_empty()).then(|| format!("apt-get install {}", missing.join(" ")))
}

/// A machine, ready to run once.
#[derive(Debug)]
pub struct Machine {
    kernel: PathBuf,
    initramfs: PathBuf,
}

impl Machine {
    /// Puts it together in `folder`, where the kernel is kept for the next time. `script` runs under busybox's
    /// shell, with `programs` in its path, after `vivid` was loaded.
    ///
    /// # Errors
    /// The package cannot be had, or something cannot be read.
    pub fn build(folder: &Path, programs: &[&Path], script: &str) -> anyhow::Result<Self> {
        let kernel = kernel::Kernel::get(folder)?;
        let initramfs = folder.join("initramfs.cpio");
        let archive = initramfs::build(&kernel, programs, &format!("{script}\necho {END}\n"))?;
        std::fs::write(&initramfs, archive)?;
        Ok(Self { kernel: kernel.image, initramfs })
    }

    /// Boots, and gives what was printed until the script's end.
    ///
    /// # Errors
    /// It did not get there in time; the last lines are in the message.
    pub fn run(&self, limit: Duration) -> anyhow::Result<Vec<String>> {
        let mut machine = Running(self.start()?);
        let output = BufReader::new(machine.0.stdout.take().context("no output")?);
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok).take(MAX_LINES) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let started = Instant::now();
        let mut lines = Vec::new();
        while let Ok(line) = receiver.recv_timeout(limit.saturating_sub(started.elapsed())) {
            if line == END {
                return Ok(lines);
            }
            lines.push(line);
        }
        let tail = lines.iter().rev().take(20).rev().cloned().collect::<Vec<_>>().join("\n");
        bail!("the machine did not come to its end within {} s. It said last:\n{tail}", limit.as_secs());
    }

    fn start(&self) -> anyhow::Result<Child> {
        Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY_MB])
            .args(["-nic", "none", "-nographic", "-no-reboot"])
            .args(["-append", "console=ttyS0 quiet panic=-1", "-kernel"])
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initramfs)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("qemu-system-x86_64 does not start")
    }
}

/// Ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs a program to its end and gives what it printed.
fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let output = command.output().with_context(|| format!("{name} does not start"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
