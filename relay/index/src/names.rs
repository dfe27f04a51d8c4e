//! Names of a relay and of its files, which no other relay gives.

use std::fmt;
use std::io::{self, Read as _};

use flow::Timestamp;

/// Characters of names: digits and letters without those that are easily confused, in the order of their bytes.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Draws names of files. They sort in the order they were drawn, even where the clock jumps back.
#[derive(Clone, Debug)]
pub(crate) struct Namer {
    relay: String,
    last_ms: u64,
}

/// Name of a file: the relay's, then 10 characters of milliseconds, then 16 drawn at random.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileName(String);

impl Namer {
    /// Names for the relay of this name, later than all that are known.
    pub(crate) fn new(relay: String) -> Self {
        Self { relay, last_ms: 0 }
    }

    /// Name of the relay.
    pub(crate) fn relay(&self) -> &str {
        &self.relay
    }

    /// Names drawn from now on sort behind this one, if it is one of this relay's.
    pub(crate) fn met(&mut self, name: &str) {
        if let Some(time) = name.strip_prefix(&self.relay).and_then(|rest| rest.strip_prefix('-')).and_then(time_of) {
            self.last_ms = self.last_ms.max(time);
        }
    }

    /// Draws a name.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn draw(&mut self, now: Timestamp) -> io::Result<FileName> {
        let ms = u64::try_from(now.0.div_euclid(1_000_000)).unwrap_or_default();
        self.last_ms = ms.max(self.last_ms + 1);
        let [high, low] = [random()?, random()?];
        Ok(FileName(format!("{}-{}{}{}", self.relay, digits(self.last_ms, 10), digits(high, 8), digits(low, 8))))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Draws the name of a relay.
///
/// # Errors
/// The system gives no random numbers.
pub(crate) fn draw_relay() -> io::Result<String> {
    Ok(digits(random()?, 12))
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The lowest bits of a number, five a character.
fn digits(value: u64, characters: u32) -> String {
    let digit = |place: u32| {
        let bits = value.checked_shr(place * 5).unwrap_or_default() & 31;
        char::from(DIGITS[usize::try_from(bits).expect("five bits")])
    };
    (0..characters).rev().map(digit).collect()
}

fn time_of(text: &str) -> Option<u64> {
    let value = |time: u64, character: u8| {
        let digit = DIGITS.iter().position(|digit| *digit == character)?;
        Some(time << 5 | digit as u64)
    };
    text.as_bytes().get(..10)?.iter().try_fold(0, |time, character| value(time, *character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_rise_though_the_clock_jumps_back() {
        let mut namer = Namer::new("r".to_owned());
        let times = [5_000, 9_000, 100, 200, 9_000].map(|ms| Timestamp(ms * 1_000_000));
        let names: Vec<FileName> = times.iter().map(|time| namer.draw(*time).unwrap()).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        let mut after_restart = Namer::new("r".to_owned());
        after_restart.met(&names[4].to_string());
        assert!(after_restart.draw(Timestamp(0)).unwrap() > names[4]);
    }

    #[test]
    fn two_relays_never_give_the_same_name() {
        assert_ne!(draw_relay().unwrap(), draw_relay().unwrap());
        let mut namer = Namer::new(draw_relay().unwrap());
        let name = namer.draw(Timestamp(1_700_000_000_000_000_000)).unwrap().to_string();
        assert_eq!(name.len(), 12 + 1 + 26);
    }
}
