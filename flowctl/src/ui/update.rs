//! How the model changes.

use std::time::Duration;

use flow::filter::LanguageError;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{FilterLine, Front, Link, Model, Rates, Tab};
use super::source::News;
use crate::groups::Sort;

/// What can happen.
#[derive(Debug)]
pub(super) enum Message {
    Terminal(Event),
    News(News),
    /// So much time passed since the last one.
    Tick(Duration),
}

/// What is to be done about it outside of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    /// The filter is another one: ask the server anew.
    Ask,
}

impl Model {
    /// Takes what happened.
    pub(super) fn update(&mut self, message: Message) -> Option<Effect> {
        match message {
            Message::Terminal(Event::Key(key)) if key.kind != KeyEventKind::Release => self.key(key),
            Message::Terminal(Event::Paste(text)) => {
                if let Front::Filter(line) = &mut self.front {
                    line.insert(&text);
                }
                None
            }
            // A new size is seen when the next picture is drawn.
            Message::Terminal(_) => None,
            Message::News(news) => {
                self.news(news);
                None
            }
            Message::Tick(elapsed) => {
                self.tick(elapsed);
                None
            }
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Connected => self.link = Link::Connected,
            News::Messages(messages) => messages.into_iter().for_each(|message| self.take(message)),
            News::Broken { problem, again_in } => {
                self.link = Link::Broken { problem, again_in };
                self.flows.may_repeat = true;
            }
        }
    }

    fn tick(&mut self, elapsed: Duration) {
        let (seconds, total) = (elapsed.as_secs_f64(), self.recent.total());
        if seconds > 0.0 {
            let bytes = total.has_bytes.then_some(total.bytes as f64 / seconds);
            self.rates = Rates { flows: total.flows as f64 / seconds, bytes, drops: total.dropped as f64 / seconds };
        }
        self.recent.clear();
        if let Link::Broken { again_in, .. } = &mut self.link {
            *again_in = again_in.saturating_sub(elapsed);
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') {
            return Some(Effect::Quit);
        }
        if let Front::Filter(_) = self.front {
            return self.key_of_filter(key.code, control);
        }
        match key.code {
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Esc | KeyCode::Backspace => self.back(),
            KeyCode::Char('?') | KeyCode::F(1) => {
                self.front = if self.front == Front::Help { Front::Nothing } else { Front::Help };
            }
            KeyCode::Char('/') => {
                let text = self.query.text().to_owned();
                self.front = Front::Filter(FilterLine { cursor: text.len(), text, problem: None });
            }
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Tab::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='3') => {
                let at = usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or(0);
                self.go_to(Tab::ALL[at].0);
            }
            KeyCode::Char(' ' | 'p') => {
                self.flows.toggle_pause();
                if let Some(group) = &mut self.group {
                    group.flows.toggle_pause();
                }
            }
            KeyCode::Char('c') => self.clear(),
            KeyCode::Char('s') => {
                if let Some(talk) = self.talk_of_tab() {
                    talk.sort = match talk.sort {
                        Sort::Flows => Sort::Bytes,
                        Sort::Bytes => Sort::Dropped,
                        Sort::Dropped => Sort::Flows,
                    };
                    talk.selected_row.clear();
                }
            }
            KeyCode::Enter if self.tab == Tab::Flows => {
                self.front = match self.front {
                    Front::Details { .. } => Front::Nothing,
                    _ => Front::Details { scrolled: 0 },
                };
            }
            KeyCode::Enter => self.open_group(),
            code => self.key_of_list(code),
        }
        None
    }

    /// Closes what is in front, else the group.
    fn back(&mut self) {
        if self.front != Front::Nothing {
            self.front = Front::Nothing;
        } else if let Some(group) = self.group.take() {
            self.tab = group.from;
        }
    }

    fn go_to(&mut self, tab: Tab) {
        (self.tab, self.group) = (tab, None);
        self.close_details();
    }

    fn turn(&mut self, by: usize) {
        let at = Tab::ALL.iter().position(|(tab, _)| *tab == self.tab).unwrap_or(0);
        self.go_to(Tab::ALL[(at + by) % Tab::ALL.len()].0);
    }

    /// Details are those of a flow, which only one tab has.
    fn close_details(&mut self) {
        if matches!(self.front, Front::Details { .. }) {
            self.front = Front::Nothing;
        }
    }

    fn key_of_list(&mut self, code: KeyCode) {
        let page = i64::try_from(self.page.max(1)).unwrap_or(i64::MAX);
        let by = match code {
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::PageUp => -page,
            KeyCode::PageDown => page,
            KeyCode::Home | KeyCode::Char('g') => i64::MIN,
            KeyCode::End | KeyCode::Char('G') => i64::MAX,
            // The pane below the list.
            KeyCode::Char('J' | 'K') => {
                if let Front::Details { scrolled } = &mut self.front {
                    *scrolled = if code == KeyCode::Char('J') { *scrolled + 1 } else { scrolled.saturating_sub(1) };
                }
                return;
            }
            _ => return,
        };
        if let Front::Details { scrolled } = &mut self.front {
            *scrolled = 0;
        }
        match self.talk_of_tab() {
            Some(talk) => {
                let by = isize::try_from(by).unwrap_or(if by < 0 { isize::MIN } else { isize::MAX });
                talk.selected = talk.selected.saturating_add_signed(by);
                talk.selected_row.clear();
            }
            None => match by {
                i64::MAX => self.listed().select_newest(),
                i64::MIN => self.listed().select_oldest(),
                by => self.listed().move_selection(by),
            },
        }
    }

    fn key_of_filter(&mut self, code: KeyCode, control: bool) -> Option<Effect> {
        let Front::Filter(line) = &mut self.front else { return None };
        match code {
            KeyCode::Esc => self.front = Front::Nothing,
            KeyCode::Enter => match flow::filter::Query::parse_with(&line.text, proto::cel::compile_for_filter) {
                Ok(query) => {
                    let is_new = query.text() != self.query.text();
                    self.front = Front::Nothing;
                    if is_new {
                        (self.query, self.group) = (query, None);
                        self.clear();
                        self.link = Link::Connecting;
                        return Some(Effect::Ask);
                    }
                }
                Err(LanguageError { position, problem, .. }) => line.problem = Some((problem.to_string(), position)),
            },
            KeyCode::Char('u') if control => *line = FilterLine::default(),
            KeyCode::Char('w') if control => line.erase_word(),
            KeyCode::Char('a') if control => line.cursor = 0,
            KeyCode::Char('e') if control => line.cursor = line.text.len(),
            KeyCode::Char(c) if !control => line.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => line.erase(),
            KeyCode::Delete if line.cursor < line.text.len() => {
                line.right();
                line.erase();
            }
            KeyCode::Left => line.left(),
            KeyCode::Right => line.right(),
            KeyCode::Home => line.cursor = 0,
            KeyCode::End => line.cursor = line.text.len(),
            KeyCode::Tab => line.complete(),
            _ => {}
        }
        None
    }
}

/// Bytes that a filter may have; the language takes no more.
const FILTER_BYTES_MAX: usize = 8 << 10;

impl FilterLine {
    fn insert(&mut self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        if self.text.len() + text.len() <= FILTER_BYTES_MAX {
            self.text.insert_str(self.cursor, &text);
            self.cursor += text.len();
            self.problem = None;
        }
    }

    fn left(&mut self) {
        self.cursor = self.text[..self.cursor].char_indices().next_back().map_or(0, |(at, _)| at);
    }

    fn right(&mut self) {
        self.cursor += self.text[self.cursor..].chars().next().map_or(0, char::len_utf8);
    }

    fn erase(&mut self) {
        let end = self.cursor;
        self.left();
        self.text.replace_range(self.cursor..end, "");
        self.problem = None;
    }

    fn erase_word(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
        self.problem = None;
    }

    /// Goes on with what all words that may stand here begin with.
    fn complete(&mut self) {
        let typed = &self.text[..self.cursor];
        let words = crate::cli::complete_expression(typed);
        let mut words = words.iter().map(String::as_str);
        let Some(first) = words.next() else { return };
        let common = words.fold(first, |common, word| {
            let same = common.char_indices().zip(word.chars()).find(|((_, a), b)| a != b);
            let end = same.map_or(common.len().min(word.len()), |((at, _), _)| at);
            &common[..end]
        });
        if common.len() > typed.len() {
            let common = common.to_owned();
            self.text.replace_range(..self.cursor, &common);
            self.cursor = common.len();
        }
    }
}
