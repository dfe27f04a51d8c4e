//! What may stand at the end of an expression that is still being typed.

use super::Problem;
use super::key;
use super::lexer::{Kind, Token, tokens};

/// What may follow, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Byte of the text at which the word begins that is being typed; the end of the text where none is.
    pub start: usize,
    /// What the word so far says, without the quote before it.
    pub typed: String,
    /// What it may become.
    pub wanted: Wanted,
}

/// What may stand in a place of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A key, `not` or a parenthesis.
    Key,
    /// `=`, `in` and the like.
    Operator,
    /// A value of a key.
    Value {
        /// Name of the condition of a selection, such as `from-namespace`; the key itself for a number.
        condition: String,
        /// Name of the label of `label.NAME`.
        label: Option<String>,
        /// Whether more values may follow, in parentheses.
        listed: bool,
    },
    /// `(` and values.
    List,
    /// `and`, `or` or the end.
    Join,
}

/// Where in a condition the text ends.
enum State {
    Key,
    Operator(String),
    Open(String),
    Value { key: String, listed: bool },
    Listed(String),
    Join,
}

/// What may stand at the end of the text; `None` where nothing may, for something before it is wrong.
pub(super) fn complete(text: &str) -> Option<Completion> {
    let (start, typed) = last_word(text)?;
    let mut state = State::Key;
    for token in tokens(&text[..start]).ok()? {
        state = match token.kind {
            Kind::End => break,
            kind => advance(state, &kind)?,
        };
    }
    let wanted = match state {
        State::Key => Wanted::Key,
        State::Operator(_) => Wanted::Operator,
        State::Open(_) => Wanted::List,
        State::Join | State::Listed(_) => Wanted::Join,
        State::Value { key, listed } => match key::find(&key) {
            Some(found) => Wanted::Value { condition: found.condition, label: found.label, listed },
            None => Wanted::Value { condition: key, label: None, listed },
        },
    };
    Some(Completion { start, typed, wanted })
}

/// The word at the end and where it begins.
fn last_word(text: &str) -> Option<(usize, String)> {
    match tokens(text) {
        Ok(tokens) => match tokens.as_slice() {
            [.., Token { kind: Kind::Word(word), at }, Token { kind: Kind::End, .. }] if text.ends_with(*word) => {
                Some((*at, (*word).to_owned()))
            }
            _ => Some((text.len(), String::new())),
        },
        Err(error) if matches!(error.problem, Problem::Unterminated) => {
            let (at, _) = text.char_indices().nth(error.position - 1)?;
            Some((at, text[at + 1..].to_owned()))
        }
        Err(_) => None,
    }
}

fn advance(state: State, kind: &Kind<'_>) -> Option<State> {
    let word = match kind {
        Kind::Word(word) => word.to_ascii_lowercase(),
        _ => String::new(),
    };
    Some(match (state, kind) {
        (State::Key, Kind::Open | Kind::Not) => State::Key,
        (State::Key, Kind::Word(_)) if word == "not" => State::Key,
        (State::Key, Kind::Word(key)) => State::Operator((*key).to_owned()),
        (State::Operator(key), Kind::Operator(_)) => State::Value { key, listed: false },
        (State::Operator(key), Kind::Word(_)) if word == "not" => State::Operator(key),
        (State::Operator(key), Kind::Word(_)) if word == "in" => State::Open(key),
        (State::Open(key), Kind::Open) => State::Value { key, listed: true },
        (State::Value { listed: false, .. }, Kind::Word(_) | Kind::Quoted(_)) => State::Join,
        (State::Value { key, listed: true }, Kind::Word(_) | Kind::Quoted(_)) => State::Listed(key),
        (State::Listed(key), Kind::Comma) => State::Value { key, listed: true },
        (State::Listed(_), Kind::Close) | (State::Join, Kind::Close) => State::Join,
        (State::Join, Kind::And | Kind::Or) => State::Key,
        (State::Join, Kind::Word(_)) if word == "and" || word == "or" => State::Key,
        _ => return None,
    })
}
