//! One sorting routine for every type.
//!
//! The standard library's is instantiated for each element type and comparison, 7 kB of code each time: a tenth of the
//! whole module that a browser has to download. This one sorts numbers through a pointer to the comparison.

use std::cmp::Ordering;

/// Sorts `list`; equal elements keep their order.
pub fn sort_by<T>(list: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let order = order(list.len(), &|a, b| compare(&list[a], &list[b]));
    let mut places: Vec<Option<T>> = list.drain(..).map(Some).collect();
    list.extend(order.into_iter().filter_map(|at| places[at].take()));
}

/// The numbers below `count` in the order that `compare` gives them; equal ones rise.
#[must_use]
pub fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| compare(a, b));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_elements_keep_their_order() {
        let mut list = vec![(2, 'a'), (1, 'b'), (2, 'c'), (0, 'd'), (1, 'e')];
        sort_by(&mut list, |a, b| a.0.cmp(&b.0));
        assert_eq!(list, [(0, 'd'), (1, 'b'), (1, 'e'), (2, 'a'), (2, 'c')]);
        let mut nothing: Vec<u8> = Vec::new();
        sort_by(&mut nothing, u8::cmp);
        assert!(nothing.is_empty());
    }
}
