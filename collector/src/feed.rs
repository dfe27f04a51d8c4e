//! A thread that reads a file ahead of the pipeline, so that the pipeline never waits for a disk or a pipe for longer
//! than it wants to.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use flate2::read::MultiGzDecoder;

/// Batches read ahead. When full, the reading thread waits.
const BATCHES_AHEAD: usize = 4;
/// Bytes asked of the file at once.
const READ_BYTES: usize = 256 << 10;
/// What a gzip file begins with.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Any error of a reader.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// The file cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {path}")]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    #[source]
    pub cause: io::Error,
}

/// A file as the reading thread gets it.
pub(crate) type Input = BufReader<Box<dyn Read + Send>>;

/// Batches of what a thread reads.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    batches: Receiver<Result<Vec<T>, Cause>>,
    thread: Option<JoinHandle<()>>,
}

/// The reading thread panicked.
#[derive(Debug, thiserror::Error)]
#[error("reading the file ended by a panic, which is a bug")]
struct Panicked;

/// What is there.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Something was read.
    Batch(Vec<T>),
    /// Nothing within the timeout.
    Idle,
    /// All was read.
    End,
}

/// Where the reading thread puts what it read.
#[derive(Debug)]
pub(crate) struct Sender<T>(SyncSender<Result<Vec<T>, Cause>>);

impl<T> Sender<T> {
    /// Hands over a batch; returns whether anybody still wants more.
    pub(crate) fn send(&self, batch: Vec<T>) -> bool {
        self.0.send(Ok(batch)).is_ok()
    }
}

impl<T: Send + 'static> Feed<T> {
    /// Opens a file, standard input for `-`, and starts to `read` it on a thread of its own. Gzip is unpacked.
    ///
    /// The thread ends with the file, with its first error, or when the feed is dropped and the file gives something.
    pub(crate) fn start(
        path: &Path,
        read: impl FnOnce(Input, &Sender<T>) -> Result<(), Cause> + Send + 'static,
    ) -> Result<Self, OpenError> {
        let failed = |cause| OpenError { path: path.to_owned(), cause };
        let input: Box<dyn Read + Send> =
            if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
        let (sender, batches) = sync_channel(BATCHES_AHEAD);
        let work = move || {
            let sender = Sender(sender);
            let result = unpacked(input).map_err(Cause::from).and_then(|input| read(input, &sender));
            if let Err(cause) = result
                && sender.0.send(Err(cause)).is_err()
            {
                tracing::debug!("a file was left before its error was read");
            }
        };
        let thread = std::thread::Builder::new().name("weir-file".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { batches, thread: Some(thread) })
    }

    /// Takes the next batch, waiting at most `timeout`.
    ///
    /// # Errors
    /// The file could not be read to its end. After that, and after the end, there is only the end.
    pub(crate) fn next(&mut self, timeout: Duration) -> Result<Next<T>, Cause> {
        match self.batches.recv_timeout(timeout) {
            Ok(batch) => batch.map(Next::Batch),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Idle),
            // The thread has let go of its end, so it does not keep anybody waiting. Dropped before that, the feed does
            // not wait for it: a read of standard input cannot be interrupted.
            Err(RecvTimeoutError::Disconnected) => match self.thread.take().map(JoinHandle::join) {
                Some(Err(_panic)) => Err(Panicked.into()),
                _ => Ok(Next::End),
            },
        }
    }
}

/// The input, unpacked if it is gzip.
fn unpacked(mut input: Box<dyn Read + Send>) -> io::Result<Input> {
    let mut start = Vec::new();
    Read::by_ref(&mut input).take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let packed = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(input);
    let whole: Box<dyn Read + Send> = if packed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
    Ok(BufReader::with_capacity(READ_BYTES, whole))
}
