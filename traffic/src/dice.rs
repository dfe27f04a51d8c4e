//! Numbers that look random and are the same each time.

/// A source of numbers.
///
/// Source: `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which must not be 0.
    pub(crate) fn wide(&mut self, n: u64) -> u64 {
        self.any() % n
    }

    /// A number below `n`, which must not be 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.any() % u64::try_from(n).expect("small")).expect("below n")
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.any() >> 32).expect("32 bits")) / 4_294_967_296.0
    }

    /// A duration around `typical_ns` with the long tail that services have: one in a hundred takes ten times as long.
    pub(crate) fn latency_ns(&mut self, typical_ns: u32) -> u64 {
        let spread = 0.5 + self.unit();
        let tail = 1.0 / (1.0 - self.unit()).sqrt();
        let nanos = f64::from(typical_ns) * spread * tail;
        u64::from(u32::try_from(whole(nanos / 16.0)).unwrap_or(u32::MAX)) * 16 + self.wide(16)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, which is wanted"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}

/// Ranks by Zipf's law: rank r comes up in proportion to 1 / (r + 1) ^ s.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// Sum of the weights up to each rank.
    sums: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(ranks: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| f64::from(u32::try_from(rank).expect("few ranks")).powf(s).recip());
        let sums = weights.map(|weight| {
            sum += weight;
            sum
        });
        Self { sums: sums.collect() }
    }

    pub(crate) fn roll(&self, dice: &mut Dice) -> usize {
        let total = self.sums.last().copied().unwrap_or_default();
        let at = dice.unit() * total;
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1)
    }
}
