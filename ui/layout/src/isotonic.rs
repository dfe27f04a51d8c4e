//! Isotonic regression: the nearest sequence that never falls.

/// The sequence that never falls and has the least sum of squared distances to `wanted`, by pooling of neighbours.
#[must_use]
pub fn fit(wanted: &[f32]) -> Vec<f32> {
    // (sum, count) of each pool; a pool that is above its successor is merged with it.
    let mut pools: Vec<(f32, f32)> = Vec::with_capacity(wanted.len());
    for &value in wanted {
        let mut pool = (value, 1.0);
        while let Some(&(sum, count)) = pools.last() {
            if sum / count <= pool.0 / pool.1 {
                break;
            }
            pool = (pool.0 + sum, pool.1 + count);
            pools.pop();
        }
        pools.push(pool);
    }
    let mut fitted = Vec::with_capacity(wanted.len());
    for (sum, count) in pools {
        fitted.extend(std::iter::repeat_n(sum / count, count as usize));
    }
    fitted
}

/// Positions as near as possible to `wanted` that keep the order and leave each element its `size` plus `gap`.
///
/// `wanted` and the result are the upper ends of the elements.
#[must_use]
pub fn spread(wanted: &[f32], sizes: &[f32], gap: f32) -> Vec<f32> {
    // Without the room taken by those above, "far enough apart" is the same as "never falls".
    let mut above = 0.0;
    let mut offsets = Vec::with_capacity(wanted.len());
    for size in sizes {
        offsets.push(above);
        above += size + gap;
    }
    let shifted: Vec<f32> = wanted.iter().zip(&offsets).map(|(wanted, offset)| wanted - offset).collect();
    fit(&shifted).iter().zip(&offsets).map(|(fitted, offset)| fitted + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_what_falls_and_leaves_what_rises() {
        assert_eq!(fit(&[3.0, 1.0, 2.0, 5.0, 4.0]), [2.0, 2.0, 2.0, 4.5, 4.5]);
        assert_eq!(fit(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert!(fit(&[]).is_empty());
    }

    #[test]
    fn spread_keeps_order_and_room() {
        let sizes = [10.0, 30.0, 10.0];
        let placed = spread(&[50.0, 50.0, 0.0], &sizes, 5.0);
        for i in 1..placed.len() {
            assert!(placed[i] >= placed[i - 1] + sizes[i - 1] + 5.0 - 1e-3, "{placed:?}");
        }
        assert_eq!(spread(&[0.0, 100.0, 200.0], &sizes, 5.0), [0.0, 100.0, 200.0]);
    }
}
