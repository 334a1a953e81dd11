//! Which programs hold a socket.

use std::path::PathBuf;

use sudare_base::proc;

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

    use sudare_base::tcp;

    use super::*;

    #[test]
    fn a_listener_and_what_it_accepted_are_found_with_their_program() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (there, _) = listener.accept().unwrap();
        let table = tcp::table().unwrap();
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
}
