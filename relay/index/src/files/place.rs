//! Where the files are: a folder, or an object store.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

use crate::home::write_whole;

/// A folder or an object store. All calls block.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Folder(PathBuf),
    Store(Remote),
}

/// An object store, called on a thread of its own, because the callers have none that may wait for a future.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    work: SyncSender<Work>,
    timeout: Duration,
}

type Work = Box<dyn FnOnce(&tokio::runtime::Runtime) + Send>;

/// Calls that wait for the thread of an object store.
const CALLS_MAX: usize = 64;
/// Time for a call, with all that the client tries again by itself. A store that never answers must not hold up its
/// caller for ever.
const CALL_TIMEOUT: Duration = Duration::from_secs(240);

impl Remote {
    /// Opens a store by its URL, with credentials from the environment (`AWS_*`).
    pub(crate) fn open(url: &str) -> io::Result<Self> {
        let parsed: url::Url = url.parse().map_err(io::Error::other)?;
        let (store, prefix) =
            object_store::parse_url_opts(&parsed, options(std::env::vars_os())).map_err(io::Error::other)?;
        Self::over(Arc::from(store), prefix, CALL_TIMEOUT)
    }

    /// A place in an object store, each call of which may take so long.
    pub(crate) fn over(store: Arc<dyn ObjectStore>, prefix: Key, timeout: Duration) -> io::Result<Self> {
        let (work, jobs) = sync_channel::<Work>(CALLS_MAX);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        std::thread::Builder::new().name("object-store".to_owned()).spawn(move || {
            for job in jobs {
                job(&runtime);
            }
        })?;
        Ok(Self { store, prefix, work, timeout })
    }

    /// Runs a call to its end.
    fn call<T, F>(&self, call: impl FnOnce(Arc<dyn ObjectStore>) -> F + Send + 'static) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let (store, timeout) = (Arc::clone(&self.store), self.timeout);
        let job: Work = Box::new(move |runtime| {
            runtime.spawn(async move {
                // The caller waits for the answer, so it is there to take it.
                drop(answer.send(tokio::time::timeout(timeout, call(store)).await));
            });
        });
        let gone = || io::Error::other("the thread of the object store has ended");
        self.work.send(job).map_err(|_| gone())?;
        let late =
            |_| io::Error::new(io::ErrorKind::TimedOut, format!("the object store did not answer in {timeout:?}"));
        answered.recv().map_err(|_| gone())?.map_err(late)?.map_err(to_io)
    }

    fn key(&self, path: &str) -> Key {
        self.prefix.parts().chain(Key::from(path).parts()).collect()
    }
}

/// What an environment says of object stores. A variable that is no text is none of theirs.
fn options(environment: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    environment.filter_map(|(name, value)| Some((name.to_str()?.to_ascii_lowercase(), value.into_string().ok()?)))
}

fn to_io(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Place {
    /// Puts a file there, as a whole or not at all; one of that name must not be there.
    pub(crate) fn put(&self, path: &str, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Folder(root) => {
                let whole = root.join(path);
                let folder = whole.parent().unwrap_or(root);
                std::fs::create_dir_all(folder)?;
                write_whole(&whole, &bytes)?;
                sync_up_to(root, folder)
            }
            Self::Store(remote) => {
                let key = remote.key(path);
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                remote.call(move |store| async move { store.put_opts(&key, bytes.into(), options).await.map(|_| ()) })
            }
        }
    }

    /// Reads parts of a file.
    pub(crate) fn read(&self, path: &str, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        match self {
            Self::Folder(root) => {
                let mut file = File::open(root.join(path))?;
                ranges.iter().map(|range| read_part(&mut file, range)).collect()
            }
            Self::Store(remote) => {
                let (key, ranges) = (remote.key(path), ranges.to_vec());
                remote.call(move |store| async move { store.get_ranges(&key, &ranges).await })
            }
        }
    }

    /// Length of a file.
    pub(crate) fn length(&self, path: &str) -> io::Result<u64> {
        match self {
            Self::Folder(root) => Ok(std::fs::metadata(root.join(path))?.len()),
            Self::Store(remote) => {
                let key = remote.key(path);
                remote.call(move |store| async move { store.head(&key).await.map(|meta| meta.size) })
            }
        }
    }

    /// All files below a folder, in the order of their names.
    pub(crate) fn list(&self, below: &str) -> io::Result<Vec<String>> {
        let mut paths = Vec::new();
        match self {
            Self::Folder(root) => list_folder(root, &root.join(below), &mut paths)?,
            Self::Store(remote) => {
                let (prefix, from) = (remote.key(below), remote.prefix.clone());
                let found = remote.call(move |store| async move {
                    let found = store.list(Some(&prefix));
                    found.map_ok(|meta| meta.location).try_collect::<Vec<Key>>().await
                })?;
                let inside = |key: &Key| Some(key.prefix_match(&from)?.collect::<Key>().to_string());
                paths.extend(found.iter().filter_map(inside));
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Deletes a file; one that is not there is fine.
    pub(crate) fn delete(&self, path: &str) -> io::Result<()> {
        let deleted = match self {
            Self::Folder(root) => std::fs::remove_file(root.join(path)),
            Self::Store(remote) => {
                let key = remote.key(path);
                remote.call(move |store| async move { store.delete(&key).await })
            }
        };
        match deleted {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => {
                self.tidy_folders(path);
                Ok(())
            }
        }
    }

    /// Removes folders that have become empty.
    fn tidy_folders(&self, path: &str) {
        let Self::Folder(root) = self else { return };
        let folders = Path::new(path).ancestors().skip(1).take(2);
        // The system refuses where a folder has files, which is the point.
        folders.take_while(|folder| std::fs::remove_dir(root.join(folder)).is_ok()).for_each(drop);
    }

    /// Moves a file out of the way, under `quarantine/`.
    pub(crate) fn set_aside(&self, path: &str) -> io::Result<String> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let aside = format!("quarantine/{name}");
        match self {
            Self::Folder(root) => {
                std::fs::create_dir_all(root.join("quarantine"))?;
                std::fs::rename(root.join(path), root.join(&aside))?;
            }
            Self::Store(remote) => {
                let (from, to) = (remote.key(path), remote.key(&aside));
                remote.call(move |store| async move { store.rename(&from, &to).await })?;
            }
        }
        Ok(aside)
    }
}

fn read_part(file: &mut File, range: &Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    // Checked first, so that a damaged footer cannot ask for more memory than the file has bytes.
    if file.metadata()?.len() < range.end {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(range.start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

/// Makes the folders from `folder` up to `root` durable.
fn sync_up_to(root: &Path, folder: &Path) -> io::Result<()> {
    for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn list_folder(root: &Path, folder: &Path, paths: &mut Vec<String>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list_folder(root, &entry.path(), paths)?;
        } else if let Some(path) = entry.path().strip_prefix(root).ok().and_then(Path::to_str) {
            paths.push(path.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn variables_that_are_no_text_are_left_out() {
        let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let environment = [
            (bytes(b"FOO"), bytes(b"\xff")),
            (bytes(b"\xff"), bytes(b"1")),
            (bytes(b"AWS_REGION"), bytes(b"eu-west-1")),
        ];
        let told: Vec<_> = options(environment.into_iter()).collect();
        assert_eq!(told, [("aws_region".to_owned(), "eu-west-1".to_owned())]);
    }
}
