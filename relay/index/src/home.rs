//! The folder of a store on the local disk.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::names;

/// File that is locked while a relay uses the folder.
const LOCK: &str = "lock";
/// File with the name of the relay.
const RELAY: &str = "relay.json";

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It cannot be made or written to.
    #[error(
        "cannot write to {path:?}: give the relay a folder it may write to, or `none` to keep flows in memory only"
    )]
    NotWritable {
        /// Folder or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another relay uses it.
    #[error("another relay uses {path:?}: stop it, or give this one a folder of its own")]
    Locked {
        /// Folder.
        path: PathBuf,
    },
    /// What it says of itself cannot be read.
    #[error("{path:?} is damaged: restore it, or move the folder away to begin anew")]
    Damaged {
        /// File.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    root: PathBuf,
    relay: String,
    _lock: File,
}

/// Who the folder belongs to.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    format: u32,
    relay: String,
}

impl Home {
    /// Makes the folder where it is missing, and locks it.
    pub(crate) fn open(root: &Path) -> Result<Self, HomeError> {
        let not_writable = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::NotWritable { path, source }
        };
        for folder in [root.to_owned(), root.join("wal"), root.join("quarantine")] {
            std::fs::create_dir_all(&folder).map_err(not_writable(&folder))?;
        }
        let path = root.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(not_writable(&path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => HomeError::Locked { path: root.to_owned() },
            TryLockError::Error(source) => HomeError::NotWritable { path, source },
        })?;
        let path = root.join(RELAY);
        let relay = match std::fs::read(&path) {
            Ok(bytes) => {
                let about: About =
                    serde_json::from_slice(&bytes).map_err(|source| HomeError::Damaged { path, source })?;
                about.relay
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let relay = names::draw_relay().map_err(not_writable(&path))?;
                let about = About { format: 1, relay: relay.clone() };
                let bytes = serde_json::to_vec(&about).expect("two plain fields");
                write_whole(&path, &bytes).map_err(not_writable(&path))?;
                relay
            }
            Err(error) => return Err(not_writable(&path)(error)),
        };
        Ok(Self { root: root.to_owned(), relay, _lock: lock })
    }

    /// Name of the relay whose folder this is, without its lock; `None` where there is none.
    pub(crate) fn relay_of(root: &Path) -> Option<String> {
        let about: About = serde_json::from_slice(&std::fs::read(root.join(RELAY)).ok()?).ok()?;
        Some(about.relay)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Name of the relay.
    pub(crate) fn relay(&self) -> &str {
        &self.relay
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("wal")
    }
}

/// Writes a file that is there as a whole or not at all, also after a crash.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let written = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    };
    // What is left of a file that could not be written only takes room; the cause is what matters.
    written().inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}
