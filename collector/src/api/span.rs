//! Which part of a history a request asks for, as Hubble positions its readers.

use std::time::{Duration, Instant};

use flow::Timestamp;

use crate::ring::{Found, Lookup, Ring, Timed};

/// How much older a value may be than one before it: processors and parsers hand over what they have at their own pace.
pub(crate) const DISORDER: Duration = Duration::from_secs(1);

/// Time that looking at values may take before other tasks get a turn.
const TURN: Duration = Duration::from_millis(1);

/// A part of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// How many matching values; 0 for no limit.
    pub(crate) number: u64,
    /// Count from the oldest instead of the newest.
    pub(crate) first: bool,
    /// Go on with what comes.
    pub(crate) follow: bool,
    /// Begin at the first value that is not older.
    pub(crate) since: Option<Timestamp>,
    /// End before the first value that is newer.
    pub(crate) until: Option<Timestamp>,
}

impl Span {
    /// Number of the value to begin with, of those before `head`. `counts` says which values count towards `number`;
    /// what `lookup` does not want does not.
    ///
    /// `since` comes before `first` and `number`; following without either begins at the tip. With `since`, values
    /// from before it may follow the beginning: what [`Span::covers`] does not cover is to be left out.
    ///
    /// Other tasks get their turn meanwhile: asking of a value whether it counts may take long.
    pub(crate) async fn start<T: Clone + Timed>(
        &self,
        ring: &Ring<T>,
        head: u64,
        lookup: Lookup<T>,
        mut counts: impl FnMut(&T) -> bool,
    ) -> u64 {
        let oldest = ring.oldest();
        if let Some(since) = self.since {
            // Only a value that counts ends the walk: losses between it and the times asked for are told too.
            let too_old = since.before(DISORDER);
            let belongs = |value: Option<&T>| value.is_none_or(|value| !counts(value) || value.when() >= too_old);
            return walk_back(ring, head, lookup, belongs).await;
        }
        if self.first {
            return oldest;
        }
        match (self.number, self.follow) {
            (0, true) => head,
            (0, false) => oldest,
            (number, _) => {
                let mut left = number;
                walk_back(ring, head, lookup, |value| {
                    if left == 0 {
                        return false;
                    }
                    left -= u64::from(value.is_some_and(&mut counts));
                    true
                })
                .await
            }
        }
    }

    /// Whether a value is within the times asked for.
    pub(crate) fn covers(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
    }

    /// Whether a value is newer than the times asked for.
    pub(crate) fn is_beyond(&self, time: Timestamp) -> bool {
        self.until.is_some_and(|until| time > until)
    }

    /// Whether a value is so new that none after it can be within the times asked for.
    pub(crate) fn is_past(&self, time: Timestamp) -> bool {
        self.until.is_some_and(|until| time > until.after(DISORDER))
    }

    /// How many matching values end the answer; `None` where only the end of the history or the client does.
    pub(crate) const fn limit(&self) -> Option<u64> {
        if self.follow || self.number == 0 { None } else { Some(self.number) }
    }
}

/// Number of the oldest value of the newest run of values that `belongs` accepts, asked from the newest on; it gets `None`
/// for one that is not wanted.
async fn walk_back<T: Clone>(
    ring: &Ring<T>,
    head: u64,
    mut lookup: Lookup<T>,
    mut belongs: impl FnMut(Option<&T>) -> bool,
) -> u64 {
    let mut start = head;
    let mut turn = Turn::default();
    while start > ring.oldest() {
        match lookup.find(start - 1) {
            Found::Value(value) if belongs(Some(&value)) => start -= 1,
            Found::Unwanted if belongs(None) => start -= 1,
            _ => break,
        }
        turn.take().await;
    }
    start
}

/// Gives other tasks their turn now and then, however long one value takes.
#[derive(Debug)]
pub(crate) struct Turn {
    began: Instant,
}

impl Default for Turn {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Turn {
    /// Call for every value.
    pub(crate) async fn take(&mut self) {
        if self.began.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.began = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::ring;

    #[derive(Clone, Debug)]
    struct At(i64);

    impl Timed for At {
        fn when(&self) -> Timestamp {
            Timestamp(self.0)
        }
    }

    const SECOND: i64 = Timestamp::NANOS_PER_SECOND;

    /// Seconds 10, 20, ... 100 in a history of eight: 30 is the oldest left. Even tens count.
    fn start(span: Span) -> u64 {
        let (mut writer, ring) = ring(8);
        for n in 1..=10 {
            writer.push(At(n * 10 * SECOND));
        }
        writer.publish();
        futures::executor::block_on(span.start(&ring, ring.head(), ring.lookup(), |at| at.0 % (20 * SECOND) == 0))
    }

    #[test]
    fn positions_as_hubble_does() {
        let span = Span::default();
        let since = Some(Timestamp(75 * SECOND));
        for (asked, expected) in [
            (span, 2),
            (Span { number: 2, ..span }, 7),
            (Span { number: 100, ..span }, 2),
            (Span { number: 2, first: true, ..span }, 2),
            // 60 is the newest that counts and is too old; 70 does not count, and is left out by its time.
            (Span { since, ..span }, 6),
            (Span { since, number: 1, first: true, ..span }, 6),
            (Span { follow: true, ..span }, 10),
            (Span { follow: true, number: 2, ..span }, 7),
            (Span { follow: true, since, ..span }, 6),
            (Span { since: Some(Timestamp(1000 * SECOND)), ..span }, 10),
        ] {
            assert_eq!(start(asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn a_little_disorder_hides_nothing() {
        let second = Timestamp::NANOS_PER_SECOND;
        let (mut writer, ring) = ring(8);
        for time in [1, 5 * second, 4 * second + 1, 6 * second, 5 * second - 1] {
            writer.push(At(time));
        }
        writer.publish();
        let span = Span { since: Some(Timestamp(5 * second)), until: Some(Timestamp(5 * second)), ..Span::default() };
        let start =
            |counts: bool| futures::executor::block_on(span.start(&ring, ring.head(), ring.lookup(), |_| counts));
        assert_eq!(start(true), 1);
        assert_eq!(start(false), 0, "only what counts ends the walk");
        assert!(span.covers(Timestamp(5 * second)) && !span.covers(Timestamp(4 * second + 1)));
        assert!(!span.is_past(Timestamp(6 * second)) && span.is_past(Timestamp(6 * second + 1)));
    }

    #[test]
    fn only_a_finite_answer_has_a_limit() {
        assert_eq!(Span { number: 5, ..Span::default() }.limit(), Some(5));
        assert_eq!(Span { number: 5, follow: true, ..Span::default() }.limit(), None);
        assert_eq!(Span::default().limit(), None);
    }
}
