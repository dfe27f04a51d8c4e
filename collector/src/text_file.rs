//! Small text files that people write and the collector reads again and again.

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TextFileError {
    /// The system refuses.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is too large.
    #[error("{path} has more than {bytes_max} bytes")]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes it may have.
        bytes_max: u64,
    },
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// It cannot be read, is too large, or is no UTF-8.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<String, TextFileError> {
    let failed = |cause| TextFileError::Read { path: path.to_owned(), cause };
    // What is told of its size beforehand binds neither a device nor a file that grows.
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut file = file.take(bytes_max.saturating_add(1));
    // A text that is cut within a character is too large, not wrong.
    let read = file.read_to_string(&mut text);
    if file.limit() == 0 {
        return Err(TextFileError::Size { path: path.to_owned(), bytes_max });
    }
    read.map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "12345").unwrap();
        assert_eq!(read(file.path(), 5).unwrap(), "12345");
        let error = read(file.path(), 4).unwrap_err().to_string();
        assert_eq!(error, format!("{} has more than 4 bytes", file.path().display()));
        std::fs::write(file.path(), "123ää").unwrap();
        assert!(matches!(read(file.path(), 5), Err(TextFileError::Size { .. })));
        assert!(matches!(read(Path::new("/dev/zero"), 4), Err(TextFileError::Size { .. })));
        assert!(matches!(read(Path::new("/nowhere"), 4), Err(TextFileError::Read { .. })));
    }
}
