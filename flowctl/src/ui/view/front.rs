//! The filter line and the help.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::{centered, header_style, plain};
use crate::ui::model::{Front, Model};

const HELP: &[(&str, &str)] = &[
    ("1 2 3, tab", "flows, who talks to whom, drops"),
    ("up down, j k", "select"),
    ("page up, page down", "turn pages"),
    ("home g, end G", "oldest or largest, newest or smallest"),
    ("enter", "all fields of a flow, the flows of a group"),
    ("J K", "scroll the fields"),
    ("/", "filter: verdict=dropped and dst.port=5432"),
    ("space, p", "stand still, go on"),
    ("s", "sort groups by flows, bytes, drops"),
    ("c", "forget what was counted"),
    ("esc, backspace", "close, back to the groups"),
    ("q, ctrl-c", "quit"),
];

/// The filter that counts, or the one that is being typed.
pub(super) fn draw_filter(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let palette = model.palette;
    let Front::Filter(line) = &model.front else {
        let text = model.query.text();
        let shown = if let Some(group) = &model.group {
            let parts = [" group   ".to_owned(), plain(&group_name(&group.row)), "  esc back".to_owned()];
            let styles = [header_style(palette), Style::new(), palette.dim()];
            Line::from_iter(parts.into_iter().zip(styles).map(|(part, style)| Span::styled(part, style)))
        } else if text.is_empty() {
            Line::styled(" / to filter, such as verdict=dropped and not proto=dns", palette.dim())
        } else {
            Line::from(vec![Span::styled(" filter  ", header_style(palette)), Span::raw(plain(text))])
        };
        frame.render_widget(shown, area);
        // The line of keys gives way to what calls for attention; the way to them stays.
        let hint = Line::styled("? help ", palette.dim()).right_aligned();
        frame.render_widget(hint, Rect { x: area.right().saturating_sub(8), width: area.width.min(8), ..area });
        return;
    };
    let mut spans = vec![Span::styled(" / ", header_style(palette))];
    if let Some((problem, position)) = &line.problem {
        // The place of the mistake is shown in the text itself: there is one line only.
        let place = line.text.char_indices().nth(position.saturating_sub(1)).map_or(line.text.len(), |(at, _)| at);
        spans.push(Span::raw(line.text[..place].to_owned()));
        spans.push(Span::styled(line.text[place..].to_owned(), palette.alarm()));
        spans.push(Span::styled(format!("  {}", plain(problem)), palette.color(Color::Yellow)));
    } else {
        spans.push(Span::raw(line.text.clone()));
    }
    let before = 3 + Span::raw(&line.text[..line.cursor]).width();
    let column = u16::try_from(before).unwrap_or(u16::MAX);
    // A text longer than the line moves to the left, so that the cursor is seen.
    let hidden = (column + 1).saturating_sub(area.width);
    frame.render_widget(Paragraph::new(Line::from(spans)).scroll((0, hidden)), area);
    frame.set_cursor_position(Position::new(area.x + column - hidden, area.y));
}

/// `POLICY_DENIED  shop/web -> shop/db  tcp 5432`, without the reason in the list of who talks to whom.
fn group_name(row: &[String]) -> String {
    let value = |value: &String| if value.is_empty() { "-".to_owned() } else { value.clone() };
    let values: Vec<String> = row.iter().map(value).collect();
    match values.as_slice() {
        [reason, client, server, port] => format!("{reason}  {client} -> {server}  {port}"),
        [client, server, port] => format!("{client} -> {server}  {port}"),
        other => other.join("  "),
    }
}

pub(super) fn draw_help(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![Span::styled(format!(" {keys:20}"), header_style(model.palette)), Span::raw(*what)])
        })
        .collect();
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = centered(area, 66, height);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), area);
}
