//! A file that is set aside when it is full, as Hubble's flow logs are.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use flow::Timestamp;

/// Rights of a file where there was none: flows are not for everybody. Whoever changes them does so for later files too.
const FILE_MODE: u32 = 0o600;
/// Bytes gathered before the system is asked to write them.
const BUFFER_BYTES: usize = 64 << 10;

/// How a file grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    /// Bytes at which the file is set aside.
    pub(super) bytes_max: u64,
    /// Files set aside that are kept; 0 keeps all.
    pub(super) backups_max: usize,
    /// Whether those are packed by gzip.
    pub(super) compress: bool,
}

/// The end of a flow log: a file, or standard output.
#[derive(Debug)]
pub(super) enum Output {
    File(RotatingFile),
    Stdout(io::Stdout),
}

/// A file that is set aside when it is full.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    file: BufWriter<File>,
    bytes: u64,
    /// Packs and removes what was set aside.
    tidying: Option<JoinHandle<()>>,
}

impl Output {
    /// Writes a line with its end. `now` names the file that is set aside, should it be full.
    pub(super) fn write_line(&mut self, line: &str, now: Timestamp) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_line(line, now),
            Self::Stdout(stdout) => stdout.write_all(line.as_bytes()),
        }
    }

    /// Hands everything to the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }

    /// Does so, and waits until what was set aside is tidied: others may open the file then.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Self::File(file) = self {
            file.wait_for_tidying();
        }
        self.flush()
    }
}

impl RotatingFile {
    /// Opens the file to append to it; makes it and the directories above it where they are missing. Tidies what an
    /// earlier run set aside.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let (file, bytes) = open(path)?;
        let mut file = Self { path: path.to_owned(), rotation, file, bytes, tidying: None };
        file.tidy()?;
        Ok(file)
    }

    fn write_line(&mut self, line: &str, now: Timestamp) -> io::Result<()> {
        let length = line.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.rotation.bytes_max {
            self.rotate(now)?;
        }
        // At once: what finds no room on a full disk is a line with its end, never the end alone.
        self.file.write_all(line.as_bytes())?;
        self.bytes += length;
        Ok(())
    }

    /// Sets the file aside under a name with the time, and begins a new one with its rights.
    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        self.file.flush()?;
        let before = self.file.get_ref().metadata()?;
        match std::fs::rename(&self.path, free_name(&self.path, now)) {
            // Somebody else took the file away, or its whole directory: the log goes on in a new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        (self.file, self.bytes) = open(&self.path)?;
        take_over(self.file.get_ref(), &before)?;
        self.tidy()
    }

    fn tidy(&mut self) -> io::Result<()> {
        // One at a time: a disk that is slower than the flows must not be asked for more and more.
        self.wait_for_tidying();
        let (path, rotation) = (self.path.clone(), self.rotation.clone());
        let tidy = move || {
            if let Err(error) = tidy(&path, &rotation) {
                tracing::warn!(file = %path.display(), %error, "flow logs that were set aside are not tidied");
            }
        };
        self.tidying = Some(std::thread::Builder::new().name("weir-export-tidy".to_owned()).spawn(tidy)?);
        Ok(())
    }

    fn wait_for_tidying(&mut self) {
        if let Some(tidying) = self.tidying.take()
            && tidying.join().is_err()
        {
            tracing::error!(file = %self.path.display(), "packing a flow log panicked");
        }
    }
}

impl Drop for RotatingFile {
    fn drop(&mut self) {
        if let Err(error) = self.file.flush() {
            tracing::warn!(file = %self.path.display(), %error, "the last lines of a flow log are lost");
        }
        self.wait_for_tidying();
    }
}

fn open(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((BufWriter::with_capacity(BUFFER_BYTES, file), bytes))
}

/// Gives a new file the rights and, if we may, the owner of the one before it: whoever reads the log may go on.
fn take_over(file: &File, before: &Metadata) -> io::Result<()> {
    file.set_permissions(before.permissions())?;
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid())
        && let Err(error) = fchown(file, Some(before.uid()), Some(before.gid()))
    {
        tracing::debug!(%error, "a flow log cannot be given to its former owner");
    }
    Ok(())
}

/// `flows.log` becomes `flows-2026-01-15T10-11-12.345.log`, in UTC. Where that is taken, a millisecond later is tried.
fn free_name(path: &Path, now: Timestamp) -> PathBuf {
    let mut at = now;
    loop {
        let name = backup_name(path, at);
        let packed = with_gz(&name);
        if !name.exists() && !packed.exists() {
            return name;
        }
        at = at.after(std::time::Duration::from_millis(1));
    }
}

fn backup_name(path: &Path, at: Timestamp) -> PathBuf {
    // Without colons, which some file systems refuse.
    let stamp = at.format("%Y-%m-%dT%H-%M-%S%.3f");
    let (prefix, suffix) = name_parts(path);
    path.with_file_name(format!("{prefix}{stamp}{suffix}"))
}

/// What stands before and after the time in the names of files that were set aside.
fn name_parts(path: &Path) -> (String, String) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, extension) = name.split_at(name.rfind('.').unwrap_or(name.len()));
    (format!("{stem}-"), extension.to_owned())
}

fn with_gz(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".gz");
    name.into()
}

/// Packs a file. The name of the packed one stands for whole content: until then it has another.
fn pack(path: &Path) -> io::Result<()> {
    let packed = with_gz(path);
    let mut unfinished = OsString::from(&packed);
    unfinished.push(".tmp");
    let mut from = File::open(path)?;
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&unfinished)?;
    take_over(&out, &from.metadata()?)?;
    let mut encoder = GzEncoder::new(BufWriter::new(out), Compression::default());
    io::copy(&mut from, &mut encoder)?;
    let out = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.sync_all()?;
    std::fs::rename(&unfinished, &packed)?;
    std::fs::remove_file(path)
}

/// Removes the oldest files that were set aside, beyond those that are kept, and packs the others if so asked; their
/// names sort by time. One that is there packed and not packed, because packing was interrupted, is one file.
fn tidy(path: &Path, rotation: &Rotation) -> io::Result<()> {
    let (prefix, suffix) = name_parts(path);
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside: BTreeSet<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_backup(name, &prefix, &suffix))
        .map(|name| directory.join(name.strip_suffix(".gz").unwrap_or(&name)))
        .collect();
    let old = if rotation.backups_max == 0 { 0 } else { aside.len().saturating_sub(rotation.backups_max) };
    for name in aside.iter().take(old) {
        for name in [name.clone(), with_gz(name)].into_iter().filter(|name| name.exists()) {
            std::fs::remove_file(name)?;
        }
    }
    let unpacked = aside.iter().skip(old).filter(|name| rotation.compress && name.exists());
    unpacked.map(PathBuf::as_path).try_for_each(pack)
}

/// Whether a name is that of a file set aside: the time between prefix and suffix.
fn is_backup(name: &str, prefix: &str, suffix: &str) -> bool {
    const STAMP: &str = "2026-01-15T10-11-12.345";
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let Some(stamp) = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)) else { return false };
    stamp.len() == STAMP.len()
        && stamp.bytes().zip(STAMP.bytes()).all(|(a, b)| if b.is_ascii_digit() { a.is_ascii_digit() } else { a == b })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_set_aside_and_the_oldest_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/flows.log");
        let rotation = Rotation { bytes_max: 25, backups_max: 2, compress: false };
        let mut file = RotatingFile::open(&path, rotation.clone()).unwrap();
        let second = |n: i64| Timestamp(n * Timestamp::NANOS_PER_SECOND);
        // Ten bytes a line: two fit.
        for n in 0..9 {
            file.write_line(&format!("line {n:04}\n"), second(n)).unwrap();
        }
        drop(file);
        let kept = names(path.parent().unwrap());
        assert_eq!(kept, ["flows-1970-01-01T00-00-06.000.log", "flows-1970-01-01T00-00-08.000.log", "flows.log"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 0008\n");

        // What is there is appended to, and a name that is taken is not overwritten.
        let mut file = RotatingFile::open(&path, rotation).unwrap();
        for n in 9..11 {
            file.write_line(&format!("line {n:04}\n"), second(8)).unwrap();
        }
        drop(file);
        let kept = names(path.parent().unwrap());
        assert_eq!(kept, ["flows-1970-01-01T00-00-08.000.log", "flows-1970-01-01T00-00-08.001.log", "flows.log"]);
        let aside = std::fs::read_to_string(path.with_file_name(&kept[1])).unwrap();
        assert_eq!(aside, "line 0008\nline 0009\n");
    }

    #[test]
    fn a_log_goes_on_after_others_took_its_file_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/flows.log");
        let rotation = Rotation { bytes_max: 10, backups_max: 5, compress: false };
        let mut file = RotatingFile::open(&path, rotation).unwrap();
        let mut line = |n: i64| {
            file.write_line(&format!("line {n:04}\n"), Timestamp(n)).unwrap();
            file.file.flush().unwrap();
        };
        line(0);
        std::fs::rename(&path, path.with_file_name("taken.log")).unwrap();
        line(1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 0001\n");
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        line(2);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 0002\n");
    }

    #[test]
    fn packed_files_hold_the_same_lines() {
        use std::io::Read as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows");
        let mut file = RotatingFile::open(&path, Rotation { bytes_max: 5, backups_max: 5, compress: true }).unwrap();
        for n in 0..2 {
            file.write_line(&format!("{n}xyz\n"), Timestamp(1_500_000)).unwrap();
        }
        drop(file);
        assert_eq!(names(directory.path()), ["flows", "flows-1970-01-01T00-00-00.001.gz"]);
        let mut text = String::new();
        let packed = File::open(directory.path().join("flows-1970-01-01T00-00-00.001.gz")).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        assert_eq!(text, "0xyz\n");
    }

    #[test]
    fn what_an_earlier_run_left_is_tidied() {
        let directory = tempfile::tempdir().unwrap();
        let stamp = |second: u32| format!("-2026-01-15T10-11-{second:02}.000.hidden");
        let write = |name: String, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        // The oldest is there twice, for the program ended before the other was removed.
        write(stamp(1), "one");
        write(format!("{}.gz", stamp(1)), "packed");
        write(stamp(2), "two");
        write(format!("{}.gz.tmp", stamp(2)), "cut o");
        write(format!("{}.gz", stamp(3)), "packed");
        let path = directory.path().join(".hidden");
        let rotation = |compress, backups_max| Rotation { bytes_max: 5, backups_max, compress };
        let left = |rotation| {
            drop(RotatingFile::open(&path, rotation).unwrap());
            names(directory.path())
        };
        assert_eq!(left(rotation(false, 3)).len(), 6, "three files are few enough");
        let [two, three] = [2, 3].map(|second| format!("{}.gz", stamp(second)));
        assert_eq!(left(rotation(true, 2)), [two, three.clone(), ".hidden".to_owned()]);
        assert_eq!(left(rotation(false, 1)), [three, ".hidden".to_owned()]);
    }

    #[test]
    fn rights_are_those_of_the_file_before() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows.log");
        let mut file = RotatingFile::open(&path, Rotation { bytes_max: 5, backups_max: 5, compress: true }).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), FILE_MODE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        for n in 0..3 {
            file.write_line(&format!("{n}xyz\n"), Timestamp(n * 1_000_000)).unwrap();
        }
        drop(file);
        let files = names(directory.path());
        assert_eq!(files.len(), 3, "{files:?}");
        assert!(files.iter().all(|name| mode(&directory.path().join(name)) == 0o644), "{files:?}");
    }

    #[test]
    fn only_files_of_the_log_are_removed() {
        for (name, expected) in [
            ("flows-2026-01-15T10-11-12.345.log", true),
            ("flows-2026-01-15T10-11-12.345.log.gz", true),
            ("flows-2026-01-15.log", false),
            ("flows-mine.log", false),
            ("flows.log", false),
            ("other-2026-01-15T10-11-12.345.log", false),
        ] {
            assert_eq!(is_backup(name, "flows-", ".log"), expected, "{name}");
        }
    }
}
