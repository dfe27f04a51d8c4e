//! Differences that are meant, as docs/hubble-compat.md lists them.

use regex::Regex;

use super::arguments::Case;
use super::compare::PARTS;

/// The list; the test reads it, so that it cannot say what is not so.
const DOCUMENT: &str = include_str!("../../../../docs/hubble-compat.md");

/// A row of the list.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Which command lines it is about.
    pattern: Regex,
    /// In which parts they may differ.
    parts: Vec<String>,
    /// A command line that shows it.
    pub(crate) example: String,
}

pub(crate) struct Listed {
    pub(crate) rows: Vec<Row>,
}

impl Listed {
    /// Reads the rows of the table: name, difference, reason, command lines, parts, example.
    pub(crate) fn read() -> Self {
        let rows = DOCUMENT
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                // A bar inside of code is written as `&#124;`, for a bar ends the cell.
                let cells: Vec<String> =
                    line.trim_matches('|').split('|').map(|cell| cell.trim().replace("&#124;", "|")).collect();
                let [name, _, reason, pattern, parts, example] =
                    <[String; 6]>::try_from(cells).unwrap_or_else(|_| panic!("a row has six cells: {line}"));
                let code = |cell: &str| cell.trim_matches('`').to_owned();
                assert!(!reason.is_empty(), "a difference needs its reason: {line}");
                let parts: Vec<String> = parts.split(", ").map(str::to_owned).collect();
                assert!(parts.iter().all(|part| PARTS.contains(&part.as_str())), "parts are {PARTS:?}: {line}");
                let pattern = Regex::new(&code(&pattern)).unwrap();
                Row { name: code(&name), pattern, parts, example: code(&example) }
            })
            .collect::<Vec<_>>();
        assert!(!rows.is_empty(), "docs/hubble-compat.md has no rows");
        Self { rows }
    }

    /// The row that allows this case to differ in these parts.
    pub(crate) fn allows(&self, case: &Case, differing: &[&str]) -> Option<&Row> {
        let shell = Self::shell(case);
        self.rows.iter().find(|row| {
            row.pattern.is_match(&shell) && differing.iter().all(|part| row.parts.iter().any(|known| known == part))
        })
    }

    /// The command line as one would type it, with the settings before it.
    pub(crate) fn shell(case: &Case) -> String {
        let quote = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word.to_owned()
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        };
        let mut words: Vec<String> =
            case.variables.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
        if let Some(config) = &case.config {
            words.push(format!("CONFIG={}", quote(config)));
        }
        words.push("hubble".to_owned());
        words.extend(case.arguments.iter().map(|word| quote(word)));
        if case.pipe {
            words.push("< flows.jsonl".to_owned());
        }
        words.join(" ")
    }
}
