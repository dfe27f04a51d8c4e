//! Which pods are in which row groups of a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flow::Side;

/// Row groups of a pod, as source and as destination: one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places([Vec<u64>; 2]);

/// Pods of both sides, by namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(BTreeMap<(String, String), Places>);

const fn index(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Destination => 1,
    }
}

impl Names {
    pub(super) fn add(&mut self, namespace: &str, pod: &str, group: usize, is_source: bool) {
        let places = self.0.entry((namespace.to_owned(), pod.to_owned())).or_default();
        let bits = &mut places.0[usize::from(!is_source)];
        if bits.len() <= group / 64 {
            bits.resize(group / 64 + 1, 0);
        }
        bits[group / 64] |= 1 << (group % 64);
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let of = |(names, places): (&(String, String), &Places)| {
            let bits: usize = places.0.iter().map(|bits| size_of_val(bits.as_slice())).sum();
            size_of::<((String, String), Places)>() + names.0.len() + names.1.len() + bits
        };
        self.0.iter().map(of).sum()
    }

    /// Whether a row group has a pod on this side that is asked for.
    pub(crate) fn any(&self, side: Side, group: usize, wanted: impl Fn(&str, &str) -> bool) -> bool {
        let there =
            |places: &Places| places.0[index(side)].get(group / 64).is_some_and(|bits| bits >> (group % 64) & 1 == 1);
        self.0.iter().any(|((namespace, pod), places)| there(places) && wanted(namespace, pod))
    }

    /// A line a pod: namespace, pod, row groups as source, row groups as destination in hexadecimal.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for ((namespace, pod), places) in &self.0 {
            // The names come over the wire; one with such a character would break the line and is left out, which
            // `complete` tells.
            if [namespace, pod].iter().any(|name| name.contains(['\t', '\n'])) {
                return String::new();
            }
            write!(text, "{namespace}\t{pod}").expect("writing into a string cannot fail");
            for bits in &places.0 {
                text.push('\t');
                for word in bits {
                    write!(text, "{word:x},").expect("writing into a string cannot fail");
                }
            }
            text.push('\n');
        }
        text
    }

    /// Reads the text; `None` where nothing can be told from it.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let bits = |text: &str| {
            text.split_terminator(',').map(|word| u64::from_str_radix(word, 16).ok()).collect::<Option<Vec<u64>>>()
        };
        let line = |line: &str| {
            let mut parts = line.split('\t');
            let name = (parts.next()?.to_owned(), parts.next()?.to_owned());
            Some((name, Places([bits(parts.next()?)?, bits(parts.next()?)?])))
        };
        text.lines().map(line).collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_found_in_their_row_groups() {
        let mut names = Names::default();
        names.add("shop", "web-1", 0, true);
        names.add("shop", "web-1", 70, false);
        names.add("", "", 3, true);
        let read = Names::read(&names.text()).unwrap();
        assert_eq!(read, names);
        let web = |namespace: &str, pod: &str| namespace == "shop" && pod.starts_with("web");
        let found = |side, group| read.any(side, group, web);
        assert!(found(Side::Source, 0) && found(Side::Destination, 70));
        assert!(!found(Side::Source, 70) && !found(Side::Destination, 0) && !found(Side::Source, 3));
        assert!(Names::read("shop\tweb").is_none() && Names::read("").is_none());
    }
}
