//! The list of flows.

use flow::text::{Names, kind, name_of};
use flow::{Flow, Side};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::{header_style, plain, selected_style};
use crate::ui::model::{Link, Model, ends};

/// From this width on, nodes have a column.
const WIDE: u16 = 150;

pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, area: Rect) {
    let palette = model.palette;
    if model.listed().is_empty() {
        let text = match (&model.link, model.query.text()) {
            _ if model.group.is_some() => "none of the flows held is of this group; new ones are shown",
            (Link::Connected, "") => "no flows yet",
            (Link::Connected, _) => "no flows match the filter yet",
            _ => "waiting for the server",
        };
        let text = Paragraph::new(format!("\n{text}")).alignment(Alignment::Center).style(palette.dim());
        frame.render_widget(text, area);
        return;
    }
    let with_node = area.width >= WIDE;
    let columns = columns(with_node);
    let widths: Vec<u16> = Layout::horizontal(columns.iter().map(|(_, width)| *width))
        .spacing(1)
        .split(area)
        .iter()
        .map(|column| column.width)
        .collect();
    let side = usize::from(widths[if with_node { 2 } else { 1 }]);
    let page = model.page;
    let flows = model.listed();
    let selected = flows.selected().map(|row| row.number);
    let follows = flows.is_following();
    let rows: Vec<Row<'_>> = flows
        .page(page)
        .map(|row| {
            let style = if Some(row.number) == selected && !follows { selected_style() } else { Style::default() };
            let verdict = Cell::from(row.flow.verdict.to_string()).style(palette.verdict(row.flow.verdict));
            let [client, server] = ends(&row.flow);
            let mut cells = vec![
                Cell::from(time(&row.flow)),
                Cell::from(name(&row.flow, client, side)),
                Cell::from(arrow(&row.flow)),
                Cell::from(name(&row.flow, server, side)),
                Cell::from(plain(&kind(&row.flow))),
                verdict,
                Cell::from(plain(&row.flow.summary)),
            ];
            if with_node {
                cells.insert(1, Cell::from(plain(&row.flow.node_name)));
            }
            Row::new(cells).style(style)
        })
        .collect();
    let header = Row::new(columns.iter().map(|(title, _)| Line::from(*title))).style(header_style(palette));
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

/// Titles and widths.
fn columns(with_node: bool) -> Vec<(&'static str, Constraint)> {
    let mut columns = vec![
        ("TIME", Constraint::Length(12)),
        ("CLIENT", Constraint::Fill(5)),
        ("", Constraint::Length(2)),
        ("SERVER", Constraint::Fill(5)),
        ("TYPE", Constraint::Fill(3)),
        ("VERDICT", Constraint::Length(10)),
        ("SUMMARY", Constraint::Fill(4)),
    ];
    if with_node {
        columns.insert(1, ("NODE", Constraint::Fill(3)));
    }
    columns
}

/// Time of day; the day is in the details.
fn time(flow: &Flow) -> String {
    flow.time.format("%H:%M:%S%.3f")
}

fn arrow(flow: &Flow) -> &'static str {
    match flow.is_reply {
        Some(true) => "<-",
        Some(false) => "->",
        None => "<>",
    }
}

/// Name and port; where they are too long the name is cut, for the port tells more than the end of a pod's name.
fn name(flow: &Flow, side: Side, width: usize) -> String {
    let name = name_of(flow, side, Names::Resolved);
    let whole = plain(&name.to_string());
    if whole.chars().count() <= width || name.port == 0 {
        return whole;
    }
    let port = format!("\u{2026}:{}", name.port);
    let left = width.saturating_sub(port.chars().count());
    format!("{}{port}", plain(&name.host).chars().take(left).collect::<String>())
}
