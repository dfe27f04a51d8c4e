//! The file of flow logs as it is read again and again: what is wrong with it is told once, and what has not changed is
//! not looked at again.

use std::path::PathBuf;

use super::config::{ExportError, FlowLog};
use super::document;

/// The file, and what is known of it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    known: Known,
}

#[derive(Debug)]
enum Known {
    Nothing,
    /// It cannot be read, for this reason; or not with the text that has this checksum.
    Bad {
        why: String,
        checksum: Option<u32>,
    },
    /// Its logs were taken up, but for some. Whether others could be, if they were tried again.
    Good {
        checksum: u32,
        refused: Vec<FlowLog>,
        may_improve: bool,
    },
}

/// What a reading gave.
#[derive(Debug)]
pub(super) enum Reading {
    /// It cannot be read; the reason where that is news.
    Bad(Option<ExportError>),
    /// Nothing has changed since its logs were taken up.
    Same {
        checksum: u32,
    },
    Listed {
        checksum: u32,
        logs: Vec<FlowLog>,
    },
}

impl LogFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, known: Known::Nothing }
    }

    pub(super) fn read(&mut self) -> Reading {
        let text = match document::read_text(&self.path) {
            Ok(text) => text,
            Err(error) => return self.bad(error, None),
        };
        let checksum = crc32c::crc32c(text.as_bytes());
        match self.known {
            Known::Bad { checksum: Some(known), .. } if known == checksum => return Reading::Bad(None),
            Known::Good { checksum: known, may_improve: false, .. } if known == checksum => {
                return Reading::Same { checksum };
            }
            _ => {}
        }
        match document::parse(&self.path, &text) {
            Ok(logs) => Reading::Listed { checksum, logs },
            Err(error) => self.bad(error, Some(checksum)),
        }
    }

    fn bad(&mut self, error: ExportError, checksum: Option<u32>) -> Reading {
        let why = proto::status::with_causes(&error);
        let is_news = !matches!(&self.known, Known::Bad { why: known, .. } if *known == why);
        self.known = Known::Bad { why, checksum };
        Reading::Bad(is_news.then_some(error))
    }

    /// Notes that the logs were taken up, but for some. Gives the reasons that are news.
    pub(super) fn taken(&mut self, checksum: u32, refused: Vec<(FlowLog, ExportError)>) -> Vec<ExportError> {
        let told = match std::mem::replace(&mut self.known, Known::Nothing) {
            Known::Good { checksum: known, refused, .. } if known == checksum => refused,
            _ => Vec::new(),
        };
        // What is wrong with a log itself stays so, but a file that cannot be opened now may be opened later.
        let may_improve = refused.iter().any(|(_, error)| matches!(error, ExportError::Open { .. }));
        let (refused, reasons): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
        let news = refused.iter().zip(reasons).filter(|(log, _)| !told.contains(log)).map(|(_, error)| error).collect();
        self.known = Known::Good { checksum, refused, may_improve };
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, LogFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flowlogs.yaml");
        std::fs::write(&path, text).unwrap();
        (directory, LogFile::new(path))
    }

    fn listed(file: &mut LogFile) -> (u32, Vec<FlowLog>) {
        match file.read() {
            Reading::Listed { checksum, logs } => (checksum, logs),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bad_file_is_told_once_for_each_reason() {
        let (_directory, mut file) = file("flowLogs: [{name: a}]");
        assert!(matches!(file.read(), Reading::Bad(Some(ExportError::Identity { .. }))));
        assert!(matches!(file.read(), Reading::Bad(None)));
        std::fs::write(&file.path, "flowLogs: 1").unwrap();
        assert!(matches!(file.read(), Reading::Bad(Some(ExportError::Syntax { .. }))));
        std::fs::remove_file(&file.path).unwrap();
        assert!(matches!(file.read(), Reading::Bad(Some(ExportError::File(_)))));
        assert!(matches!(file.read(), Reading::Bad(None)));
        std::fs::write(&file.path, "flowLogs: 1").unwrap();
        assert!(matches!(file.read(), Reading::Bad(Some(ExportError::Syntax { .. }))), "it is there again");
        std::fs::write(&file.path, "").unwrap();
        assert!(listed(&mut file).1.is_empty());
    }

    #[test]
    fn a_log_that_is_refused_is_told_once_and_tried_again_only_where_that_may_help() {
        let wrong = || ExportError::Mask { name: "a".to_owned(), path: "no".to_owned() };
        let open = || {
            let cause = std::io::ErrorKind::PermissionDenied.into();
            ExportError::Open { name: "b".to_owned(), path: "b.log".to_owned(), cause }
        };
        let text = "flowLogs: [{name: a, filePath: a.log, fieldMask: [no]}, {name: b, filePath: b.log}]";
        let (_directory, mut file) = file(text);
        let (checksum, logs) = listed(&mut file);
        let [a, b] = <[FlowLog; 2]>::try_from(logs).unwrap();
        assert_eq!(file.taken(checksum, vec![(a.clone(), wrong()), (b.clone(), open())]).len(), 2);
        // The file of the second may be opened some day.
        assert_eq!(listed(&mut file), (checksum, vec![a.clone(), b.clone()]));
        assert!(file.taken(checksum, vec![(a.clone(), wrong()), (b, open())]).is_empty());
        listed(&mut file);
        assert!(file.taken(checksum, vec![(a.clone(), wrong())]).is_empty());
        assert!(matches!(file.read(), Reading::Same { checksum: same } if same == checksum));
        // Another text is another attempt.
        std::fs::write(&file.path, format!("{text} # once more")).unwrap();
        let (checksum, _) = listed(&mut file);
        assert_eq!(file.taken(checksum, vec![(a, wrong())]).len(), 1);
        assert!(matches!(file.read(), Reading::Same { .. }));
    }
}
