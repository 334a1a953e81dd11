//! Who is at the other end of a connection inside this machine.

use std::io;
use std::net::{IpAddr, SocketAddr};

use sudare_base::tcp;
pub(crate) use sudare_base::tcp::canonical;

/// A connection: this end, and the other.
pub(crate) type Pair = (SocketAddr, SocketAddr);

/// The user of whoever accepted the other end of this connection. `None` while nobody has, or if nobody here has it.
///
/// # Errors
/// If the kernel's table cannot be read.
pub(crate) fn accepted_by(ends: Pair) -> io::Result<Option<u32>> {
    let theirs = (canonical(ends.1), canonical(ends.0));
    let found = tcp::table()?.into_iter().find(|entry| (entry.local, entry.remote) == theirs);
    Ok(found.filter(|entry| entry.inode != 0).map(|entry| entry.uid))
}

/// Whether an address is this machine's own.
pub(crate) fn is_here(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
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
    fn this_machine_is_told_in_both_versions() {
        assert!(is_here("::ffff:127.0.0.1".parse().unwrap()) && !is_here("192.0.2.1".parse().unwrap()));
    }
}
