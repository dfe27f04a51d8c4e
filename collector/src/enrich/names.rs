//! `names.yaml`: names that people give to addresses, network namespaces and units. See `docs/names.md`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use flow::Workload;
use hashbrown::HashMap;
use ipnet::IpNet;
use serde::Deserialize;

use crate::text_file::{self, TextFileError};

/// Most entries of a file; a larger one is refused rather than read into memory.
pub(crate) const ENTRIES_MAX: usize = 65_536;

/// Most bytes of a file: 256 for each entry.
const BYTES_MAX: u64 = 16 << 20;

/// The file with names cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NamesError {
    /// The file could not be read.
    #[error("the names file cannot be read")]
    Read(#[from] TextFileError),
    /// The file is not what it should be; the cause tells line and column.
    #[error("the names file {path} is wrong")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Place and reason.
        #[source]
        cause: serde_norway::Error,
    },
    /// An entry can never match or never say anything.
    #[error("the names file {path} is wrong: entry {entry} (counted from 1) {complaint}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// Number of the entry.
        entry: usize,
        /// What is wrong with it.
        complaint: &'static str,
    },
}

/// What the file says, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    entries: Vec<Entry>,
    /// Entries that name single addresses only, by address.
    by_address: HashMap<IpAddr, Vec<usize>, foldhash::fast::RandomState>,
    /// All other entries.
    others: Vec<usize>,
}

/// What is known of an endpoint before it is named.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) address: Option<IpAddr>,
    pub(crate) netns: Option<&'a str>,
    pub(crate) unit: Option<&'a str>,
}

/// What the file says of a subject; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) workload: Option<Workload>,
    /// Sorted by key, without source.
    pub(crate) labels: Vec<(String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    names: Vec<Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    addresses: OneOrMany<Prefix>,
    netns: OneOrMany<Glob>,
    unit: OneOrMany<Glob>,
    name: String,
    namespace: String,
    workload: Option<NamedWorkload>,
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct OneOrMany<T>(#[serde(deserialize_with = "one_or_many", bound(deserialize = "T: Deserialize<'de>"))] Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// An address or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Prefix(IpNet);

/// Text with `*` for any characters.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
struct Glob(String);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "WorkloadText")]
struct NamedWorkload(Workload);

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum WorkloadText {
    Name(String),
    Full {
        name: String,
        #[serde(default)]
        kind: String,
    },
}

impl Names {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or says something that makes no sense; the chain of causes names the line.
    pub(crate) fn read(path: &Path) -> Result<Self, NamesError> {
        Self::parse(&text_file::read(path, BYTES_MAX)?, path)
    }

    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// The text says something that makes no sense.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, NamesError> {
        // A file of comments only is an empty document, which is no mapping.
        let file: Option<File> =
            serde_norway::from_str(text).map_err(|cause| NamesError::Parse { path: path.to_owned(), cause })?;
        let entries = file.unwrap_or_default().names;
        let wrong = |entry, complaint| NamesError::Entry { path: path.to_owned(), entry, complaint };
        if entries.len() > ENTRIES_MAX {
            return Err(wrong(ENTRIES_MAX + 1, "is one too many: 65,536 are allowed"));
        }
        let mut names = Self { entries, ..Self::default() };
        for (at, entry) in names.entries.iter().enumerate() {
            if entry.addresses.0.is_empty() && entry.netns.0.is_empty() && entry.unit.0.is_empty() {
                return Err(wrong(at + 1, "has none of addresses, netns and unit, so it would name everything"));
            }
            if !entry.says_something() {
                return Err(wrong(at + 1, "gives none of name, namespace, workload and labels"));
            }
            match entry.single_addresses() {
                Some(addresses) => {
                    for address in addresses {
                        names.by_address.entry(address).or_default().push(at);
                    }
                }
                None => names.others.push(at),
            }
        }
        Ok(names)
    }

    /// What the entries that match say, each field from the first entry that gives it; labels are united.
    pub(crate) fn given(&self, subject: Subject<'_>) -> Given {
        let single = subject.address.and_then(|a| self.by_address.get(&a)).map_or(&[][..], Vec::as_slice);
        let mut given = Given::default();
        for at in merge_sorted(single, &self.others) {
            let entry = &self.entries[at];
            if entry.matches(subject) {
                entry.give(&mut given);
            }
        }
        given.labels.sort();
        given
    }
}

impl Entry {
    fn says_something(&self) -> bool {
        !self.name.is_empty() || !self.namespace.is_empty() || self.workload.is_some() || !self.labels.is_empty()
    }

    /// The addresses, if the entry matches by nothing but single addresses.
    fn single_addresses(&self) -> Option<Vec<IpAddr>> {
        let single = |p: &Prefix| (p.0.prefix_len() == p.0.max_prefix_len()).then(|| p.0.addr());
        if !self.netns.0.is_empty() || !self.unit.0.is_empty() {
            return None;
        }
        self.addresses.0.iter().map(single).collect()
    }

    /// Every kind of condition that is given must hold; within a kind one value is enough.
    fn matches(&self, subject: Subject<'_>) -> bool {
        let any_glob = |globs: &[Glob], text: Option<&str>| {
            globs.is_empty() || text.is_some_and(|text| globs.iter().any(|g| g.matches(text)))
        };
        let address = self.addresses.0.is_empty()
            || subject.address.is_some_and(|a| self.addresses.0.iter().any(|p| p.0.contains(&a)));
        address && any_glob(&self.netns.0, subject.netns) && any_glob(&self.unit.0, subject.unit)
    }

    fn give(&self, given: &mut Given) {
        if given.name.is_empty() {
            given.name.clone_from(&self.name);
        }
        if given.namespace.is_empty() {
            given.namespace.clone_from(&self.namespace);
        }
        if given.workload.is_none() {
            given.workload = self.workload.as_ref().map(|w| w.0.clone());
        }
        for (key, value) in &self.labels {
            if !given.labels.iter().any(|(k, _)| k == key) {
                given.labels.push((key.clone(), value.clone()));
            }
        }
    }
}

impl Glob {
    fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let prefix = match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => text.parse::<IpNet>().ok().map(|net| net.trunc()),
        };
        prefix.map(Self).ok_or_else(|| format!("{text:?} is neither an address nor a prefix such as 10.0.0.0/8"))
    }
}

impl From<String> for Glob {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<WorkloadText> for NamedWorkload {
    fn from(text: WorkloadText) -> Self {
        Self(match text {
            WorkloadText::Name(name) => Workload { name, kind: "Workload".to_owned() },
            WorkloadText::Full { name, kind } => Workload { name, kind },
        })
    }
}

/// Takes one value or a list of them, without serde's untagged enums, whose errors do not say what is wrong.
fn one_or_many<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Visitor<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|value| vec![value])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut values: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(value) = values.next_element()? {
                all.push(value);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Visitor(std::marker::PhantomData))
}

/// Both lists are sorted and have nothing in common.
fn merge_sorted(a: &[usize], b: &[usize]) -> impl Iterator<Item = usize> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x < y => a.next(),
        (_, Some(_)) => b.next(),
        (_, None) => a.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
names:
  - addresses: 10.0.0.5
    name: checkout
    namespace: shop
    workload: {name: checkout, kind: Deployment}
    labels: {app: checkout, tier: web}
  - addresses: [10.0.0.0/24, "fd00::/64"]
    namespace: lan
    labels: {tier: any, zone: a}
  - netns: shop-*
    namespace: shop
  - unit: "nginx*.service"
    netns: [shop-web, shop-api]
    workload: nginx
"#;

    fn names(text: &str) -> Result<Names, NamesError> {
        Names::parse(text, Path::new("names.yaml"))
    }

    fn ask(subject: Subject<'_>) -> Given {
        names(FILE).unwrap().given(subject)
    }

    #[test]
    fn each_field_comes_from_the_first_entry_that_gives_it() {
        let given = ask(Subject { address: Some("10.0.0.5".parse().unwrap()), ..Subject::default() });
        assert_eq!((given.name.as_str(), given.namespace.as_str()), ("checkout", "shop"));
        assert_eq!(given.workload.unwrap().kind, "Deployment");
        let label = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(given.labels, [label("app", "checkout"), label("tier", "web"), label("zone", "a")]);
        let given = ask(Subject { address: Some("fd00::9".parse().unwrap()), ..Subject::default() });
        assert_eq!((given.name.as_str(), given.namespace.as_str()), ("", "lan"));
        assert_eq!(ask(Subject { address: Some("10.0.1.5".parse().unwrap()), ..Subject::default() }), Given::default());
    }

    #[test]
    fn all_kinds_of_conditions_must_hold() {
        let subject = |netns, unit| Subject { netns, unit, address: None };
        assert_eq!(ask(subject(Some("shop-web"), Some("nginx-extra.service"))).workload.unwrap().name, "nginx");
        assert_eq!(ask(subject(Some("shop-db"), Some("nginx.service"))).workload, None);
        assert_eq!(ask(subject(Some("shop-db"), None)).namespace, "shop");
        assert_eq!(ask(subject(None, Some("nginx.service"))), Given::default());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = names(text).unwrap_err();
            let mut chain = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                chain = format!("{chain}: {inner}");
                cause = inner.source();
            }
            assert!(chain.contains(expected), "{chain}");
        }
        check("names:\n  - addresses: 10.0.0.999\n    name: x\n", "\"10.0.0.999\" is neither an address nor a prefix");
        check("names:\n  - addresses: 10.0.0.999\n    name: x\n", "line 2");
        check("names:\n  - adresses: 10.0.0.9\n    name: x\n", "unknown field `adresses`");
        check("names:\n  - name: x\n", "entry 1 (counted from 1) has none of addresses, netns and unit");
        check("names:\n  - netns: a\n  - netns: b\n", "gives none of name");
        check("name: x\n", "unknown field `name`");
        check("names: [", "at line 2");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // Without any of its blocks on the disk.
        file.as_file().set_len(BYTES_MAX + 1).unwrap();
        let error = Names::read(file.path()).unwrap_err();
        assert!(matches!(error, NamesError::Read(TextFileError::Size { .. })), "{error:?}");
    }

    #[test]
    fn an_empty_file_names_nothing() {
        assert_eq!(names("").unwrap(), Names::default());
        assert_eq!(names("# nothing\n").unwrap(), Names::default());
        assert_eq!(names("names: []\n").unwrap(), Names::default());
    }

    #[test]
    fn globs_match_whole_texts() {
        #[track_caller]
        fn check(glob: &str, text: &str, expected: bool) {
            assert_eq!(Glob(glob.to_owned()).matches(text), expected, "{glob} {text}");
        }
        check("a", "a", true);
        check("a", "ab", false);
        check("a*", "a", true);
        check("*b", "aab", true);
        check("a*b", "ab", true);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "axxbyy", false);
        check("ab*ba", "aba", false);
        check("*", "", true);
    }
}
