//! Groups: who talks to whom, and what is dropped.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Text;
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use flow::text::explain_drop;

use super::{header_style, plain, selected_style, window};
use crate::groups::{Count, Sort};
use crate::ui::model::{Model, Tab, Talk};
use crate::units;

/// Lines that explain a reason.
const EXPLANATION: u16 = 3;

pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, area: Rect) {
    let (palette, is_drops) = (model.palette, model.tab == Tab::Drops);
    let below = if is_drops && area.height > 8 { EXPLANATION } else { 0 };
    let [list, foot] = Layout::vertical([Constraint::Min(3), Constraint::Length(below)]).areas(area);
    let fit = usize::from(list.height.saturating_sub(1));
    model.page = fit;
    let Some(talk) = model.talk_of_tab() else { return };
    let sort = talk.sort;
    let ranking = talk.groups.ranking(sort, Talk::SHOWN_MAX);
    talk.selected_row.clear();
    if ranking.rows.is_empty() {
        let text = if is_drops { "nothing was dropped" } else { "no flows yet" };
        let text = Paragraph::new(format!("\n{text}")).alignment(Alignment::Center).style(palette.dim());
        frame.render_widget(text, area);
        return;
    }
    let selected = talk.selected.min(ranking.rows.len() - 1);
    talk.selected = selected;
    talk.selected_row.extend(ranking.rows[selected].0.iter().map(|value| (*value).to_owned()));
    let shown = window(selected, ranking.rows.len(), fit);
    let rows = shown.clone().zip(&ranking.rows[shown]).map(|(at, (values, count))| {
        let names = values.iter().map(|value| Cell::from(if value.is_empty() { "-".to_owned() } else { plain(value) }));
        let style = if at == selected { selected_style() } else { Style::default() };
        let dropped = if count.dropped > 0 { palette.alarm() } else { palette.dim() };
        let [flows, bytes, drops] = numbers(count).map(|text| Text::from(text).right_aligned());
        let numbers = [Cell::from(flows), Cell::from(bytes), Cell::from(drops).style(dropped)];
        Row::new(names.chain(numbers)).style(style)
    });
    let mark = |title: &str, by: Sort| if by == sort { format!("{title} v") } else { title.to_owned() };
    let titles = [mark("FLOWS", Sort::Flows), mark("BYTES", Sort::Bytes), mark("DROPPED", Sort::Dropped)];
    let titles = titles.map(|title| Cell::from(Text::from(title).right_aligned()));
    let names: &[&str] = if is_drops { &["REASON", "CLIENT", "SERVER", "PORT"] } else { &["CLIENT", "SERVER", "PORT"] };
    let header = Row::new(names.iter().map(|name| Cell::from(*name)).chain(titles)).style(header_style(palette));
    let mut widths = vec![Constraint::Fill(4), Constraint::Fill(4), Constraint::Length(14)];
    if is_drops {
        widths.insert(0, Constraint::Fill(3));
    }
    widths.extend([Constraint::Length(10), Constraint::Length(10), Constraint::Length(10)]);
    frame.render_widget(Table::new(rows, widths).header(header), list);
    if below > 0 {
        let reason = ranking.rows[selected].0.first().copied().unwrap_or_default();
        let text = Paragraph::new(format!("{}\n{}", plain(reason), explain_drop(reason)));
        frame.render_widget(text.wrap(Wrap { trim: true }).style(palette.dim()), foot);
    }
}

fn numbers(count: &Count) -> [String; 3] {
    let bytes = if count.has_bytes { units::bytes(count.bytes) } else { "-".to_owned() };
    [count.flows.to_string(), bytes, count.dropped.to_string()]
}
