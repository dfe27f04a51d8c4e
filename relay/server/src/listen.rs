//! Opening ports, and saying who holds one that is taken.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

/// A port that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {purpose} on {address}{holder}; {remedy}")]
pub struct ListenError {
    /// What the port is for.
    pub purpose: &'static str,
    /// Address asked for.
    pub address: SocketAddr,
    /// Who holds it, as ` (held by name, pid 12)`; empty where that is not known.
    pub holder: String,
    /// What to do about it.
    pub remedy: String,
    /// What the kernel said.
    #[source]
    pub cause: io::Error,
}

/// Opens a TCP port. `key` is the setting to name in the remedy.
///
/// # Errors
/// The port is taken, the address is not on this machine, or the right to bind it is missing.
pub(crate) async fn listen(
    purpose: &'static str,
    key: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| {
        let taken = cause.kind() == io::ErrorKind::AddrInUse;
        let holder = if taken { holder_of(address.port()) } else { None };
        let remedy = match cause.kind() {
            io::ErrorKind::AddrInUse => format!("stop what holds the port, or set {key} to another one"),
            io::ErrorKind::AddrNotAvailable => format!("set {key} to an address of this machine, or to 0.0.0.0"),
            io::ErrorKind::PermissionDenied => format!("set {key} to a port above 1023, or grant CAP_NET_BIND_SERVICE"),
            _ => format!("set {key} to another address"),
        };
        ListenError {
            purpose,
            address,
            holder: holder.map(|h| format!(" (held by {h})")).unwrap_or_default(),
            remedy,
            cause,
        }
    })
}

/// Process that listens on a TCP port of this network namespace, as `name, pid 12`; `None` where it cannot be seen.
fn holder_of(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inode = tables.iter().find_map(|t| listening_inode(&std::fs::read_to_string(t).ok()?, port))?;
    let target = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if has_open(&process.path(), &target) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{}, pid {pid}", name.trim_end()));
        }
    }
    None
}

fn has_open(process: &Path, target: &str) -> bool {
    let Ok(files) = std::fs::read_dir(process.join("fd")) else { return false };
    files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == target))
}

/// Inode of the socket that listens on `port` in a table of the form of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (_, local_port) = fields.next()?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        (state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port)).then(|| inode.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder_and_the_setting() {
        let first = listen("tests", "grpc_listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = listen("gRPC", "grpc_listen", address).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen for gRPC on {address} (held by ")), "{error}");
        assert!(error.contains(&format!("pid {}", std::process::id())) && error.contains("set grpc_listen"), "{error}");
    }

    #[tokio::test]
    async fn a_foreign_address_is_explained() {
        let error = listen("HTTP", "http_listen", "192.0.2.1:0".parse().unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("an address of this machine"), "{error}");
    }
}
