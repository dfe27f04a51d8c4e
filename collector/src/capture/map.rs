//! Reading kernel maps in batches. aya walks them key by key, which takes eight times as long.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use aya::Ebpf;
use aya::maps::{Map, MapData};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
const LOOKUP_AND_DELETE: libc::c_long = 21;
/// `BPF_MAP_LOOKUP_BATCH`.
const LOOKUP_BATCH: libc::c_long = 24;
/// Entries read in one call. More would not be faster, and this is 0.2 MB of buffers.
const BATCH: usize = 2_048;

/// A map could not be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The object has no such map, or it is of another kind.
    #[error("the programs have no table {name} of the expected kind")]
    Missing {
        /// Name of the map.
        name: &'static str,
    },
    /// aya could not use it.
    #[error("using the table {name} failed")]
    Aya {
        /// Name of the map.
        name: &'static str,
        /// Why.
        #[source]
        cause: Box<aya::maps::MapError>,
    },
    /// The kernel refused.
    #[error("reading the table {name} failed")]
    Read {
        /// Name of the map.
        name: &'static str,
        /// What the kernel said.
        #[source]
        cause: io::Error,
    },
}

/// A hash map of the programs, read entry by entry of fixed size.
#[derive(Debug)]
pub(super) struct HashTable<K, V> {
    name: &'static str,
    map: MapData,
    keys: Vec<K>,
    vals: Vec<V>,
}

impl<K, V> HashTable<K, V>
where
    K: FromBytes + IntoBytes + Immutable + Copy,
    V: FromBytes + IntoBytes + Immutable + Copy,
{
    /// Takes a least-recently-used hash map out of an object.
    pub(super) fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Self, MapError> {
        let Some(Map::LruHashMap(map)) = ebpf.take_map(name) else { return Err(MapError::Missing { name }) };
        let info = map.info().map_err(|cause| MapError::Aya { name, cause: Box::new(cause) })?;
        // The unsafe calls below rely on these sizes.
        if info.key_size() as usize != size_of::<K>() || info.value_size() as usize != size_of::<V>() {
            return Err(MapError::Missing { name });
        }
        let zero = (K::new_zeroed(), V::new_zeroed());
        Ok(Self { name, map, keys: vec![zero.0; BATCH], vals: vec![zero.1; BATCH] })
    }

    /// Reads every entry. An entry made or removed meanwhile may or may not be among them.
    pub(super) fn for_each(&mut self, mut take: impl FnMut(&Entries<'_, K, V>, K, V)) -> Result<(), MapError> {
        let mut from = None;
        loop {
            let batch = lookup_batch(self.map.fd().as_fd(), from, &mut self.keys, &mut self.vals)
                .map_err(|cause| MapError::Read { name: self.name, cause })?;
            let entries = Entries { table: self.name, fd: self.map.fd().as_fd(), _kinds: std::marker::PhantomData };
            for (key, val) in self.keys.iter().zip(&self.vals).take(batch.count) {
                take(&entries, *key, *val);
            }
            match batch.next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// Removing entries while they are walked.
pub(super) struct Entries<'a, K, V> {
    table: &'static str,
    fd: BorrowedFd<'a>,
    _kinds: std::marker::PhantomData<(K, V)>,
}

impl<K, V> Entries<'_, K, V>
where
    K: IntoBytes + Immutable,
    V: FromBytes + IntoBytes,
{
    /// Removes an entry and returns its last value; `None` when it was gone already.
    pub(super) fn remove(&self, key: &K) -> Result<Option<V>, MapError> {
        let mut val = V::new_zeroed();
        let request = ElementRequest {
            map_fd: self.fd.as_raw_fd().cast_unsigned(),
            _pad: 0,
            key: key.as_bytes().as_ptr() as u64,
            value: val.as_mut_bytes().as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: key and value are of the sizes the map has (checked in `take`) and outlive the call; V is plain data,
        // of which any bytes are a valid value.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, LOOKUP_AND_DELETE, &raw const request, size_of_val(&request)) };
        if result >= 0 {
            return Ok(Some(val));
        }
        match io::Error::last_os_error() {
            gone if gone.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            cause => Err(MapError::Read { name: self.table, cause }),
        }
    }
}

/// The part of `union bpf_attr` for one element.
#[repr(C)]
struct ElementRequest {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The part of `union bpf_attr` for batches.
#[repr(C)]
struct BatchRequest {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Where in a map the next batch begins; the kernel's own number.
type Position = [u8; 8];

struct Batch {
    count: usize,
    next: Option<Position>,
}

fn lookup_batch<K, V>(fd: BorrowedFd<'_>, from: Option<Position>, keys: &mut [K], vals: &mut [V]) -> io::Result<Batch> {
    let mut next = Position::default();
    let room = keys.len().min(vals.len());
    let mut request = BatchRequest {
        in_batch: from.as_ref().map_or(0, |position| position.as_ptr() as u64),
        out_batch: next.as_mut_ptr() as u64,
        keys: keys.as_mut_ptr() as u64,
        values: vals.as_mut_ptr() as u64,
        count: u32::try_from(room).unwrap_or(u32::MAX),
        map_fd: fd.as_raw_fd().cast_unsigned(),
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: the buffers hold `count` keys and values of the map's sizes, the positions are at least the four bytes
    // the kernel reads and writes for hash maps, and all of them outlive the call. Keys and values are plain data.
    let result = unsafe { libc::syscall(libc::SYS_bpf, LOOKUP_BATCH, &raw mut request, size_of_val(&request)) };
    let count = (request.count as usize).min(room);
    if result >= 0 {
        return Ok(Batch { count, next: Some(next) });
    }
    match io::Error::last_os_error() {
        end if end.raw_os_error() == Some(libc::ENOENT) => Ok(Batch { count, next: None }),
        error => Err(error),
    }
}
