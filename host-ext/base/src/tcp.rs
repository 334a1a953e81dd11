//! The kernel's table of TCP sockets of this network namespace (proc_net(5)), read with bounds.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Some 170 bytes for each socket.
const TABLE_MAX_BYTES: u64 = 32 << 20;
const LISTEN: &str = "0A";

/// A socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub listens: bool,
    pub uid: u32,
    /// 0 while nobody has accepted it.
    pub inode: u64,
}

/// All of them.
///
/// # Errors
/// If the table cannot be read.
pub fn table() -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let mut text = String::new();
        match File::open(table) {
            Ok(file) => file.take(TABLE_MAX_BYTES).read_to_string(&mut text)?,
            // A kernel without version 6.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        entries.extend(parse(&text));
    }
    Ok(entries)
}

/// The addresses as one form each: a socket of version 6 shows those of version 4 in its own way.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn parse(table: &str) -> impl Iterator<Item = Entry> + '_ {
    table.lines().skip(1).filter_map(entry)
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let listens = fields.next()? == LISTEN;
    // Queues, timer and retransmissions; then the user, timeouts, and the inode.
    let (uid, inode) = (fields.nth(3)?.parse().ok()?, fields.nth(1)?.parse().ok()?);
    Some(Entry { local, remote, listens, uid, inode })
}

/// The kernel prints each 32 bits of an address as this machine's number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_and_both_ends_of_a_connection_are_found_with_their_user() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (there, _) = listener.accept().unwrap();
        let table = table().unwrap();
        let bound = listener.local_addr().unwrap();
        let us = rustix::process::geteuid().as_raw();
        assert!(table.iter().any(|entry| entry.listens && entry.local == bound && entry.uid == us));
        let pair = (there.local_addr().unwrap(), here.local_addr().unwrap());
        for ends in [pair, (pair.1, pair.0)] {
            let found = table.iter().find(|entry| (entry.local, entry.remote) == ends).unwrap();
            assert!(!found.listens && found.uid == us && found.inode != 0, "{found:?}");
        }
    }

    #[test]
    fn what_is_no_line_of_the_table_is_left_out() {
        for text in ["", "sl local", "h\n0: x y 0A", "h\n0: 0100007F:0D3D 00000000:0000"] {
            assert_eq!(parse(text).count(), 0, "{text:?}");
        }
    }

    #[test]
    fn addresses_of_both_versions_are_read() {
        if cfg!(target_endian = "little") {
            assert_eq!(address("0100007F:170C"), Some("127.0.0.1:5900".parse().unwrap()));
            let mapped = address("0000000000000000FFFF00000100007F:0D3D");
            assert_eq!(mapped, Some("127.0.0.1:3389".parse().unwrap()));
        }
        for bad in ["", "0100007F", "0100007:1", "0100007F:1FFFF", "x100007F:1"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
