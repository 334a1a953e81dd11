//! The devices of a bundle in one file, in which one is found without reading the others.
//!
//! ```text
//!  how many  u32 BE
//!  a place for each, by ids: id 16, offset u64 BE, length u32 BE
//!  the records, one after the other
//! ```
//! Ten thousand small files would take seconds to write and to remove on a busy disk, and guards look for one record each
//! few seconds. Each record is signed by itself, so nothing here is believed.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sudare_protocol::bundle::claimed_device;
use sudare_protocol::limits::{BUNDLE_DEVICES_MAX, RECORD_MAX_BYTES};
use sudare_protocol::message::Id;

const HEAD_BYTES: usize = 4;
const PLACE_BYTES: usize = 16 + 8 + 4;

/// The file as it is written. A record that cannot be read names nobody, and of several with one id the last counts.
pub(super) fn packed<'r>(records: impl Iterator<Item = &'r [u8]>) -> Vec<u8> {
    let mut known: Vec<(Id, &[u8])> = records.filter_map(|one| Some((claimed_device(one)?, one))).collect();
    // The sort is stable, so that the last one of an id is the first after the reversal.
    known.reverse();
    known.sort_by_key(|(id, _)| *id);
    known.dedup_by_key(|(id, _)| *id);
    let mut offset = (HEAD_BYTES + known.len() * PLACE_BYTES) as u64;
    // A bundle's counts and sizes are bounded far below these.
    let short = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut file = short(known.len()).to_vec();
    for (id, record) in &known {
        file.extend_from_slice(id);
        file.extend_from_slice(&offset.to_be_bytes());
        file.extend_from_slice(&short(record.len()));
        offset += record.len() as u64;
    }
    known.iter().for_each(|(_, record)| file.extend_from_slice(record));
    file
}

/// Where one record is.
struct Place {
    id: Id,
    offset: u64,
    length: usize,
}

/// The file of the bundle in place.
pub(super) struct Devices {
    file: File,
    count: u64,
}

impl Devices {
    /// `None` if there is no bundle.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut head = [0; HEAD_BYTES];
        file.read_exact_at(&mut head, 0)?;
        let count = u64::from(u32::from_be_bytes(head));
        if count > BUNDLE_DEVICES_MAX as u64 {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(Some(Devices { file, count }))
    }

    /// The record of a device.
    pub(super) fn find(&self, id: &Id) -> io::Result<Option<Vec<u8>>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let place = self.place(middle)?;
            match place.id.cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let mut record = vec![0; place.length];
                    self.file.read_exact_at(&mut record, place.offset)?;
                    return Ok(Some(record));
                }
            }
        }
        Ok(None)
    }

    /// All ids.
    pub(super) fn ids(&self) -> io::Result<Vec<Id>> {
        (0..self.count).map(|at| Ok(self.place(at)?.id)).collect()
    }

    fn place(&self, at: u64) -> io::Result<Place> {
        let mut bytes = [0; PLACE_BYTES];
        self.file.read_exact_at(&mut bytes, HEAD_BYTES as u64 + at * PLACE_BYTES as u64)?;
        let read = || {
            let (id, rest) = bytes.split_first_chunk::<16>()?;
            let (offset, length) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u32::from_be_bytes(*length.first_chunk()?)).ok()?;
            Some(Place { id: *id, offset: u64::from_be_bytes(*offset), length })
        };
        read().filter(|place| place.length <= RECORD_MAX_BYTES).ok_or_else(|| ErrorKind::InvalidData.into())
    }
}

/// The file's name in the folder of a bundle.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("devices")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{device, id};
    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn each_device_is_found_and_nobody_else() {
        for count in [0, 1, 2, 7, 64] {
            let records: Vec<Vec<u8>> = (0..count).map(device).collect();
            let (_dir, path) = written(&packed(records.iter().map(Vec::as_slice)));
            let devices = Devices::open(&path).unwrap().unwrap();
            for (n, record) in (0..).zip(&records) {
                assert_eq!(devices.find(&id(n)).unwrap().as_ref(), Some(record));
            }
            for stranger in [id(count), [0; 16], [255; 16]] {
                assert_eq!(devices.find(&stranger).unwrap(), None);
            }
            let mut ids: Vec<Id> = (0..count).map(id).collect();
            ids.sort_unstable();
            assert_eq!(devices.ids().unwrap(), ids);
        }
    }

    #[test]
    fn what_names_nobody_is_left_out_and_of_two_the_last_one_counts() {
        let (first, second) = (device(1), device(1));
        let other = device(2);
        let records: [&[u8]; 4] = [&first, b"torn", &other, &second];
        let (_dir, path) = written(&packed(records.into_iter()));
        let devices = Devices::open(&path).unwrap().unwrap();
        assert_eq!((devices.ids().unwrap().len(), devices.find(&id(1)).unwrap()), (2, Some(second)));
    }

    /// Nobody but our own programs writes it; whatever is there, an error lets nobody in.
    #[test]
    fn a_damaged_file_is_an_error_or_finds_nobody_and_ends() {
        let whole = packed([device(1), device(2)].iter().map(Vec::as_slice));
        for at in 0..HEAD_BYTES + 2 * PLACE_BYTES {
            let mut bad = whole.clone();
            bad[at] ^= 0xff;
            let (_dir, path) = written(&bad);
            if let Ok(Some(devices)) = Devices::open(&path) {
                for n in [1, 2] {
                    let found = devices.find(&id(n)).ok().flatten();
                    assert!(found.is_none_or(|record| record.len() <= RECORD_MAX_BYTES), "byte {at}");
                }
            }
        }
        for length in 0..whole.len() {
            let (_dir, path) = written(&whole[..length]);
            let found = Devices::open(&path).and_then(|devices| devices.unwrap().find(&id(2)));
            assert!(found.is_err() || found.unwrap().is_none_or(|record| record == device(2)), "{length}");
        }
    }
}
