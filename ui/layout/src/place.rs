//! The layout as a whole.

use crate::arrange;
use crate::geometry::{Placement, Rect, Spot};
use crate::inside;
use crate::trophic;
use crate::units::{self, Unit};

/// One service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Number of the island it belongs to; `None` for one that stands alone.
    pub island: Option<usize>,
}

/// A call from one node to another, both by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Caller.
    pub from: usize,
    /// Callee.
    pub to: usize,
}

/// Sizes, in the units of the picture, and how firmly an earlier picture is held on to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Width of a node.
    pub node_width: f32,
    /// Height of a node.
    pub node_height: f32,
    /// Room between two columns of an island, for the edges between them.
    pub column_gap: f32,
    /// Room between two nodes of a column.
    pub row_gap: f32,
    /// Room between the nodes of an island and its border.
    pub island_padding: f32,
    /// Further room at the upper border of an island, for its name.
    pub island_title: f32,
    /// Room between islands, and between islands and lone nodes.
    pub island_gap: f32,
    /// Width of the whole divided by its height, as far as the graph allows.
    pub aspect: f32,
    /// A node keeps its level of the earlier placement while the new one differs by less than this.
    pub sticky_level: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_width: 184.0,
            node_height: 44.0,
            column_gap: 96.0,
            row_gap: 14.0,
            island_padding: 16.0,
            island_title: 24.0,
            island_gap: 88.0,
            aspect: 1.7,
            sticky_level: 0.4,
        }
    }
}

/// Lays out `nodes` joined by `edges`; `earlier` holds the spots of nodes that were on the picture before.
///
/// `earlier` may be shorter than `nodes`; what is missing counts as new. Islands are numbered from 0; the result has
/// a box for each number up to the highest.
///
/// # Panics
/// An edge names a node that does not exist.
#[must_use]
pub fn place(nodes: &[Node], edges: &[Edge], options: &Options, earlier: &[Option<Spot>]) -> Placement {
    if nodes.is_empty() {
        return Placement::default();
    }
    let mut sketch = Sketch::new(nodes, edges, options, earlier);
    sketch.arrange(earlier);
    sketch.finish(nodes)
}

/// A layout under way.
pub(crate) struct Sketch<'a> {
    pub(crate) options: &'a Options,
    /// Other ends of the edges of each node.
    pub(crate) neighbours: Vec<Vec<usize>>,
    /// Level of each node within its unit.
    pub(crate) levels: Vec<f32>,
    /// Unit of each node.
    pub(crate) unit_of: Vec<usize>,
    /// Islands and lone nodes.
    pub(crate) units: Vec<Unit>,
    /// Units that have to do with others, in columns from left to right, each from top to bottom.
    pub(crate) columns: Vec<Vec<usize>>,
    /// Units that have to do with no other.
    pub(crate) apart: Vec<usize>,
    /// Spot of each node relative to its unit: (x, y).
    pub(crate) local: Vec<(f32, f32)>,
}

impl<'a> Sketch<'a> {
    fn new(nodes: &[Node], edges: &[Edge], options: &'a Options, earlier: &[Option<Spot>]) -> Self {
        let pairs: Vec<(usize, usize)> = edges.iter().map(|e| (e.from, e.to)).filter(|(a, b)| a != b).collect();
        let mut neighbours = vec![Vec::new(); nodes.len()];
        for &(from, to) in &pairs {
            neighbours[from].push(to);
            neighbours[to].push(from);
        }
        let (mut units, unit_of) = units::gather(nodes);
        let held = |node: usize, pick: fn(&Spot) -> f32| earlier.get(node).copied().flatten().map(|spot| pick(&spot));
        // Within an island the calls inside of it decide; where the island itself belongs is another question.
        let inner: Vec<(usize, usize)> = pairs.iter().copied().filter(|&(a, b)| unit_of[a] == unit_of[b]).collect();
        let mut levels = trophic::levels(nodes.len(), &inner);
        for (node, level) in levels.iter_mut().enumerate() {
            *level = sticky(*level, held(node, |spot| spot.level), options.sticky_level);
        }
        let unit_pairs = units::pairs(&pairs, &unit_of);
        let unit_levels = trophic::levels(units.len(), &unit_pairs);
        for (unit, level) in units.iter_mut().zip(unit_levels) {
            let before = unit.members.iter().find_map(|&node| held(node, |spot| spot.unit_level));
            unit.level = sticky(level, before, options.sticky_level);
        }
        let mut local = vec![(0.0, 0.0); nodes.len()];
        for unit in &mut units {
            inside::lay_out(unit, &levels, options, earlier, &mut local);
        }
        let (columns, apart) = units::columns(&units, &unit_pairs, options);
        Self { options, neighbours, levels, unit_of, units, columns, apart, local }
    }

    fn arrange(&mut self, earlier: &[Option<Spot>]) {
        units::set_x(self);
        arrange::seed(self, earlier);
        arrange::sweep(self);
        arrange::settle(self);
        units::shelve_apart(self);
    }

    /// Middle of a node, as high as its edges leave it.
    pub(crate) fn middle(&self, node: usize) -> (f32, f32) {
        let unit = &self.units[self.unit_of[node]];
        let (x, y) = self.local[node];
        (unit.x + x + self.options.node_width / 2.0, unit.y + y + self.options.node_height / 2.0)
    }

    fn finish(self, nodes: &[Node]) -> Placement {
        let left = self.units.iter().map(|u| u.x).fold(f32::MAX, f32::min);
        let top = self.units.iter().map(|u| u.y).fold(f32::MAX, f32::min);
        let mut placement = Placement {
            nodes: Vec::with_capacity(nodes.len()),
            islands: vec![Rect::default(); nodes.iter().filter_map(|n| n.island).max().map_or(0, |last| last + 1)],
            width: self.units.iter().map(|u| u.x + u.width).fold(f32::MIN, f32::max) - left,
            height: self.units.iter().map(|u| u.y + u.height).fold(f32::MIN, f32::max) - top,
        };
        for (node, &(x, y)) in self.local.iter().enumerate() {
            let unit = &self.units[self.unit_of[node]];
            placement.nodes.push(Spot {
                x: unit.x + x - left,
                y: unit.y + y - top,
                level: self.levels[node],
                unit_level: unit.level,
            });
        }
        for unit in &self.units {
            if let Some(island) = unit.island {
                placement.islands[island] =
                    Rect { x: unit.x - left, y: unit.y - top, width: unit.width, height: unit.height };
            }
        }
        placement
    }
}

fn sticky(level: f32, before: Option<f32>, within: f32) -> f32 {
    before.filter(|before| (before - level).abs() < within).unwrap_or(level)
}
