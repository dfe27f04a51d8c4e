//! A file that is set aside when it is full, as Hubble's flow logs are.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use flow::Timestamp;

/// Rights of a new file: flows are not for everybody.
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
    /// Packs what was set aside last.
    packing: Option<JoinHandle<()>>,
}

impl Output {
    /// Writes a line. `now` names the file that is set aside, should it be full.
    pub(super) fn write_line(&mut self, line: &str, now: Timestamp) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_line(line, now),
            Self::Stdout(stdout) => writeln!(stdout, "{line}"),
        }
    }

    /// Hands everything to the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

impl RotatingFile {
    /// Opens the file to append to it; makes it and the directories above it where they are missing.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let (file, bytes) = open(path)?;
        Ok(Self { path: path.to_owned(), rotation, file, bytes, packing: None })
    }

    fn write_line(&mut self, line: &str, now: Timestamp) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + length > self.rotation.bytes_max {
            self.rotate(now)?;
        }
        self.file.write_all(line.as_bytes())?;
        self.file.write_all(b"\n")?;
        self.bytes += length;
        Ok(())
    }

    /// Sets the file aside under a name with the time, and begins a new one.
    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        self.file.flush()?;
        let aside = free_name(&self.path, now);
        std::fs::rename(&self.path, &aside)?;
        (self.file, self.bytes) = open(&self.path)?;
        // One at a time: a disk that is slower than the flows must not be asked for more and more.
        self.wait_for_packing();
        let (path, rotation) = (self.path.clone(), self.rotation.clone());
        let tidy = move || {
            if rotation.compress
                && let Err(error) = pack(&aside)
            {
                tracing::warn!(file = %aside.display(), %error, "a flow log that was set aside is not packed");
            }
            if let Err(error) = remove_old(&path, rotation.backups_max) {
                tracing::warn!(file = %path.display(), %error, "old flow logs are not removed");
            }
        };
        self.packing = Some(std::thread::Builder::new().name("weir-export-pack".to_owned()).spawn(tidy)?);
        Ok(())
    }

    fn wait_for_packing(&mut self) {
        if let Some(packing) = self.packing.take()
            && packing.join().is_err()
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
        self.wait_for_packing();
    }
}

fn open(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((BufWriter::with_capacity(BUFFER_BYTES, file), bytes))
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
    let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = text(path.extension());
    let suffix = if extension.is_empty() { String::new() } else { format!(".{extension}") };
    (format!("{}-", text(path.file_stem())), suffix)
}

fn with_gz(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".gz");
    name.into()
}

fn pack(path: &Path) -> io::Result<()> {
    let packed = with_gz(path);
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&packed)?;
    let mut encoder = GzEncoder::new(BufWriter::new(out), Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.flush()?;
    std::fs::remove_file(path)
}

/// Removes the oldest files that were set aside, beyond `keep`; their names sort by time.
fn remove_old(path: &Path, keep: usize) -> io::Result<()> {
    if keep == 0 {
        return Ok(());
    }
    let (prefix, suffix) = name_parts(path);
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside: Vec<String> = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_backup(name, &prefix, &suffix))
        .collect();
    aside.sort_unstable();
    let old = aside.len().saturating_sub(keep);
    aside[..old].iter().try_for_each(|name| std::fs::remove_file(directory.join(name)))
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
            file.write_line(&format!("line {n:04}"), second(n)).unwrap();
        }
        drop(file);
        let kept = names(path.parent().unwrap());
        assert_eq!(kept, ["flows-1970-01-01T00-00-06.000.log", "flows-1970-01-01T00-00-08.000.log", "flows.log"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 0008\n");

        // What is there is appended to, and a name that is taken is not overwritten.
        let mut file = RotatingFile::open(&path, rotation).unwrap();
        for n in 9..11 {
            file.write_line(&format!("line {n:04}"), second(8)).unwrap();
        }
        drop(file);
        let kept = names(path.parent().unwrap());
        assert_eq!(kept, ["flows-1970-01-01T00-00-08.000.log", "flows-1970-01-01T00-00-08.001.log", "flows.log"]);
        let aside = std::fs::read_to_string(path.with_file_name(&kept[1])).unwrap();
        assert_eq!(aside, "line 0008\nline 0009\n");
    }

    #[test]
    fn packed_files_hold_the_same_lines() {
        use std::io::Read as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows");
        let mut file = RotatingFile::open(&path, Rotation { bytes_max: 5, backups_max: 5, compress: true }).unwrap();
        for n in 0..2 {
            file.write_line(&format!("{n}xyz"), Timestamp(1_500_000)).unwrap();
        }
        drop(file);
        assert_eq!(names(directory.path()), ["flows", "flows-1970-01-01T00-00-00.001.gz"]);
        let mut text = String::new();
        let packed = File::open(directory.path().join("flows-1970-01-01T00-00-00.001.gz")).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        assert_eq!(text, "0xyz\n");
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
