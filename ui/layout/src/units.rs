//! Units: what is placed as one box, an island with its nodes or a node that stands alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::place::{Node, Options, Sketch};
use crate::sorting::sort_by;

/// An island or a lone node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit {
    /// Number of the island; `None` for a lone node.
    pub(crate) island: Option<usize>,
    /// Its nodes.
    pub(crate) members: Vec<usize>,
    /// Its nodes in columns from left to right, each from top to bottom.
    pub(crate) columns: Vec<Vec<usize>>,
    /// Level among the units.
    pub(crate) level: f32,
    /// Left and upper end of the area for nodes.
    pub(crate) inset: (f32, f32),
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

/// Gathers nodes into units; returns also the unit of each node.
pub(crate) fn gather(nodes: &[Node]) -> (Vec<Unit>, Vec<usize>) {
    let mut units: Vec<Unit> = Vec::new();
    let mut of_island: BTreeMap<usize, usize> = BTreeMap::new();
    let mut unit_of = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let fresh = units.len();
        let unit = match node.island {
            Some(island) => *of_island.entry(island).or_insert(fresh),
            None => fresh,
        };
        if unit == fresh {
            units.push(Unit { island: node.island, ..Unit::default() });
        }
        units[unit].members.push(index);
        unit_of.push(unit);
    }
    (units, unit_of)
}

/// Which unit calls which, each pair once.
pub(crate) fn pairs(pairs: &[(usize, usize)], unit_of: &[usize]) -> Vec<(usize, usize)> {
    let between: BTreeSet<(usize, usize)> =
        pairs.iter().map(|&(from, to)| (unit_of[from], unit_of[to])).filter(|(from, to)| from != to).collect();
    between.into_iter().collect()
}

/// Columns of nodes that a picture may have however low it is.
const FORGIVEN_COLUMNS: f32 = 7.0;

/// Columns a level of the units, the finest first; coarser ones make a wide picture narrower.
const UNIT_COLUMNS_PER_LEVEL: [f32; 5] = [1.5, 1.0, 0.7, 0.5, 0.35];

/// Puts the units into columns by level; returns apart those that have to do with no other.
pub(crate) fn columns(units: &[Unit], pairs: &[(usize, usize)], options: &Options) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut joined = vec![false; units.len()];
    for &(from, to) in pairs {
        joined[from] = true;
        joined[to] = true;
    }
    let apart = (0..units.len()).filter(|&unit| !joined[unit]).collect();
    let mut sorted: Vec<usize> = (0..units.len()).filter(|&unit| joined[unit]).collect();
    sort_by(&mut sorted, |&a, &b| units[a].level.total_cmp(&units[b].level).then(a.cmp(&b)));
    let candidates = UNIT_COLUMNS_PER_LEVEL.map(|fineness| by_level(units, &sorted, options, fineness));
    let best = candidates.into_iter().min_by(|a, b| misfit(units, a, options).total_cmp(&misfit(units, b, options)));
    (best.unwrap_or_default(), apart)
}

fn by_level(units: &[Unit], sorted: &[usize], options: &Options, fineness: f32) -> Vec<Vec<usize>> {
    let tall_max = height_max(units, sorted, options);
    let key = |unit: usize| (units[unit].level * fineness).round();
    let mut columns = Vec::new();
    for level in sorted.chunk_by(|&a, &b| key(a) == key(b)) {
        split_tall(level, units, options, tall_max, &mut columns);
    }
    columns
}

/// How far the shape is from the wanted one, in either direction. Wide pictures are forgiven up to a third, and
/// altogether while they have few columns, because width is what shows the direction of calls.
fn misfit(units: &[Unit], columns: &[Vec<usize>], options: &Options) -> f32 {
    let width: f32 = columns
        .iter()
        .map(|column| column.iter().map(|&u| units[u].width).fold(0.0, f32::max) + options.island_gap)
        .sum();
    let height = columns
        .iter()
        .map(|column| column.iter().map(|&u| units[u].height + row_gap(options)).sum::<f32>())
        .fold(1.0, f32::max);
    let ratio = width / height / options.aspect;
    let narrow = width <= FORGIVEN_COLUMNS * (options.node_width + options.column_gap);
    if narrow && ratio >= 1.0 || (1.0..=1.33).contains(&ratio) { 0.0 } else { ratio.ln().abs() }
}

/// Height that gives the whole about the wanted shape.
fn height_max(units: &[Unit], joined: &[usize], options: &Options) -> f32 {
    let gap = options.island_gap;
    let area: f32 = joined.iter().map(|&u| (units[u].width + gap) * (units[u].height + gap / 2.0)).sum();
    let tallest = joined.iter().map(|&u| units[u].height).fold(0.0, f32::max);
    ((area / options.aspect).sqrt() * 1.15).max(tallest)
}

fn split_tall(level: &[usize], units: &[Unit], options: &Options, tall_max: f32, columns: &mut Vec<Vec<usize>>) {
    let total: f32 = level.iter().map(|&u| units[u].height + row_gap(options)).sum();
    let parts = (total / (tall_max * 1.2)).ceil().max(1.0);
    let share = total / parts;
    let mut column = Vec::new();
    let mut used = 0.0;
    for &unit in level {
        if used >= share && !column.is_empty() {
            columns.push(std::mem::take(&mut column));
            used = 0.0;
        }
        used += units[unit].height + row_gap(options);
        column.push(unit);
    }
    columns.push(column);
}

/// Room between two units of a column.
pub(crate) fn row_gap(options: &Options) -> f32 {
    options.island_gap * 0.4
}

/// Sets the left end of each unit: columns one after the other, each as wide as its widest unit. The nodes of a column
/// of units begin at the same left end, so that there are straight lanes between them.
pub(crate) fn set_x(sketch: &mut Sketch<'_>) {
    let mut left = 0.0;
    for column in &sketch.columns {
        let inset = column.iter().map(|&u| sketch.units[u].inset.0).fold(0.0, f32::max);
        let mut width = 0.0_f32;
        for &unit in column {
            let unit = &mut sketch.units[unit];
            unit.x = left + inset - unit.inset.0;
            width = width.max(unit.x + unit.width - left);
        }
        left += width + sketch.options.island_gap;
    }
}

/// Places what has to do with nothing else in rows below the rest.
pub(crate) fn shelve_apart(sketch: &mut Sketch<'_>) {
    if sketch.apart.is_empty() {
        return;
    }
    let gap = row_gap(sketch.options);
    let placed: Vec<&Unit> = sketch.columns.iter().flatten().map(|&u| &sketch.units[u]).collect();
    let right = placed.iter().map(|u| u.x + u.width).fold(0.0, f32::max);
    let bottom = placed.iter().map(|u| u.y + u.height).fold(f32::MIN, f32::max);
    let area: f32 = sketch.apart.iter().map(|&u| (sketch.units[u].width + gap) * (sketch.units[u].height + gap)).sum();
    let widest = sketch.apart.iter().map(|&u| sketch.units[u].width).fold(0.0, f32::max);
    let width = if placed.is_empty() { (area * sketch.options.aspect).sqrt() } else { right }.max(widest);
    // Boxes first, the tall ones before the low ones, so that rows are filled evenly.
    let mut order = sketch.apart.clone();
    sort_by(&mut order, |&a, &b| sketch.units[b].height.total_cmp(&sketch.units[a].height).then(a.cmp(&b)));
    let (mut x, mut y) = (0.0, if placed.is_empty() { 0.0 } else { bottom + sketch.options.island_gap });
    let mut row_height = 0.0_f32;
    for unit in order {
        let unit = &mut sketch.units[unit];
        if x > 0.0 && x + unit.width > width {
            x = 0.0;
            y += row_height + gap;
            row_height = 0.0;
        }
        (unit.x, unit.y) = (x, y);
        x += unit.width + gap;
        row_height = row_height.max(unit.height);
    }
}
