//! What the model looks like.

mod details;
mod fields;
mod flows;
mod front;
mod talk;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use flow::Verdict;

use super::model::{Front, Link, Model, Tab};
use crate::units;

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Palette {
    has_colors: bool,
}

impl Palette {
    /// Colours unless the user wants none (https://no-color.org).
    pub(super) fn from_environment() -> Self {
        Self { has_colors: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// Colours.
    #[cfg(test)]
    pub(super) const COLORS: Self = Self { has_colors: true };

    fn color(self, color: Color) -> Style {
        if self.has_colors { Style::new().fg(color) } else { Style::new() }
    }

    fn alarm(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn dim(self) -> Style {
        self.color(Color::DarkGray)
    }

    /// The colours that `observe` gives verdicts.
    fn verdict(self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::FORWARDED | Verdict::REDIRECTED => self.color(Color::Green),
            Verdict::DROPPED | Verdict::ERROR => self.color(Color::Red).add_modifier(Modifier::BOLD),
            Verdict::AUDIT | Verdict::TRACED | Verdict::TRANSLATED => self.color(Color::Yellow),
            _ => Style::new(),
        }
    }
}

/// Draws everything; tells the model how many rows fit.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let [title, filter, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(title_line(model, title.width), title);
    front::draw_filter(frame, model, filter);
    let below = match model.front {
        Front::Details { .. } => details::height(body.height),
        _ => 0,
    };
    let [list, pane] = Layout::vertical([Constraint::Min(3), Constraint::Length(below)]).areas(body);
    // The header takes a line.
    model.page = usize::from(list.height.saturating_sub(1));
    match model.tab {
        Tab::Flows => flows::draw(frame, model, list),
        Tab::Talk | Tab::Drops => talk::draw(frame, model, list),
    }
    if below > 0 {
        details::draw(frame, model, pane);
    }
    frame.render_widget(footer_line(model), footer);
    if model.front == Front::Help {
        front::draw_help(frame, model, body);
    }
}

/// Tabs, the server and what flows.
fn title_line(model: &Model, width: u16) -> Line<'static> {
    let mut spans = Vec::new();
    for (at, (tab, name)) in Tab::ALL.into_iter().enumerate() {
        let style = if tab == model.tab { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        spans.push(Span::styled(format!(" {} {name} ", at + 1), style));
        spans.push(Span::raw(" "));
    }
    let palette = model.palette;
    let (state, style) = match &model.link {
        _ if model.flows.is_paused() => {
            let missed = match model.flows.missed {
                0 => String::new(),
                missed => format!(", {missed} not kept"),
            };
            (format!("paused, {} new{missed}", model.flows.waiting()), palette.color(Color::Yellow))
        }
        Link::Connecting => ("connecting".to_owned(), palette.color(Color::Yellow)),
        Link::Connected => ("following".to_owned(), palette.color(Color::Green)),
        Link::Broken { .. } => ("not connected".to_owned(), palette.alarm()),
    };
    let rates = &model.rates;
    let bytes = rates.bytes.map_or_else(String::new, |bytes| format!("  {}/s", units::bytes(bytes as u64)));
    let flowing = format!(
        "  {} flows/s{bytes}  {} drops/s  {}",
        units::rate(rates.flows),
        units::rate(rates.drops),
        model.server
    );
    let used: usize = spans.iter().map(Span::width).sum::<usize>() + state.chars().count() + flowing.chars().count();
    let gap = usize::from(width).saturating_sub(used).max(1);
    spans.push(Span::raw(" ".repeat(gap)));
    spans.push(Span::styled(state, style));
    spans.push(Span::raw(flowing));
    Line::from(spans)
}

/// What calls for attention, else which keys there are.
fn footer_line(model: &Model) -> Paragraph<'static> {
    let palette = model.palette;
    let mut alarms = Vec::new();
    if let Link::Broken { problem, again_in } = &model.link {
        let problem = plain(problem);
        alarms.push(format!("{problem}; trying again in {} s", again_in.as_secs_f64().ceil()));
    }
    if model.lost > 0 {
        alarms.push(format!("{} events lost, last at {}", model.lost, plain(&model.lost_at)));
    }
    if !model.node_news.is_empty() {
        alarms.push(plain(&model.node_news));
    }
    if alarms.is_empty() {
        let keys = match (model.tab, &model.front) {
            (_, Front::Filter(_)) => " enter apply  esc leave  tab complete  ctrl-u clear",
            (_, Front::Help) => " esc close",
            (Tab::Flows, Front::Details { .. }) => " esc close  J K scroll  / filter  space pause  ? help  q quit",
            (Tab::Flows, _) if model.group.is_some() => " enter details  esc back  space pause  ? help  q quit",
            (Tab::Flows, _) => " enter details  / filter  space pause  tab next  c clear  ? help  q quit",
            (Tab::Talk | Tab::Drops, _) => " enter flows  s sort  / filter  tab next  c clear  ? help  q quit",
        };
        return Paragraph::new(keys).style(palette.dim());
    }
    Paragraph::new(format!(" {}", alarms.join("  |  "))).style(palette.alarm())
}

/// Text of others without what could steer the terminal.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    crate::print::put(&mut bytes, text);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The rows of a list of which so many fit, with the selected one among them.
fn window(selected: usize, all: usize, fit: usize) -> std::ops::Range<usize> {
    let start = (selected + 1).saturating_sub(fit);
    start..all.min(start + fit)
}

/// The line of a list that is selected.
fn selected_style() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// Titles of columns.
fn header_style(palette: Palette) -> Style {
    palette.color(Color::Cyan).add_modifier(Modifier::BOLD)
}

/// The middle of an area.
fn centered(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
