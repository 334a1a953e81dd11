//! The kernel's table of TCP sockets (proc_net(5)), and which process holds one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use sudare_base::proc;

const LISTEN: &str = "0A";

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) listens: bool,
    pub(super) inode: u64,
}

/// All TCP sockets of this network namespace.
pub(super) fn table() -> std::io::Result<Vec<Entry>> {
    let mut entries = parse(&std::fs::read_to_string("/proc/net/tcp")?);
    // A kernel without version 6 has no such file.
    entries.extend(parse(&std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default()));
    Ok(entries)
}

fn parse(table: &str) -> Vec<Entry> {
    table.lines().skip(1).filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let listens = fields.next()? == LISTEN;
    // Queues, timer, retransmissions, user and timeouts come before it.
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Entry { local, remote, listens, inode })
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

/// The names of the programs that hold the socket with this inode; other users' only for root.
pub(super) fn holders(inode: u64) -> Vec<String> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let holds = |folder: &PathBuf| {
        let descriptors = std::fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
        descriptors
            .map(|entry| entry.path())
            .any(|path| std::fs::read_link(path).is_ok_and(|to| to == wanted))
    };
    let name =
        |folder: PathBuf| std::fs::read_link(folder.join("exe")).ok().map(|exe| proc::program_name(&exe));
    folders.filter(holds).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_and_both_ends_of_a_connection_are_found_with_their_program() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (there, _) = listener.accept().unwrap();
        let table = table().unwrap();
        let bound = listener.local_addr().unwrap();
        let listening = table.iter().find(|entry| entry.listens && entry.local == bound).unwrap();
        let pair = (there.local_addr().unwrap(), here.local_addr().unwrap());
        let accepted =
            table.iter().find(|entry| !entry.listens && (entry.local, entry.remote) == pair).unwrap();
        let this = std::env::current_exe().unwrap();
        let this = this.file_name().unwrap().to_str().unwrap();
        for inode in [listening.inode, accepted.inode] {
            assert!(holders(inode).iter().any(|name| name == this), "{:?}", holders(inode));
        }
        assert_eq!(holders(u64::MAX), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_line_of_the_table_is_left_out() {
        for text in ["", "sl local", "h\n0: x y 0A", "h\n0: 0100007F:0D3D 00000000:0000"] {
            assert_eq!(parse(text), Vec::new(), "{text:?}");
        }
    }
}
