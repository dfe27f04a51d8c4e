//! Keys and messages in, screens out: compared with files under `tests/golden/`, which `UPDATE_GOLDEN=1` rewrites.

use std::path::Path;
use std::time::Duration;

use proto::observer::GetFlowsResponse;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use super::model::Model;
use super::source::News;
use super::update::{Effect, Message};
use super::view::{self, Palette};

fn flows(file: &str) -> Vec<GetFlowsResponse> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| proto::json::from_line(line).unwrap()).collect()
}

struct Screen {
    model: Model,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        Self { model: Model::new("relay:4245", Palette::COLORS), terminal }
    }

    fn with(file: &str) -> Self {
        let mut screen = Self::new(120, 24);
        screen.news(News::Connected);
        screen.news(News::Messages(flows(file)));
        screen.model.update(Message::Tick(Duration::from_secs(1)));
        screen
    }

    fn news(&mut self, news: News) {
        assert_eq!(self.model.update(Message::News(news)), None);
    }

    fn press(&mut self, code: KeyCode) -> Option<Effect> {
        self.press_with(code, KeyModifiers::NONE)
    }

    fn press_with(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Option<Effect> {
        // Pages are turned by what was drawn.
        self.draw();
        self.model.update(Message::Terminal(Event::Key(KeyEvent::new(code, modifiers))))
    }

    fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            assert_eq!(self.press(KeyCode::Char(c)), None);
        }
    }

    fn draw(&mut self) -> String {
        self.terminal.draw(|frame| view::draw(frame, &mut self.model)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(width).map(|cells| {
            let line: String = cells.iter().map(|cell| cell.symbol()).collect();
            format!("{}\n", line.trim_end())
        });
        lines.collect()
    }

    #[track_caller]
    fn check(&mut self, name: &str) {
        let actual = self.draw();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/ui-{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, actual).unwrap();
            return;
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(expected == actual, "{} should be\n{expected}\nis\n{actual}", path.display());
    }

    /// Foreground of the first cell of a text.
    fn color_of(&mut self, text: &str) -> (Color, Modifier) {
        let drawn = self.draw();
        let (row, line) = drawn.lines().enumerate().find(|(_, line)| line.contains(text)).unwrap();
        let column = line[..line.find(text).unwrap()].chars().count();
        let cell = &self.terminal.backend().buffer()[(u16::try_from(column).unwrap(), u16::try_from(row).unwrap())];
        (cell.fg, cell.modifier)
    }
}

#[test]
fn flows_of_every_kind() {
    let mut screen = Screen::with("every-kind.jsonl");
    screen.check("flows");
    assert_eq!(screen.color_of("FORWARDED").0, Color::Green);
    assert_eq!(screen.color_of("DROPPED").0, Color::Red);
    assert_eq!(screen.color_of("TRANSLATED").0, Color::Yellow);
    // Lost events call for attention.
    assert_eq!(screen.color_of("events lost").0, Color::Red);
}

#[test]
fn the_selected_flow_with_all_its_fields() {
    let mut screen = Screen::with("weir.jsonl");
    screen.press(KeyCode::Up);
    screen.press(KeyCode::Enter);
    screen.check("details");
    assert!(screen.color_of("shop/intruder:51555").1.contains(Modifier::REVERSED));
    screen.press(KeyCode::Char('J'));
    assert!(screen.draw().contains("line 2 of"));
    screen.press(KeyCode::Esc);
    assert!(!screen.draw().contains("source.pod_name"));
}

#[test]
fn who_talks_to_whom_and_what_is_dropped() {
    let mut screen = Screen::with("every-kind.jsonl");
    screen.press(KeyCode::Tab);
    screen.check("talk");
    screen.press(KeyCode::Char('s'));
    assert!(screen.draw().contains("BYTES v"));
    screen.press(KeyCode::End);
    screen.press(KeyCode::Char('3'));
    screen.check("drops");
    screen.press(KeyCode::Tab);
    assert!(screen.draw().contains("SUMMARY"));
}

#[test]
fn the_flows_of_a_group() {
    let mut screen = Screen::with("every-kind.jsonl");
    screen.press(KeyCode::Char('2'));
    // Both before the next picture.
    assert_eq!(screen.press(KeyCode::Down), None);
    assert_eq!(screen.model.update(Message::Terminal(Event::Key(KeyCode::Enter.into()))), None);
    screen.check("group");
    let shown = |text: &str| text.lines().filter(|line| line.contains("default/tiefighter")).count();
    let before = shown(&screen.draw());
    // New flows of the group come, those of others do not.
    screen.news(News::Messages(flows("every-kind.jsonl")));
    let after = screen.draw();
    assert_eq!(shown(&after), 2 * before - 1, "{after}");
    assert!(!after.contains("xwing"), "{after}");
    // Details are in front of the group, and the group is in front of the list.
    screen.press(KeyCode::Up);
    screen.press(KeyCode::Enter);
    assert!(screen.draw().contains("source.pod_name"));
    screen.press(KeyCode::Esc);
    assert!(screen.draw().contains("esc back"));
    screen.press(KeyCode::Backspace);
    assert!(screen.draw().contains("FLOWS v"));

    screen.press(KeyCode::Char('3'));
    screen.press(KeyCode::Enter);
    screen.check("group-drops");
    screen.press(KeyCode::Char(' '));
    screen.news(News::Messages(flows("every-kind.jsonl")));
    let paused = screen.draw();
    screen.press(KeyCode::Char(' '));
    let count = |text: &str| text.matches("DROPPED").count();
    assert_eq!(count(&screen.draw()), count(&paused) / 2 * 3);
    // What is forgotten comes no more; another tab leaves the group.
    screen.press(KeyCode::Char('c'));
    assert!(screen.draw().contains("none of the flows held is of this group"));
    screen.press(KeyCode::Char('1'));
    assert!(screen.model.group.is_none());
    screen.press(KeyCode::Char('3'));
    assert_eq!(screen.press(KeyCode::Enter), None);
    assert!(screen.draw().contains("nothing was dropped"));
}

#[test]
fn a_narrow_and_a_tiny_terminal() {
    for (width, height) in [(60, 10), (20, 5), (3, 2), (1, 1)] {
        let mut screen = Screen::new(width, height);
        screen.news(News::Messages(flows("every-kind.jsonl")));
        for code in ['1', '2', '3', '?', '/'] {
            screen.press(KeyCode::Char(code));
            screen.draw();
        }
        screen.type_text("verdict=dropped and this does not fit");
        screen.press(KeyCode::Enter);
        screen.draw();
    }
}

#[test]
fn filters_are_typed_completed_and_refused() {
    let mut screen = Screen::with("weir.jsonl");
    screen.press(KeyCode::Char('/'));
    screen.type_text("verd");
    screen.press(KeyCode::Tab);
    screen.type_text("=droped");
    assert_eq!(screen.press(KeyCode::Enter), None);
    screen.check("filter-refused");
    assert!(screen.color_of("droped").0 == Color::Red);
    screen.press(KeyCode::Left);
    screen.press(KeyCode::Left);
    screen.type_text("p");
    assert_eq!(screen.press(KeyCode::Enter), Some(Effect::Ask));
    assert_eq!(screen.model.query.text(), "verdict=dropped");
    // Another filter begins anew; the server is asked for what matches.
    screen.check("filter-applied");
    // The same one again changes nothing, nor does leaving.
    screen.press(KeyCode::Char('/'));
    assert_eq!(screen.press(KeyCode::Enter), None);
    screen.press(KeyCode::Char('/'));
    screen.press_with(KeyCode::Char('u'), KeyModifiers::CONTROL);
    screen.type_text("é(");
    screen.press(KeyCode::Backspace);
    screen.press(KeyCode::Home);
    screen.press(KeyCode::Delete);
    assert_eq!(screen.press(KeyCode::Esc), None);
    assert_eq!(screen.model.query.text(), "verdict=dropped");
    screen.press(KeyCode::Char('/'));
    screen.press_with(KeyCode::Char('w'), KeyModifiers::CONTROL);
    assert_eq!(screen.press(KeyCode::Enter), Some(Effect::Ask));
    assert_eq!(screen.model.query.text(), "");
}

#[test]
fn a_pause_keeps_the_screen_and_counts_what_comes() {
    let mut screen = Screen::with("weir.jsonl");
    screen.press(KeyCode::Char(' '));
    let before = screen.draw();
    screen.news(News::Messages(flows("every-kind.jsonl")));
    let after = screen.draw();
    let rows = |text: &str| text.lines().skip(2).take(20).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&before), rows(&after));
    assert!(after.contains("paused, 37 new"), "{after}");
    screen.press(KeyCode::Char(' '));
    assert!(screen.draw().contains("following"));
}

#[test]
fn a_lost_server_is_told_and_repeats_are_left_out() {
    let mut screen = Screen::with("weir.jsonl");
    let problem = "lost the connection to relay:4245: reset".to_owned();
    screen.news(News::Broken { problem, again_in: Duration::from_secs(4) });
    screen.model.update(Message::Tick(Duration::from_secs(1)));
    screen.check("broken");
    let flows_before = screen.model.talk.groups.total().flows;
    screen.news(News::Connected);
    screen.news(News::Messages(flows("weir.jsonl")));
    assert_eq!(screen.model.talk.groups.total().flows, flows_before);
}

#[test]
fn help_and_the_end() {
    let mut screen = Screen::with("weir.jsonl");
    screen.press(KeyCode::Char('?'));
    screen.check("help");
    screen.press(KeyCode::Char('?'));
    assert_eq!(screen.press(KeyCode::Char('q')), Some(Effect::Quit));
    screen.press(KeyCode::Char('/'));
    assert_eq!(screen.press(KeyCode::Char('q')), None);
    assert_eq!(screen.press_with(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Effect::Quit));
}

#[test]
fn names_from_the_network_cannot_steer_the_terminal() {
    let mut screen = Screen::with("hostile.jsonl");
    for key in [KeyCode::Char('1'), KeyCode::Char('2'), KeyCode::Enter, KeyCode::Char('3')] {
        screen.press(key);
        let text = screen.draw();
        assert_eq!(text.find(|c: char| c.is_control() && c != '\n'), None, "{text:?}");
    }
}
