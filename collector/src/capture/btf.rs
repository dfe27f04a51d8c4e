//! Reads the kernel's own description of its types: where a field is, what a number is called, which hooks exist.
//!
//! rustc cannot emit the relocations that C programs use for this. The description comes from the kernel, but nothing
//! in it is trusted: every index is checked, every walk is bounded, and no input panics.
//! Source: Documentation/bpf/btf.rst of the kernel.

use std::collections::HashMap;
use std::path::Path;

/// Where the running kernel keeps its description.
pub(super) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const TYPE_BYTES: usize = 12;

const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// Most anonymous structures inside each other, and most modifiers before a type. The kernel has fewer than ten.
const DEPTH_MAX: u32 = 32;

/// Why a description could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file could not be read.
    #[error("reading {path} failed")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It does not begin as one.
    #[error("not a little-endian BTF blob")]
    Magic,
    /// A part is said to be where the blob has no bytes.
    #[error("BTF blob of {len} bytes ends before byte {needed}")]
    Cut {
        /// Bytes there are.
        len: usize,
        /// Bytes that are needed.
        needed: usize,
    },
    /// A type of a kind this reader does not know: what follows cannot be found.
    #[error("unknown BTF kind {0}")]
    Kind(u32),
}

/// The types of a kernel.
pub struct Btf {
    data: Vec<u8>,
    /// Byte offset of each type in `data`; the first is the void type, which has none.
    types: Vec<usize>,
    strings: usize,
    strings_end: usize,
    structures: HashMap<String, u32>,
    enums: HashMap<String, u32>,
    tracepoints: HashMap<String, u32>,
}

impl std::fmt::Debug for Btf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Btf").field("types", &self.types.len()).finish_non_exhaustive()
    }
}

/// One type.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    kind: u32,
    members: usize,
    has_bitfields: bool,
}

impl Btf {
    /// Reads the description of the running kernel.
    ///
    /// # Errors
    /// The kernel has none (`CONFIG_DEBUG_INFO_BTF` is off), or it is damaged.
    pub fn running() -> Result<Self, BtfError> {
        Self::read(Path::new(KERNEL_BTF))
    }

    /// Reads a description from a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no description.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let data = std::fs::read(path).map_err(|cause| BtfError::Read { path: path.display().to_string(), cause })?;
        Self::parse(data)
    }

    /// Takes a description apart.
    ///
    /// # Errors
    /// It is no description. No input panics.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let word = |at| word(&data, at).ok_or(BtfError::Cut { len: data.len(), needed: at + 4 });
        if word(0)? & 0xffff != u32::from(MAGIC) {
            return Err(BtfError::Magic);
        }
        let header = word(4)? as usize;
        let start = header.saturating_add(word(8)? as usize);
        let end = start.saturating_add(word(12)? as usize);
        let strings = header.saturating_add(word(16)? as usize);
        let strings_end = strings.saturating_add(word(20)? as usize);
        let needed = end.max(strings_end);
        if needed > data.len() {
            return Err(BtfError::Cut { len: data.len(), needed });
        }
        let mut btf = Self {
            data,
            types: vec![usize::MAX],
            strings,
            strings_end,
            structures: HashMap::new(),
            enums: HashMap::new(),
            tracepoints: HashMap::new(),
        };
        btf.index(start, end)?;
        Ok(btf)
    }

    fn index(&mut self, start: usize, end: usize) -> Result<(), BtfError> {
        let mut at = start;
        while at + TYPE_BYTES <= end {
            let id = self.types.len() as u32;
            self.types.push(at);
            let Some(it) = self.type_at(at) else { break };
            let name = self.name(self.word(at));
            match it.kind {
                STRUCT | UNION if !name.is_empty() => drop(self.structures.entry(name.to_owned()).or_insert(id)),
                ENUM if !name.is_empty() => drop(self.enums.entry(name.to_owned()).or_insert(id)),
                TYPEDEF => {
                    if let Some(hook) = name.strip_prefix("btf_trace_") {
                        self.tracepoints.insert(hook.to_owned(), id);
                    }
                }
                _ => {}
            }
            at = at.saturating_add(TYPE_BYTES).saturating_add(tail_bytes(it.kind, it.members)?);
        }
        Ok(())
    }

    /// Byte offset of a field in a structure. `path` may lead into named inner structures (`skc_net.net`); anonymous
    /// ones are looked through.
    #[must_use]
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut id = *self.structures.get(structure)?;
        let mut offset = 0u32;
        for field in path.split('.') {
            let (bits, of_type) = self.member(self.bare(id)?, field, DEPTH_MAX)?;
            offset = offset.checked_add(bits / 8)?;
            id = of_type;
        }
        Some(offset)
    }

    /// Values of an enum with their names.
    #[must_use]
    pub fn enum_names(&self, name: &str) -> Vec<(u32, &str)> {
        let Some(it) = self.enums.get(name).and_then(|id| self.type_of(*id)) else { return Vec::new() };
        (0..it.members)
            .map(|member| it.at + TYPE_BYTES + member * 8)
            .map(|at| (self.word(at + 4), self.name(self.word(at))))
            .collect()
    }

    /// Whether typed programs can be attached to a tracepoint of this name.
    #[must_use]
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoints.contains_key(name)
    }

    /// Number of arguments of a tracepoint, the leading pointer of the kernel's own bookkeeping left out.
    #[must_use]
    pub fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        let alias = self.type_of(*self.tracepoints.get(name)?)?;
        let pointer = self.type_of(self.word(alias.at + 8))?;
        let function = self.type_of(self.word(pointer.at + 8))?;
        (function.kind == FUNC_PROTO).then(|| function.members.saturating_sub(1))
    }

    /// Bit offset and type of a member, looked for in anonymous members as well.
    fn member(&self, id: u32, wanted: &str, depth: u32) -> Option<(u32, u32)> {
        let it = self.type_of(id).filter(|it| matches!(it.kind, STRUCT | UNION))?;
        let depth = depth.checked_sub(1)?;
        for member in 0..it.members {
            let at = it.at + TYPE_BYTES + member * 12;
            let (name, of_type, raw) = (self.name(self.word(at)), self.word(at + 4), self.word(at + 8));
            let bits = if it.has_bitfields { raw & 0x00ff_ffff } else { raw };
            if name == wanted {
                return Some((bits, of_type));
            }
            if name.is_empty()
                && let Some((inner, of_type)) = self.member(self.bare(of_type)?, wanted, depth)
            {
                return Some((bits.checked_add(inner)?, of_type));
            }
        }
        None
    }

    /// The type behind names and qualifiers.
    fn bare(&self, mut id: u32) -> Option<u32> {
        for _ in 0..DEPTH_MAX {
            let it = self.type_of(id)?;
            if !matches!(it.kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG) {
                return Some(id);
            }
            id = self.word(it.at + 8);
        }
        None
    }

    fn type_of(&self, id: u32) -> Option<Type> {
        self.type_at(*self.types.get(id as usize)?)
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let info = word(&self.data, at.checked_add(4)?)?;
        Some(Type { at, kind: info >> 24 & 0x1f, members: (info & 0xffff) as usize, has_bitfields: info >> 31 == 1 })
    }

    /// Word at an offset, 0 behind the end: a damaged blob yields nonsense, not a panic.
    fn word(&self, at: usize) -> u32 {
        word(&self.data, at).unwrap_or(0)
    }

    fn name(&self, offset: u32) -> &str {
        let Some(start) = self.strings.checked_add(offset as usize).filter(|start| *start < self.strings_end) else {
            return "";
        };
        let text = self.data.get(start..self.strings_end).unwrap_or_default();
        let len = text.iter().position(|byte| *byte == 0).unwrap_or(0);
        text.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Bytes behind the fixed part of a type.
fn tail_bytes(kind: u32, members: usize) -> Result<usize, BtfError> {
    Ok(match kind {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 => 12 * members,
        ENUM | FUNC_PROTO => 8 * members,
        // Pointers, forward declarations, names, qualifiers, functions, floats and type tags.
        2 | 7..=12 | 16 | 18 => 0,
        other => return Err(BtfError::Kind(other)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A blob with one anonymous union inside a structure, an enum and a hook.
    fn sample() -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut text = |name: &str| {
            let at = strings.len() as u32;
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            at
        };
        let names = ["u32", "outer", "a", "inside", "reason", "REASON_ONE", "btf_trace_hook"].map(&mut text);
        let info = |kind: u32, members: u32| kind << 24 | members;
        let types: Vec<u32> = [
            vec![names[0], info(INT, 0), 4, 32],                          // 1: u32
            vec![0, info(UNION, 1), 4, names[3], 1, 0],                   // 2: anonymous union { inside }
            vec![names[1], info(STRUCT, 2), 8, names[2], 1, 0, 0, 2, 32], // 3: outer { a, union }
            vec![names[4], info(ENUM, 1), 4, names[5], 7],                // 4: reason
            vec![0, info(FUNC_PROTO, 3), 0, 0, 0, 0, 1, 0, 1],            // 5: void (void *, u32, u32)
            vec![0, info(2, 0), 5],                                       // 6: pointer to it
            vec![names[6], info(TYPEDEF, 0), 6],                          // 7: the hook
        ]
        .concat();
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            blob.extend_from_slice(&word.to_le_bytes());
        }
        blob.extend_from_slice(&types);
        blob.extend_from_slice(&strings);
        blob
    }

    #[test]
    fn finds_fields_names_and_hooks() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.offset("outer", "a"), Some(0));
        assert_eq!(btf.offset("outer", "inside"), Some(4));
        assert_eq!(btf.offset("outer", "missing"), None);
        assert_eq!(btf.offset("missing", "a"), None);
        assert_eq!(btf.enum_names("reason"), [(7, "REASON_ONE")]);
        assert!(btf.has_tracepoint("hook") && !btf.has_tracepoint("other"));
        assert_eq!(btf.tracepoint_arguments("hook"), Some(2));
    }

    #[test]
    fn damage_is_named() {
        assert!(matches!(Btf::parse(Vec::new()), Err(BtfError::Cut { .. })));
        assert!(matches!(Btf::parse(vec![0; 64]), Err(BtfError::Magic)));
        let mut cut = sample();
        cut.truncate(60);
        assert!(matches!(Btf::parse(cut), Err(BtfError::Cut { .. })));
        let mut unknown = sample();
        unknown[24 + 7] = 31;
        assert!(matches!(Btf::parse(unknown), Err(BtfError::Kind(31))));
    }

    #[test]
    fn a_type_that_is_its_own_alias_ends() {
        let mut blob = sample();
        let alias = blob.len() - 24 - sample_strings_len() + 24 - 12;
        blob[alias + 8..alias + 12].copy_from_slice(&7u32.to_le_bytes());
        let btf = Btf::parse(blob).unwrap();
        assert_eq!(btf.bare(7), None);
    }

    fn sample_strings_len() -> usize {
        let blob = sample();
        word(&blob, 20).unwrap() as usize
    }

    proptest! {
        #[test]
        fn no_blob_panics(at in 4usize..160, value in any::<u32>(), cut in 0usize..250) {
            let mut blob = sample();
            if let Some(place) = blob.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_le_bytes());
            }
            blob.truncate(blob.len().max(cut) - cut.min(blob.len()) / 4);
            if let Ok(btf) = Btf::parse(blob) {
                let _found = (btf.offset("outer", "inside.a"), btf.offset("outer", "inside"));
                let _names = btf.enum_names("reason").len();
                let _arguments = btf.tracepoint_arguments("hook");
            }
        }
    }
}
