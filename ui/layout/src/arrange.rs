//! Order and height: who stands above whom, and how far down.

use crate::geometry::Spot;
use crate::inside;
use crate::isotonic;
use crate::place::Sketch;
use crate::sorting::sort_by;
use crate::units::row_gap;

/// Barycentre sweeps, alternately from left to right and back.
const SWEEPS: usize = 12;
/// Of these last sweeps the best order is kept.
const KEPT: usize = 4;
/// Rounds of pulling neighbours level.
const ROUNDS: usize = 8;
/// Edges count less with the distance they span; this distance halves them.
const HALVING: f32 = 600.0;
/// Weight of where a thing already is against where its neighbours want it.
const INERTIA: f32 = 0.2;

/// Stacks each column in the order of the earlier picture, new units last.
pub(crate) fn seed(sketch: &mut Sketch<'_>, earlier: &[Option<Spot>]) {
    let before = |node: usize| earlier.get(node).copied().flatten().map_or(f32::MAX, |spot| spot.y);
    let keys: Vec<f32> =
        sketch.units.iter().map(|u| u.members.iter().map(|&n| before(n)).fold(f32::MAX, f32::min)).collect();
    for column in 0..sketch.columns.len() {
        sort_by(&mut sketch.columns[column], |&a, &b| keys[a].total_cmp(&keys[b]));
        stack(sketch, column);
    }
}

/// An order found by a sweep.
struct Order {
    cost: f32,
    columns: Vec<Vec<usize>>,
    /// Columns of each unit.
    insides: Vec<Vec<Vec<usize>>>,
}

/// Sweeps over the columns and keeps the order with the shortest edges.
pub(crate) fn sweep(sketch: &mut Sketch<'_>) {
    let mut best: Option<Order> = None;
    for number in 0..SWEEPS {
        let count = sketch.columns.len();
        for step in 0..count {
            let column = if number.is_multiple_of(2) { step } else { count - 1 - step };
            sort_units(sketch, column);
            for index in 0..sketch.columns[column].len() {
                sort_inside(sketch, sketch.columns[column][index], number.is_multiple_of(2));
            }
        }
        for index in 0..sketch.apart.len() {
            sort_inside(sketch, sketch.apart[index], number.is_multiple_of(2));
        }
        if number + KEPT >= SWEEPS {
            let cost = steepness(sketch);
            if best.as_ref().is_none_or(|best| cost < best.cost) {
                let insides = sketch.units.iter().map(|u| u.columns.clone()).collect();
                best = Some(Order { cost, columns: sketch.columns.clone(), insides });
            }
        }
    }
    if let Some(best) = best {
        sketch.columns = best.columns;
        for (unit, columns) in sketch.units.iter_mut().zip(best.insides) {
            unit.columns = columns;
        }
        restack(sketch);
    }
}

/// Pulls units and nodes level with their neighbours without changing the order.
pub(crate) fn settle(sketch: &mut Sketch<'_>) {
    for round in 0..ROUNDS {
        let count = sketch.columns.len();
        for step in 0..count {
            let column = if round.is_multiple_of(2) { step } else { count - 1 - step };
            settle_units(sketch, column);
            for index in 0..sketch.columns[column].len() {
                settle_inside(sketch, sketch.columns[column][index]);
            }
        }
        for index in 0..sketch.apart.len() {
            settle_inside(sketch, sketch.apart[index]);
        }
    }
}

fn restack(sketch: &mut Sketch<'_>) {
    for unit in 0..sketch.units.len() {
        for column in 0..sketch.units[unit].columns.len() {
            inside::stack(&sketch.units[unit], column, sketch.options, &mut sketch.local);
        }
    }
    for column in 0..sketch.columns.len() {
        stack(sketch, column);
    }
}

/// Stacks a column of units without holes, centred on zero.
fn stack(sketch: &mut Sketch<'_>, column: usize) {
    let gap = row_gap(sketch.options);
    let total: f32 = sketch.columns[column].iter().map(|&u| sketch.units[u].height + gap).sum::<f32>() - gap;
    let mut y = -total / 2.0;
    for &unit in &sketch.columns[column] {
        sketch.units[unit].y = y;
        y += sketch.units[unit].height + gap;
    }
}

fn sort_units(sketch: &mut Sketch<'_>, column: usize) {
    let mut keyed: Vec<(f32, usize)> = sketch.columns[column]
        .iter()
        .map(|&unit| {
            let members = &sketch.units[unit].members;
            let pulled = members.iter().filter_map(|&node| pull(sketch, node, |other| sketch.unit_of[other] != unit));
            let (sum, count) = pulled.fold((0.0, 0.0), |(sum, count), (y, weight)| (sum + y * weight, count + weight));
            let own = sketch.units[unit].y + sketch.units[unit].height / 2.0;
            (if count > 0.0 { sum / count } else { own }, unit)
        })
        .collect();
    sort_by(&mut keyed, |a, b| a.0.total_cmp(&b.0));
    sketch.columns[column] = keyed.into_iter().map(|(_, unit)| unit).collect();
    stack(sketch, column);
}

fn sort_inside(sketch: &mut Sketch<'_>, unit: usize, forward: bool) {
    let count = sketch.units[unit].columns.len();
    for step in 0..count {
        let column = if forward { step } else { count - 1 - step };
        if sketch.units[unit].columns[column].len() < 2 {
            continue;
        }
        let mut keyed: Vec<(f32, usize)> = sketch.units[unit].columns[column]
            .iter()
            .map(|&node| (pull(sketch, node, |_| true).map_or(sketch.middle(node).1, |(y, _)| y), node))
            .collect();
        sort_by(&mut keyed, |a, b| a.0.total_cmp(&b.0));
        sketch.units[unit].columns[column] = keyed.into_iter().map(|(_, node)| node).collect();
        inside::stack(&sketch.units[unit], column, sketch.options, &mut sketch.local);
    }
}

/// Mean height of those neighbours of `node` that `counts` takes, and the weight of that mean.
fn pull(sketch: &Sketch<'_>, node: usize, counts: impl Fn(usize) -> bool) -> Option<(f32, f32)> {
    let own_x = sketch.middle(node).0;
    let (mut sum, mut weights) = (0.0, 0.0);
    for &other in sketch.neighbours[node].iter().filter(|&&other| counts(other)) {
        let (x, y) = sketch.middle(other);
        let weight = HALVING / (HALVING + (x - own_x).abs());
        sum += y * weight;
        weights += weight;
    }
    (weights > 0.0).then(|| (sum / weights, weights))
}

fn settle_units(sketch: &mut Sketch<'_>, column: usize) {
    let wanted: Vec<f32> = sketch.columns[column]
        .iter()
        .map(|&unit| {
            // How far its nodes are above or below their neighbours, on average.
            let (mut sum, mut weights) = (0.0, INERTIA);
            for &node in &sketch.units[unit].members {
                if let Some((y, weight)) = pull(sketch, node, |other| sketch.unit_of[other] != unit) {
                    sum += (y - sketch.middle(node).1) * weight;
                    weights += weight;
                }
            }
            sketch.units[unit].y + sum / weights
        })
        .collect();
    let sizes: Vec<f32> = sketch.columns[column].iter().map(|&unit| sketch.units[unit].height).collect();
    let fitted = isotonic::spread(&wanted, &sizes, row_gap(sketch.options));
    for (&unit, y) in sketch.columns[column].iter().zip(fitted) {
        sketch.units[unit].y = y;
    }
}

fn settle_inside(sketch: &mut Sketch<'_>, unit: usize) {
    let node_height = sketch.options.node_height;
    let pitch = node_height + sketch.options.row_gap;
    for column in 0..sketch.units[unit].columns.len() {
        let nodes = sketch.units[unit].columns[column].clone();
        let top = sketch.units[unit].inset.1;
        let bottom = sketch.units[unit].height - sketch.units[unit].inset.0 - node_height;
        let wanted: Vec<f32> = nodes
            .iter()
            .map(|&node| {
                let (y, weight) = pull(sketch, node, |_| true).unwrap_or((0.0, 0.0));
                let own = sketch.middle(node).1;
                let middle = (own * INERTIA + y * weight) / (INERTIA + weight);
                middle - sketch.units[unit].y - node_height / 2.0
            })
            .collect();
        let fitted = isotonic::spread(&wanted, &vec![node_height; nodes.len()], sketch.options.row_gap);
        for (row, (&node, y)) in nodes.iter().zip(fitted).enumerate() {
            let lowest = top + row as f32 * pitch;
            let highest = bottom - (nodes.len() - 1 - row) as f32 * pitch;
            sketch.local[node].1 = y.clamp(lowest, highest.max(lowest));
        }
    }
}

/// Sum of how far all edges rise or fall: what the order is judged by.
fn steepness(sketch: &Sketch<'_>) -> f32 {
    let ends = sketch.neighbours.iter().enumerate();
    ends.flat_map(|(node, others)| others.iter().map(move |&other| (node, other)))
        .filter(|(node, other)| node < other)
        .map(|(node, other)| (sketch.middle(node).1 - sketch.middle(other).1).abs())
        .sum()
}
