//! The files that `--input-file` names, in the order of their flows.

use std::cmp::{Ordering, Reverse};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Finds what the values name: `-` is standard input, a file of that very name is that file, and a pattern all files that
/// match it, the oldest first.
///
/// # Errors
/// A pattern is malformed, or no file matches it.
pub(super) fn find(values: &[&str]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for value in values {
        let is_pattern = value.contains(['*', '?', '[']) && !Path::new(value).exists();
        match *value {
            "-" => sources.push(Source::Stdin),
            pattern if is_pattern => sources.extend(matching(pattern)?.into_iter().map(Source::File)),
            path => sources.push(Source::File(path.into())),
        }
    }
    Ok(sources)
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(pattern, options).with_context(|| format!("the pattern {pattern} is malformed"))?;
    let mut paths = found.collect::<Result<Vec<PathBuf>, _>>().with_context(|| format!("open {pattern}"))?;
    paths.retain(|path| !path.is_dir());
    if paths.is_empty() {
        bail!("open {pattern}: no file matches");
    }
    paths.sort_by(|a, b| by_age(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(paths)
}

/// The older file first, as far as names tell: of numbered files (`flows.log.2`, `flows.log.1`, `flows.log`) the higher
/// number, of dated ones (`flows-2026-01-15.log`, `flows.log`) the earlier date; numbers count by value.
fn by_age(a: &str, b: &str) -> Ordering {
    let ((a, a_number), (b, b_number)) = (base(a), base(b));
    natural(a, b).then_with(|| Reverse(a_number).cmp(&Reverse(b_number)))
}

/// The name without what says how it is packed, and without its number (0 for the file that is written to).
fn base(name: &str) -> (&str, u64) {
    let name = [".gz", ".zst", ".zstd", ".lz4"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let numbered = name.rsplit_once('.').filter(|(stem, _)| stem.contains('.') && !stem.ends_with(['/', '.']));
    match numbered.and_then(|(stem, number)| Some((stem, number.parse::<u64>().ok()?))) {
        Some((stem, number)) => (stem, number),
        None => (name, 0),
    }
}

/// Compares texts in which runs of digits count as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (Some(x), Some(y)) = (a.first(), b.first()) else { return a.len().cmp(&b.len()) };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (x, y) = (take_number(&mut a), take_number(&mut b));
            // Without zeros in front the longer number is the larger one.
            match x.len().cmp(&y.len()).then_with(|| x.cmp(y)) {
                Ordering::Equal => continue,
                unequal => return unequal,
            }
        }
        if x != y {
            return x.cmp(y);
        }
        (a, b) = (&a[1..], &b[1..]);
    }
}

/// Takes the digits from the front, and gives them without zeros in front.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(oldest_first: &[&str]) {
        let mut names: Vec<&str> = oldest_first.iter().rev().copied().collect();
        names.sort_by(|a, b| by_age(a, b));
        assert_eq!(names, oldest_first);
    }

    #[test]
    fn rotated_files_are_read_in_the_order_of_time() {
        check(&["flows.log.10.gz", "flows.log.9.gz", "flows.log.1", "flows.log"]);
        check(&["flows-2025-12-31T23-00-00.000.log.gz", "flows-2026-01-15T10-11-12.000.log.gz", "flows.log"]);
        check(&["a/flows-2.jsonl", "a/flows-10.jsonl", "b/flows-1.jsonl"]);
        check(&["flows-009.jsonl", "flows-10.jsonl.zst"]);
    }

    #[test]
    fn patterns_find_files_and_names_mean_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["flows-1.jsonl", "flows-2.jsonl", ".flows-3.jsonl", "odd[1].jsonl", "odd1.jsonl"] {
            std::fs::write(path(name), "").unwrap();
        }
        let found = |name: &str| find(&[&path(name).to_string_lossy()]);
        let files = |names: &[&str]| names.iter().map(|name| Source::File(path(name))).collect::<Vec<_>>();
        assert_eq!(found("flows-*.jsonl").unwrap(), files(&["flows-1.jsonl", "flows-2.jsonl"]));
        assert_eq!(found("odd[1].jsonl").unwrap(), files(&["odd[1].jsonl"]));
        assert_eq!(found("odd[12].jsonl").unwrap(), files(&["odd1.jsonl"]));
        assert!(found("none-*.jsonl").unwrap_err().to_string().ends_with("no file matches"));
        assert!(found("bad[.jsonl").is_err());
        assert_eq!(find(&["-", "plain"]).unwrap(), [Source::Stdin, Source::File("plain".into())]);
    }
}
