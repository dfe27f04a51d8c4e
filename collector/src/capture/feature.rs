//! What of capture works on this kernel, for `weir doctor`.

/// How much hangs on a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Without it there is no capture.
    Base,
    /// Every supported kernel (6.6 or newer) has it; without it a part of the picture is missing.
    Full,
    /// Newer kernels have it; it adds detail.
    Extra,
}

/// One thing capture uses, and whether it works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is, such as `drops (tp_btf/kfree_skb)`.
    pub name: String,
    /// How much hangs on it.
    pub tier: Tier,
    /// Whether it works.
    pub ok: bool,
    /// Where it works: a fact about it. Where not: why not, and the remedy if there is one.
    pub why: String,
}

impl Feature {
    /// A feature that works.
    pub(super) fn works(name: impl Into<String>, tier: Tier, fact: impl Into<String>) -> Self {
        Self { name: name.into(), tier, ok: true, why: fact.into() }
    }

    /// A feature that does not.
    pub(super) fn fails(name: impl Into<String>, tier: Tier, why: impl Into<String>) -> Self {
        Self { name: name.into(), tier, ok: false, why: why.into() }
    }
}
