//! What a layout gives back.

/// Where everything is; x grows to the right, y downwards, the upper left corner of the whole is (0, 0).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// One spot per node, in the order of the nodes.
    pub nodes: Vec<Spot>,
    /// One box per island, by its number; empty for numbers without nodes.
    pub islands: Vec<Rect>,
    /// Width of the whole.
    pub width: f32,
    /// Height of the whole.
    pub height: f32,
}

/// Where one node is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spot {
    /// Left end.
    pub x: f32,
    /// Upper end.
    pub y: f32,
    /// Trophic level that was used for the node; kept so that the next layout can hold on to it.
    pub level: f32,
    /// Trophic level that was used for its island, or for itself where it has none.
    pub unit_level: f32,
}

/// A box.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left end.
    pub x: f32,
    /// Upper end.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Rect {
    /// Whether both have area in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }

    /// Whether the point is inside.
    #[must_use]
    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.x && x <= self.x + self.width && y >= self.y && y <= self.y + self.height
    }
}
