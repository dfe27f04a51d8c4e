//! All fields of the selected flow.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use flow::text::explain_drop;
use flow::{DropReason, Verdict};

use super::fields::fields;
use super::{header_style, plain};
use crate::ui::model::{Front, Model};

/// Lines of the pane below a list of this height.
pub(super) fn height(body: u16) -> u16 {
    body.saturating_sub(4).min((body / 2).max(8))
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, area: Rect) {
    let palette = model.palette;
    let Some(row) = model.listed().selected() else { return };
    let title_style = header_style(palette);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let reason = row.flow.drop_reason;
    if row.flow.verdict == Verdict::DROPPED && reason != DropReason::DROP_REASON_UNKNOWN {
        let text = explain_drop(&reason.to_string());
        lines.extend(wrapped(text, area.width.into()).into_iter().map(|line| Line::styled(line, palette.alarm())));
    }
    let fields = fields(&row.flow);
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(40);
    for (name, value) in &fields {
        let name = Span::styled(format!("{name:width$}  "), title_style);
        lines.push(Line::from(vec![name, Span::raw(plain(value))]));
    }
    let inside = area.height.saturating_sub(1);
    let most = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(inside);
    if let Front::Details { scrolled } = &mut model.front {
        *scrolled = (*scrolled).min(most);
        let title =
            if most > 0 { format!(" Flow, line {} of {} ", *scrolled + 1, lines.len()) } else { " Flow ".to_owned() };
        let block = Block::new().borders(Borders::TOP).title(title);
        frame.render_widget(Paragraph::new(lines).scroll((*scrolled, 0)).block(block), area);
    }
}

/// Lines of at most so many characters, cut between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
