//! Names of the numbers in drop records: they differ from kernel to kernel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ebpf_abi::drop_source;

use super::btf::Btf;

/// Kernel functions by address, 0 addresses where they are hidden.
const SYMBOLS: &str = "/proc/kallsyms";
/// Addresses that are remembered with their function. The kernel frees packets in some hundred places.
const KNOWN_MAX: usize = 4_096;

/// Reasons and functions of the running kernel.
#[derive(Debug)]
pub struct KernelNumbers {
    drop_reasons: HashMap<u32, Arc<str>>,
    reset_reasons: HashMap<u32, Arc<str>>,
    symbols: OnceLock<Symbols>,
    known: Mutex<HashMap<u64, Option<Arc<str>>>>,
}

impl KernelNumbers {
    /// Takes the names of reasons from the kernel's types; functions are read when the first is asked for.
    #[must_use]
    pub fn new(btf: &Btf) -> Self {
        Self {
            drop_reasons: names(btf, "skb_drop_reason", &["SKB_DROP_REASON_", "SKB_"]),
            reset_reasons: names(btf, "sk_rst_reason", &["SK_RST_REASON_"]),
            symbols: OnceLock::new(),
            known: Mutex::new(HashMap::new()),
        }
    }

    /// Name of an `enum skb_drop_reason` without its prefix, such as `NETFILTER_DROP`.
    #[must_use]
    pub fn drop_reason(&self, reason: u32) -> Option<Arc<str>> {
        self.drop_reasons.get(&reason).cloned()
    }

    /// Name of the reason of a [`ebpf_abi::DropRecord`], in the numbers of its source.
    #[must_use]
    pub fn reason_of(&self, source: u8, reason: u32) -> Option<Arc<str>> {
        match source {
            drop_source::FREED => self.drop_reason(reason),
            drop_source::RESET_SENT => self.reset_reasons.get(&reason).cloned(),
            _ => None,
        }
    }

    /// Number of a drop reason by its name without prefix.
    pub(super) fn number_of(&self, name: &str) -> Option<u32> {
        self.drop_reasons.iter().find(|(_, known)| &***known == name).map(|(number, _)| *number)
    }

    /// Function that holds an address, such as `nf_hook_slow`; `None` where the kernel hides its symbols.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<Arc<str>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(&address) {
            return name.clone();
        }
        let name = self.symbols.get_or_init(Symbols::running).at(address).map(Arc::from);
        if known.len() < KNOWN_MAX {
            known.insert(address, name.clone());
        }
        name
    }
}

impl crate::source::KernelNames for KernelNumbers {
    fn drop_reason(&self, reason: u32) -> Option<Arc<str>> {
        Self::drop_reason(self, reason)
    }

    fn function(&self, address: u64) -> Option<Arc<str>> {
        Self::function(self, address)
    }
}

fn names(btf: &Btf, of: &str, prefixes: &[&str]) -> HashMap<u32, Arc<str>> {
    let bare = |name: &str| prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name).into();
    btf.enum_names(of).into_iter().map(|(number, name)| (number, bare(name))).collect()
}

/// Functions in the order of their addresses; names in one string to save memory (5 MB for a usual kernel).
#[derive(Debug, Default)]
struct Symbols {
    starts: Vec<(u64, u32)>,
    names: String,
}

impl Symbols {
    fn running() -> Self {
        std::fs::read_to_string(SYMBOLS).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Reads lines of `address type name [module]`, functions only.
    fn parse(text: &str) -> Self {
        let mut symbols = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            if address != 0 && matches!(kind, "t" | "T" | "w" | "W") {
                symbols.starts.push((address, u32::try_from(symbols.names.len()).unwrap_or(u32::MAX)));
                symbols.names.push_str(name);
                symbols.names.push('\n');
            }
        }
        symbols.names.shrink_to_fit();
        symbols.starts.shrink_to_fit();
        symbols.starts.sort_by_key(|(address, _)| *address);
        symbols
    }

    fn at(&self, address: u64) -> Option<&str> {
        let behind = self.starts.partition_point(|(start, _)| *start <= address);
        let (_, name) = self.starts.get(behind.checked_sub(1)?)?;
        self.names.get(*name as usize..)?.lines().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_function_before_it() {
        let symbols = Symbols::parse(
            "ffffffff81000100 T second\nffffffff81000000 t first\nffffffff81000080 d data\nffffffff81000200 T third [nf]\nbad\n",
        );
        let at = |address| symbols.at(address);
        assert_eq!(at(0xffff_ffff_8100_0000), Some("first"));
        assert_eq!(at(0xffff_ffff_8100_00ff), Some("first"));
        assert_eq!(at(0xffff_ffff_8100_0142), Some("second"));
        assert_eq!(at(u64::MAX), Some("third"));
        assert_eq!(at(0xffff_ffff_80ff_ffff), None);
        assert_eq!(Symbols::parse("0000000000000000 T hidden\n").at(1), None);
    }
}
