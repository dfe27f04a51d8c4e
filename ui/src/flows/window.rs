//! Which rows of a long list are on the screen.

/// Height of a row in CSS pixels; the style sheet has the same.
pub(crate) const ROW_HEIGHT: f64 = 27.0;

/// The part of a list that is on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// Place in the list of the first row.
    pub(crate) first: usize,
    /// Rows.
    pub(crate) count: usize,
    /// Where the first row is drawn, in CSS pixels below the upper end of the list.
    pub(crate) top: f64,
    /// Height of the list in CSS pixels.
    pub(crate) height: f64,
}

/// The window of a list of `len` rows scrolled down by `scrolled` pixels, of which at most `pool` rows can be drawn.
///
/// The newest `newer` rows came after the reader left the upper end: they are left out, so that nothing moves under
/// the eyes.
pub(crate) fn window(scrolled: f64, len: usize, newer: usize, pool: usize) -> Window {
    let listed = len.saturating_sub(newer);
    let skipped = ((scrolled.max(0.0) / ROW_HEIGHT) as usize).min(listed.saturating_sub(1));
    Window {
        first: newer.min(len) + skipped,
        count: pool.min(listed - skipped.min(listed)),
        top: skipped as f64 * ROW_HEIGHT,
        height: listed as f64 * ROW_HEIGHT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_top_the_newest_are_shown() {
        let window = window(0.0, 1000, 0, 40);
        assert_eq!(window, Window { first: 0, count: 40, top: 0.0, height: 27_000.0 });
    }

    #[test]
    fn rows_that_came_later_do_not_move_the_others() {
        let before = window(270.0, 1000, 0, 40);
        let after = window(270.0, 1025, 25, 40);
        assert_eq!((before.first, after.first), (10, 35), "the same row, 25 places further down");
        assert_eq!((before.top, before.height), (after.top, after.height));
    }

    #[test]
    fn the_end_is_the_end() {
        assert_eq!(window(0.0, 0, 0, 40), Window::default());
        assert_eq!(window(1e9, 50, 0, 40).count, 1);
        assert_eq!(window(0.0, 10, 30, 40).count, 0, "all that was shown is gone");
        assert_eq!(window(27.0 * 45.0, 50, 0, 40).count, 5);
    }
}
