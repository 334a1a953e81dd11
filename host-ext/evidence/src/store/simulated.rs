//! A disk in memory that fails at a chosen step and loses whatever was not synced.
//!
//! Content is durable after `sync`, names after `sync_dir`. At a power cut each change that was not synced is kept,
//! dropped or (a write) torn, as the seed decides. At a kill all changes are kept, because the kernel still has them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "for tests only, here and in the packages above"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::disk::Disk;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, Node),
    Move(PathBuf, PathBuf, Node),
    Remove(PathBuf),
}

#[derive(Clone, Debug)]
enum ContentChange {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    // Shared between forks of a disk until one of them writes.
    lasting: Rc<Vec<u8>>,
    now: Rc<Vec<u8>>,
    unsynced: Vec<ContentChange>,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    lasting: BTreeMap<PathBuf, Node>,
    now: BTreeMap<PathBuf, Node>,
    unsynced: Vec<NameChange>,
    steps: u64,
    crash_at_step: Option<u64>,
    fail_at_step: Option<u64>,
    crashed: bool,
    space_left: Option<usize>,
    fail_next_sync: bool,
    locked: bool,
}

/// Clones share the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Rc<RefCell<State>>);

/// Releases the lock, as the kernel does when a process ends.
#[derive(Debug)]
pub struct SimulatedLock(Rc<RefCell<State>>);

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.0.borrow_mut().locked = false;
    }
}

impl SimulatedDisk {
    pub fn new() -> Self {
        let disk = Self::default();
        disk.0.borrow_mut().now.insert(PathBuf::from("/"), Node::Folder);
        disk.0.borrow_mut().lasting.insert(PathBuf::from("/"), Node::Folder);
        disk
    }

    /// An independent copy.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// Changing calls so far.
    pub fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    /// The changing call with this number, and all calls after it, fail.
    pub fn crash_at_step(&self, step: u64) {
        self.0.borrow_mut().crash_at_step = Some(step);
    }

    /// Only the changing call with this number fails, and changes nothing.
    pub fn fail_at_step(&self, step: u64) {
        self.0.borrow_mut().fail_at_step = Some(step);
    }

    /// Writes beyond this many bytes fail as on a full disk; `None` frees it again.
    pub fn set_space_left(&self, bytes: Option<usize>) {
        self.0.borrow_mut().space_left = bytes;
    }

    /// The next sync fails, and the changes it should have kept are lost.
    pub fn fail_next_sync(&self) {
        self.0.borrow_mut().fail_next_sync = true;
    }

    /// The process was killed; the machine lives on.
    pub fn kill(&self) {
        let mut state = self.0.borrow_mut();
        (state.crashed, state.crash_at_step, state.locked) = (false, None, false);
    }

    /// The power was cut.
    pub fn power_cut(&self, seed: u64) {
        let mut random = Random(seed | 1);
        let mut state = self.0.borrow_mut();
        for change in std::mem::take(&mut state.unsynced) {
            if random.below(2) == 0 {
                apply_name(&mut state.lasting, change);
            }
        }
        for inode in &mut state.inodes {
            for change in std::mem::take(&mut inode.unsynced) {
                match (random.below(3), change) {
                    (0, change) => apply_content(&mut inode.lasting, &change),
                    (1, ContentChange::Write(at, bytes)) => {
                        let part = bytes[..random.below(bytes.len() + 1)].to_vec();
                        apply_content(&mut inode.lasting, &ContentChange::Write(at, part));
                    }
                    _ => {}
                }
            }
            inode.now = Rc::clone(&inode.lasting);
        }
        let names = state.lasting.clone();
        // If a folder's own name was lost, its content is lost with it.
        state.lasting.retain(|path, _| path.ancestors().skip(1).all(|above| names.contains_key(above)));
        state.now = state.lasting.clone();
        (state.crashed, state.crash_at_step, state.locked) = (false, None, false);
    }

    fn step(&self) -> io::Result<std::cell::RefMut<'_, State>> {
        let mut state = self.0.borrow_mut();
        state.steps += 1;
        if state.crash_at_step.is_some_and(|step| state.steps >= step) {
            state.crashed = true;
        }
        if state.crashed {
            return Err(io::Error::other("crashed"));
        }
        if state.fail_at_step == Some(state.steps) {
            return Err(io::Error::other("the call failed"));
        }
        Ok(state)
    }
}

impl State {
    fn parent_is_there(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.now.get(parent)) {
            Some(Node::Folder) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        apply_name(&mut self.now, change.clone());
        self.unsynced.push(change);
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, Node>, change: NameChange) {
    match change {
        NameChange::Add(path, node) => drop(names.insert(path, node)),
        NameChange::Move(from, to, node) => {
            names.remove(&from);
            names.insert(to, node);
        }
        NameChange::Remove(path) => drop(names.remove(&path)),
    }
}

fn apply_content(bytes: &mut Rc<Vec<u8>>, change: &ContentChange) {
    let bytes = Rc::make_mut(bytes);
    match change {
        ContentChange::Write(at, new) => {
            bytes.resize(bytes.len().max(at + new.len()), 0);
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
        ContentChange::SetLen(len) => bytes.resize(*len, 0),
    }
}

impl NameChange {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Add(path, _) | Self::Move(_, path, _) | Self::Remove(path) => path.parent(),
        }
    }
}

impl Disk for SimulatedDisk {
    type File = usize;
    type Lock = SimulatedLock;

    fn create(&self, path: &Path) -> io::Result<usize> {
        let mut state = self.step()?;
        state.parent_is_there(path)?;
        state.inodes.push(Inode::default());
        let id = state.inodes.len() - 1;
        state.change_name(NameChange::Add(path.to_owned(), Node::File(id)));
        Ok(id)
    }

    fn open(&self, path: &Path) -> io::Result<usize> {
        match self.0.borrow().now.get(path) {
            Some(Node::File(id)) => Ok(*id),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn write_at(&self, file: &mut usize, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap();
        let (part, result) = match self.step() {
            Ok(mut state) => match state.space_left {
                Some(left) if left < bytes.len() => {
                    state.space_left = Some(0);
                    (left, Err(io::ErrorKind::StorageFull.into()))
                }
                left => {
                    state.space_left = left.map(|left| left - bytes.len());
                    (bytes.len(), Ok(()))
                }
            },
            // A process is killed in the middle of a write.
            Err(error) => (bytes.len() / 2, Err(error)),
        };
        let change = ContentChange::Write(at, bytes[..part].to_vec());
        let inode = &mut self.0.borrow_mut().inodes[*file];
        apply_content(&mut inode.now, &change);
        inode.unsynced.push(change);
        result
    }

    fn set_len(&self, file: &mut usize, len: u64) -> io::Result<()> {
        let mut state = self.step()?;
        let change = ContentChange::SetLen(usize::try_from(len).unwrap());
        let inode = &mut state.inodes[*file];
        apply_content(&mut inode.now, &change);
        inode.unsynced.push(change);
        Ok(())
    }

    fn sync(&self, file: &mut usize) -> io::Result<()> {
        let mut state = self.step()?;
        let failed = std::mem::take(&mut state.fail_next_sync);
        let inode = &mut state.inodes[*file];
        inode.unsynced.clear();
        if failed {
            inode.now = Rc::clone(&inode.lasting);
            return Err(io::Error::other("the device reported an error"));
        }
        inode.lasting = Rc::clone(&inode.now);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let node = state.now.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        state.change_name(NameChange::Move(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let (synced, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.unsynced).into_iter().partition(|change| change.folder() == Some(path));
        state.unsynced = rest;
        for change in synced {
            apply_name(&mut state.lasting, change);
        }
        Ok(())
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        state.parent_is_there(path)?;
        match state.now.get(path) {
            Some(Node::Folder) => {}
            Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            None => state.change_name(NameChange::Add(path.to_owned(), Node::Folder)),
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        if !state.now.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let inside: Vec<_> = state.now.keys().filter(|name| name.starts_with(path)).cloned().collect();
        for name in inside.into_iter().rev() {
            state.change_name(NameChange::Remove(name));
        }
        Ok(())
    }

    fn read(&self, path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
        let state = self.0.borrow();
        match state.now.get(path) {
            Some(Node::File(id)) if state.inodes[*id].now.len() <= max_bytes => {
                Ok(state.inodes[*id].now.to_vec())
            }
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn lock(&self, _path: &Path) -> io::Result<SimulatedLock> {
        let mut state = self.0.borrow_mut();
        if std::mem::replace(&mut state.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(SimulatedLock(Rc::clone(&self.0)))
    }
}

/// xorshift64*: enough to decide what a power cut keeps.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound as u64).unwrap()
    }
}
