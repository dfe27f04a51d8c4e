//! Input made to break parsers: valid bytes with damage. For property tests only.
//!
//! `WEIR_HOSTILE_CASES=1000000 cargo test -p collector --lib hostile` tries each parser so many times.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Bytes that mean something to one parser or another: ends, signs, lengths, pointers of DNS, quotes.
const TELLING: [u8; 14] = [0x00, 0x01, 0x07, 0x0a, 0x0d, 0x20, 0x22, 0x3a, 0x5c, 0x7f, 0x80, 0xc0, 0xfe, 0xff];
/// Longest input: what grows by repetition is cut here.
const BYTES_MAX: usize = 1 << 16;

/// How many cases are tried: `usual`, or what `WEIR_HOSTILE_CASES` says.
pub(crate) fn config(usual: u32) -> ProptestConfig {
    let cases = std::env::var("WEIR_HOSTILE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// One way to damage bytes.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    /// Two or four bytes that say a number, in either order.
    Number(Index, u32, bool, bool),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, u8, u8),
    /// The end of another input from there on.
    Graft(Index, Index, Index),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![prop::sample::select(TELLING.to_vec()), any::<u8>()];
    let number = prop_oneof![Just(0), Just(1), Just(u32::MAX), Just(0x7fff_ffff), any::<u32>(), 0..2_000u32];
    prop_oneof![
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        2 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        3 => (any::<Index>(), number, any::<bool>(), any::<bool>())
            .prop_map(|(at, number, wide, little)| Damage::Number(at, number, wide, little)),
        2 => (any::<Index>(), vec(byte(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => (any::<Index>(), any::<u8>(), any::<u8>()).prop_map(|(at, len, times)| Damage::Repeat(at, len, times)),
        1 => (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(at, other, from)| Damage::Graft(at, other, from)),
        1 => any::<Index>().prop_map(Damage::Cut),
    ]
}

/// One of the seeds, damaged in up to a dozen places.
pub(crate) fn damaged(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), vec(damage(), 0..12)).prop_map(move |(seed, damages)| {
        let mut bytes = seed.get(&seeds).clone();
        for damage in damages {
            apply(&mut bytes, &damage, &seeds);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    })
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, seeds: &[Vec<u8>]) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match damage {
        Damage::Set(at, byte) => bytes[at.index(len)] = *byte,
        Damage::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Damage::Number(at, number, wide, little) => {
            let mut of = if *wide { number.to_be_bytes().to_vec() } else { (*number as u16).to_be_bytes().to_vec() };
            if *little {
                of.reverse();
            }
            let at = at.index(len);
            bytes.splice(at..len.min(at + of.len()), of);
        }
        Damage::Insert(at, inserted) => {
            let at = at.index(len + 1);
            bytes.splice(at..at, inserted.iter().copied());
        }
        Damage::Remove(at, count) => {
            let at = at.index(len);
            bytes.drain(at..len.min(at + usize::from(*count)));
        }
        Damage::Repeat(at, count, times) => {
            let at = at.index(len);
            let part = bytes[at..len.min(at + usize::from(*count))].repeat(usize::from(*times));
            bytes.splice(at..at, part);
        }
        Damage::Graft(at, other, from) => {
            bytes.truncate(at.index(len));
            let other = other.get(seeds);
            bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
        }
        Damage::Cut(at) => bytes.truncate(at.index(len)),
    }
}
