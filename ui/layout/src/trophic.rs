//! Trophic levels: how far from the sources of a network each node is.
//!
//! The levels `h` minimise the sum over all edges of `(h[to] - h[from] - 1)²`. Cycles need no breaking, a graph in
//! which peers call each other stays shallow, and one edge more or less moves the levels only a little; longest paths
//! have none of these properties.
//!
//! Source: MacKay, Johnson, Sansom, "How directed is a directed network?", Royal Society Open Science 7 (2020).

/// Sweeps after which the levels are taken as they are.
const SWEEPS_MAX: usize = 200;
/// Largest move in a sweep that counts as settled.
const SETTLED: f32 = 1e-3;

/// Levels of `count` nodes joined by `edges` (from, to); the lowest of each connected part is 0.
///
/// Edges from a node to itself say nothing and are ignored.
///
/// # Panics
/// An edge names a node that is not below `count`.
#[must_use]
pub fn levels(count: usize, edges: &[(usize, usize)]) -> Vec<f32> {
    let mut pulls: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
    for &(from, to) in edges.iter().filter(|(from, to)| from != to) {
        pulls[to].push((from, 1.0));
        pulls[from].push((to, -1.0));
    }
    let mut levels = vec![0.0_f32; count];
    for _ in 0..SWEEPS_MAX {
        if sweep(&pulls, &mut levels) < SETTLED {
            break;
        }
    }
    ground(&pulls, &mut levels);
    levels
}

/// Moves each node to the mean of what its neighbours ask for; returns the largest move.
fn sweep(pulls: &[Vec<(usize, f32)>], levels: &mut [f32]) -> f32 {
    let mut largest = 0.0_f32;
    for (node, pulls) in pulls.iter().enumerate().filter(|(_, pulls)| !pulls.is_empty()) {
        let asked: f32 = pulls.iter().map(|&(other, offset)| levels[other] + offset).sum();
        let level = asked / pulls.len() as f32;
        largest = largest.max((level - levels[node]).abs());
        levels[node] = level;
    }
    largest
}

/// Shifts each connected part so that its lowest level is 0: parts do not know of each other's.
fn ground(pulls: &[Vec<(usize, f32)>], levels: &mut [f32]) {
    let mut seen = vec![false; levels.len()];
    let mut part = Vec::new();
    for start in 0..levels.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        part.clear();
        part.push(start);
        let mut next = 0;
        while next < part.len() {
            for &(other, _) in &pulls[part[next]] {
                if !std::mem::replace(&mut seen[other], true) {
                    part.push(other);
                }
            }
            next += 1;
        }
        let lowest = part.iter().map(|&node| levels[node]).fold(f32::MAX, f32::min);
        for &node in &part {
            levels[node] -= lowest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(count: usize, edges: &[(usize, usize)], expected: &[f32]) {
        let levels = levels(count, edges);
        for (level, expected) in levels.iter().zip(expected) {
            assert!((level - expected).abs() < 0.02, "{levels:?}");
        }
    }

    #[test]
    fn a_chain_has_one_level_a_step() {
        check(4, &[(0, 1), (1, 2), (2, 3)], &[0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_cycle_is_flat() {
        check(3, &[(0, 1), (1, 2), (2, 0)], &[0.0, 0.0, 0.0]);
    }

    #[test]
    fn parts_start_at_zero_each_and_loops_are_ignored() {
        check(5, &[(3, 2), (0, 1), (1, 1)], &[0.0, 1.0, 1.0, 0.0, 0.0]);
    }
}
