//! Listening on TCP and on a Unix socket, with errors that say what to do.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::StartError;

/// Rights of the Unix socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// Listens on TCP. `purpose` and `key`, the setting to change, are for messages.
///
/// # Errors
/// The address cannot be had.
pub(crate) async fn tcp(
    address: SocketAddr,
    purpose: &'static str,
    key: &'static str,
) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|cause| {
        let port = address.port();
        let remedy = match cause.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} is in use by another program; stop it (`ss -ltnp 'sport = :{port}'` names it) or set {key}"
            ),
            io::ErrorKind::PermissionDenied => format!("ports below 1024 take root or CAP_NET_BIND_SERVICE; set {key}"),
            io::ErrorKind::AddrNotAvailable => format!("no device of this machine has that address; set {key}"),
            _ => format!("set {key} to another address"),
        };
        StartError::Listen { purpose, address, remedy, cause }
    })
}

/// Makes a Unix socket and the directories above it. One that an earlier run left behind is replaced.
///
/// # Errors
/// The socket cannot be made, or another program listens on it.
pub(crate) async fn unix(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |remedy: &str, cause: io::Error| {
        let remedy = match cause.kind() {
            io::ErrorKind::PermissionDenied => {
                "this user may not write there; run as root or set observer.socket to another path or to null"
            }
            _ => remedy,
        };
        StartError::Socket { path: path.to_owned(), remedy: remedy.to_owned(), cause }
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|cause| failed("its directory cannot be made", cause))?;
    }
    make_room(path).await.map_err(|(remedy, cause)| failed(remedy, cause))?;
    let listener = UnixListener::bind(path)
        .map_err(|cause| failed("set observer.socket to another path (108 bytes at most) or to null", cause))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))
        .map_err(|cause| failed("its rights cannot be set", cause))?;
    Ok(listener)
}

/// Removes a socket nobody listens on; refuses to remove anything else.
async fn make_room(path: &Path) -> Result<(), (&'static str, io::Error)> {
    let facts = match std::fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(("set observer.socket to another path or to null", error)),
    };
    if !facts.file_type().is_socket() {
        let cause = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(("another file is there and is left alone; set observer.socket to another path", cause));
    }
    match UnixStream::connect(path).await {
        Ok(_) => {
            let cause = io::Error::from(io::ErrorKind::AddrInUse);
            Err(("another collector listens on it; stop that one or set observer.socket to another path", cause))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "removing the socket of an earlier run");
            std::fs::remove_file(path).map_err(|cause| ("the socket of an earlier run cannot be removed", cause))
        }
        Err(error) => Err(("set observer.socket to another path or to null", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: &StartError) -> String {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = tcp(address, "observer API", "observer.listen").await.unwrap_err();
        let port = address.port();
        let text = text(&error);
        assert!(text.contains(&format!("port {port} is in use")) && text.contains("set observer.listen"), "{text}");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/observer.sock");
        let first = unix(&path).await.unwrap();
        let text_of = |result: Result<UnixListener, StartError>| text(&result.unwrap_err());
        assert!(text_of(unix(&path).await).contains("another collector listens on it"));
        drop(first);
        assert!(path.exists());
        let second = unix(&path).await.unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        drop(second);
        let file = directory.path().join("precious");
        std::fs::write(&file, "data").unwrap();
        assert!(text_of(unix(&file).await).contains("left alone"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "data");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let error = unix(&directory.path().join("x".repeat(120))).await.unwrap_err();
        assert!(text(&error).contains("108 bytes"), "{}", text(&error));
    }
}
