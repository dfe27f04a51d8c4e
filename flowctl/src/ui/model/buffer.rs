//! The last flows, what of them is looked at, and what waits while the user looks.

use std::collections::VecDeque;

use flow::Flow;

/// Flows held; the oldest leave.
const FLOWS_MAX: usize = 10_000;
/// Newest flows among which one that comes again after a break is looked for.
const REPEATS: usize = 256;

/// A flow and its number, which grows by one from flow to flow.
#[derive(Debug)]
pub(in crate::ui) struct Row {
    pub(in crate::ui) number: u64,
    pub(in crate::ui) flow: Flow,
}

/// The last flows.
#[derive(Debug, Default)]
pub(in crate::ui) struct Buffer {
    rows: VecDeque<Row>,
    /// Flows that came while it was paused; the oldest leave.
    waiting: VecDeque<Flow>,
    /// Flows that left `waiting` unseen.
    pub(in crate::ui) missed: u64,
    next: u64,
    /// Number of the selected flow; `None` for the newest, whichever that is.
    selected: Option<u64>,
    /// Number of the first flow on the screen.
    first: u64,
    is_paused: bool,
    /// Whether the server was lost, so that flows may come again.
    pub(in crate::ui) may_repeat: bool,
}

impl Buffer {
    pub(in crate::ui) fn clear(&mut self) {
        *self = Self { next: self.next, is_paused: self.is_paused, ..Self::default() };
    }

    /// Those of the flows that `keep` wants, shown or waiting as they are here.
    pub(in crate::ui) fn only(&self, keep: impl Fn(&Flow) -> bool) -> Self {
        let mut only = Self::default();
        self.rows.iter().map(|row| &row.flow).filter(|flow| keep(flow)).for_each(|flow| only.push(flow.clone()));
        only.is_paused = self.is_paused;
        self.waiting.iter().filter(|flow| keep(flow)).for_each(|flow| only.push(flow.clone()));
        only
    }

    pub(in crate::ui) fn push(&mut self, flow: Flow) {
        if self.is_paused {
            if self.waiting.len() == FLOWS_MAX {
                self.waiting.pop_front();
                self.missed += 1;
            }
            self.waiting.push_back(flow);
            return;
        }
        if self.rows.len() == FLOWS_MAX {
            self.rows.pop_front();
        }
        self.rows.push_back(Row { number: self.next, flow });
        self.next += 1;
    }

    /// Whether the flow came already, before the server was lost.
    pub(in crate::ui) fn has(&self, flow: &Flow) -> bool {
        let shown = self.rows.iter().map(|row| &row.flow);
        self.may_repeat && shown.chain(&self.waiting).rev().take(REPEATS).any(|known| known == flow)
    }

    pub(in crate::ui) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(in crate::ui) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Flows that wait to be shown.
    pub(in crate::ui) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Stands still, or goes on with what came meanwhile.
    pub(in crate::ui) fn toggle_pause(&mut self) {
        self.is_paused = !self.is_paused;
        if !self.is_paused {
            self.missed = 0;
            for flow in std::mem::take(&mut self.waiting) {
                self.push(flow);
            }
        }
    }

    /// Whether the newest flow is kept in sight.
    pub(in crate::ui) fn is_following(&self) -> bool {
        self.selected.is_none()
    }

    /// Keeps the newest flow in sight.
    pub(in crate::ui) fn select_newest(&mut self) {
        self.selected = None;
    }

    pub(in crate::ui) fn select_oldest(&mut self) {
        self.selected = self.rows.front().map(|row| row.number);
    }

    /// Moves the selection by so many flows; beyond the newest it follows again.
    pub(in crate::ui) fn move_selection(&mut self, by: i64) {
        let (Some(oldest), Some(newest)) = (self.rows.front(), self.rows.back()) else { return };
        let (oldest, newest) = (oldest.number, newest.number);
        let from = self.selected.unwrap_or(newest);
        let to = from.saturating_add_signed(by).max(oldest);
        self.selected = (to < newest || (by < 0 && newest == oldest)).then_some(to);
    }

    /// The selected flow: the newest where none was selected.
    pub(in crate::ui) fn selected(&self) -> Option<&Row> {
        match self.selected {
            None => self.rows.back(),
            Some(number) => self.rows.get(self.place(number)),
        }
    }

    /// Place of a flow, or of the oldest where it left.
    fn place(&self, number: u64) -> usize {
        let oldest = self.rows.front().map_or(0, |row| row.number);
        usize::try_from(number.saturating_sub(oldest)).unwrap_or(usize::MAX).min(self.rows.len().saturating_sub(1))
    }

    /// The flows that fit on a page, with the selected one among them.
    pub(in crate::ui) fn page(&mut self, rows: usize) -> impl Iterator<Item = &Row> {
        let last_page = self.rows.len().saturating_sub(rows);
        let start = match self.selected {
            None => last_page,
            Some(number) => {
                let (selected, first) = (self.place(number), self.place(self.first));
                first.clamp((selected + 1).saturating_sub(rows), selected).min(last_page)
            }
        };
        self.first = self.rows.get(start).map_or(0, |row| row.number);
        self.rows.iter().skip(start).take(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(number: usize) -> Flow {
        Flow { proxy_port: u32::try_from(number).unwrap(), ..Flow::default() }
    }

    fn buffer(flows: usize) -> Buffer {
        let mut buffer = Buffer::default();
        (0..flows).for_each(|number| buffer.push(flow(number)));
        buffer
    }

    fn page(buffer: &mut Buffer, rows: usize) -> Vec<u32> {
        buffer.page(rows).map(|row| row.flow.proxy_port).collect()
    }

    #[test]
    fn the_oldest_leave() {
        let mut buffer = buffer(FLOWS_MAX + 5);
        buffer.select_oldest();
        assert_eq!(page(&mut buffer, 2), [5, 6]);
        buffer.push(flow(0));
        assert_eq!((page(&mut buffer, 2), buffer.selected().unwrap().flow.proxy_port), (vec![6, 7], 6));
    }

    #[test]
    fn the_selection_stays_in_sight() {
        let mut buffer = buffer(10);
        assert_eq!(page(&mut buffer, 3), [7, 8, 9]);
        buffer.move_selection(-1);
        assert_eq!((page(&mut buffer, 3), buffer.selected().unwrap().number), (vec![7, 8, 9], 8));
        buffer.move_selection(-3);
        assert_eq!(page(&mut buffer, 3), [5, 6, 7]);
        buffer.push(flow(10));
        assert_eq!((page(&mut buffer, 3), buffer.is_following()), (vec![5, 6, 7], false));
        buffer.move_selection(100);
        assert_eq!((page(&mut buffer, 3), buffer.is_following()), (vec![8, 9, 10], true));
        buffer.move_selection(-100);
        assert_eq!(page(&mut buffer, 3), [0, 1, 2]);
    }

    #[test]
    fn what_comes_in_a_pause_waits() {
        let mut buffer = buffer(3);
        buffer.toggle_pause();
        (3..FLOWS_MAX + 5).for_each(|number| buffer.push(flow(number)));
        assert_eq!((page(&mut buffer, 9), buffer.waiting(), buffer.missed), (vec![0, 1, 2], FLOWS_MAX, 2));
        buffer.toggle_pause();
        assert_eq!((buffer.waiting(), buffer.missed, buffer.rows.len()), (0, 0, FLOWS_MAX));
    }

    #[test]
    fn flows_that_come_again_are_known() {
        let mut buffer = buffer(3);
        assert!(!buffer.has(&flow(2)));
        buffer.may_repeat = true;
        assert!(buffer.has(&flow(2)) && !buffer.has(&flow(3)));
    }

    #[test]
    fn an_empty_buffer_has_nothing_to_select() {
        let mut buffer = Buffer::default();
        buffer.move_selection(-1);
        buffer.select_oldest();
        assert!(buffer.selected().is_none() && buffer.is_empty() && page(&mut buffer, 5).is_empty());
    }
}
