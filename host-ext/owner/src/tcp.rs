//! The kernel's table of TCP sockets (proc_net(5)): who is at the other end of a connection inside this machine.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Some 170 bytes for each socket.
const TABLE_MAX_BYTES: u64 = 32 << 20;

/// A connection: this end, and the other.
pub(crate) type Pair = (SocketAddr, SocketAddr);

/// The user of whoever accepted the other end of this connection. `None` while nobody has, or if nobody here has it.
///
/// # Errors
/// If the table cannot be read.
pub(crate) fn accepted_by(ends: Pair) -> io::Result<Option<u32>> {
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let mut text = String::new();
        match File::open(table) {
            Ok(file) => file.take(TABLE_MAX_BYTES).read_to_string(&mut text)?,
            // A kernel without version 6.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if let Some(uid) = find(&text, (ends.1, ends.0)) {
            return Ok(uid);
        }
    }
    Ok(None)
}

/// Whether an address is this machine's own.
pub(crate) fn is_here(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// The addresses as one form each: a socket of version 6 shows those of version 4 in its own way.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The user of the connection with these ends, `Some(None)` if nobody has accepted it.
fn find(table: &str, ends: Pair) -> Option<Option<u32>> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
        if (local, remote) != (canonical(ends.0), canonical(ends.1)) {
            return None;
        }
        // State, queues, timer and retransmissions; then the user, timeouts, and the inode.
        let uid: u32 = fields.nth(4)?.parse().ok()?;
        let inode: u64 = fields.nth(1)?.parse().ok()?;
        Some((inode != 0).then_some(uid))
    })
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
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn whoever_accepted_the_other_end_is_found_and_nobody_before() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ends = (here.local_addr().unwrap(), here.peer_addr().unwrap());
        assert_eq!(accepted_by(ends).unwrap(), None);
        let (_there, _) = listener.accept().unwrap();
        assert_eq!(accepted_by(ends).unwrap(), Some(rustix::process::geteuid().as_raw()));
        assert_eq!(accepted_by((ends.0, "127.0.0.1:1".parse().unwrap())).unwrap(), None);
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
        assert!(is_here("::ffff:127.0.0.1".parse().unwrap()) && !is_here("192.0.2.1".parse().unwrap()));
    }
}
