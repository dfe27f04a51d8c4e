//! The inside of one unit: its nodes in columns.

use crate::geometry::Spot;
use crate::place::Options;
use crate::sorting::sort_by;
use crate::units::Unit;

/// Columns a trophic level, the finest first: levels of real networks are not whole, and finer columns follow them
/// better, but they also make an island wide and low.
const COLUMNS_PER_LEVEL: [f32; 4] = [1.5, 1.0, 0.7, 0.5];
/// Width of an island divided by its height that is still taken for the sake of finer columns.
const ASPECT_MAX: f32 = 4.2;

/// Puts the members of `unit` into columns, stacks each in the middle, and sets the size of the unit.
pub(crate) fn lay_out(
    unit: &mut Unit,
    levels: &[f32],
    options: &Options,
    earlier: &[Option<Spot>],
    local: &mut [(f32, f32)],
) {
    unit.columns = best_columns(&unit.members, levels, options);
    for column in &mut unit.columns {
        // New nodes come below those that were there.
        let key = |node: usize| earlier.get(node).copied().flatten().map_or(f32::MAX, |spot| spot.y);
        sort_by(column, |&a, &b| key(a).total_cmp(&key(b)));
    }
    let tallest = unit.columns.iter().map(Vec::len).max().unwrap_or(0) as f32;
    let wide = unit.columns.len() as f32;
    let border = if unit.island.is_some() { options.island_padding } else { 0.0 };
    let title = if unit.island.is_some() { options.island_title } else { 0.0 };
    unit.inset = (border, border + title);
    unit.width = wide * options.node_width + (wide - 1.0) * options.column_gap + 2.0 * border;
    unit.height = tallest * options.node_height + (tallest - 1.0) * options.row_gap + 2.0 * border + title;
    for column in 0..unit.columns.len() {
        stack(unit, column, options, local);
    }
}

/// Stacks one column without holes, in the middle of the unit.
pub(crate) fn stack(unit: &Unit, column: usize, options: &Options, local: &mut [(f32, f32)]) {
    let (left, top) = unit.inset;
    let pitch = options.node_height + options.row_gap;
    let used = unit.columns[column].len() as f32 * pitch - options.row_gap;
    let room = unit.height - top - left;
    let x = left + column as f32 * (options.node_width + options.column_gap);
    for (row, &node) in unit.columns[column].iter().enumerate() {
        local[node] = (x, top + (room - used) / 2.0 + row as f32 * pitch);
    }
}

/// Rows that give a unit of `count` nodes about the wanted shape.
fn rows_max(count: usize, options: &Options) -> usize {
    let cell_aspect = (options.node_width + options.column_gap) / (options.node_height + options.row_gap);
    let rows = (count as f32 * cell_aspect / options.aspect).sqrt().ceil();
    (rows as usize).max(4)
}

/// The finest columns that do not make the unit too wide; the coarsest where all do.
fn best_columns(members: &[usize], levels: &[f32], options: &Options) -> Vec<Vec<usize>> {
    let rows_max = rows_max(members.len(), options);
    let mut found = Vec::new();
    for fineness in COLUMNS_PER_LEVEL {
        found = columns(members, levels, rows_max, fineness);
        let tallest = found.iter().map(Vec::len).max().unwrap_or(1) as f32;
        let width = found.len() as f32 * (options.node_width + options.column_gap);
        if width / (tallest * (options.node_height + options.row_gap)) <= ASPECT_MAX || found.len() <= 3 {
            break;
        }
    }
    found
}

fn columns(members: &[usize], levels: &[f32], rows_max: usize, fineness: f32) -> Vec<Vec<usize>> {
    let mut sorted = members.to_vec();
    sort_by(&mut sorted, |&a, &b| levels[a].total_cmp(&levels[b]).then(a.cmp(&b)));
    let key = |node: usize| (levels[node] * fineness).round();
    let mut columns = Vec::new();
    for level in sorted.chunk_by(|&a, &b| key(a) == key(b)) {
        let parts = level.len().div_ceil(rows_max);
        columns.extend(level.chunks(level.len().div_ceil(parts)).map(<[usize]>::to_vec));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_become_columns_and_tall_ones_are_split() {
        let levels = [0.0, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0, 2.1];
        let members: Vec<usize> = (0..levels.len()).collect();
        assert_eq!(
            columns(&members, &levels, 4, 1.5),
            [vec![0, 1], vec![2, 3, 4], vec![5, 6], vec![7]],
            "five nodes of one level make two columns of at most four"
        );
    }
}
