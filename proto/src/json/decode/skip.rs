//! Values that nobody asked for.

use super::super::lexer::{BadSyntax, Lexer, Token};
use super::Stop;

/// Objects and lists inside of each other, those included that hold what is passed over; as many as Go's library takes.
const DEPTH_MAX: usize = 10_000;

/// Passes over a value of any type that stands in so many messages.
pub(super) fn skip(lexer: &mut Lexer<'_>, depth: u32) -> Result<(), Stop> {
    let most = DEPTH_MAX.saturating_sub(depth as usize);
    // One entry for each open object (true) or list (false).
    let mut open: Vec<bool> = Vec::new();
    // Whether a value must come next: not after a value, and not before the end of something empty.
    loop {
        let at = lexer.position();
        let mut token = lexer.next()?;
        if open.last() == Some(&true) {
            // In an object a name comes before the value.
            if let Token::Text(_) = token {
                if lexer.next()? != Token::Colon {
                    return Err(BadSyntax { at, problem: "no colon after the name of a field" }.into());
                }
                token = lexer.next()?;
            } else if token != Token::ObjectClose {
                return Err(BadSyntax { at, problem: "no name of a field" }.into());
            }
        }
        match token {
            Token::ObjectOpen | Token::ListOpen => {
                let object = token == Token::ObjectOpen;
                if open.len() >= most {
                    return Err(Stop::expected("fewer levels"));
                }
                let closes = if object { b'}' } else { b']' };
                if lexer.peek() != Some(closes) {
                    open.push(object);
                    continue;
                }
                lexer.next()?;
            }
            Token::Null | Token::Bool(_) | Token::Number(_) | Token::Text(_) => {}
            _ => return Err(BadSyntax { at, problem: "no value" }.into()),
        }
        // A value is complete; perhaps what holds it is too.
        loop {
            let Some(object) = open.last().copied() else { return Ok(()) };
            let at = lexer.position();
            match (lexer.next()?, object) {
                (Token::Comma, _) => break,
                (Token::ObjectClose, true) | (Token::ListClose, false) => {
                    open.pop();
                }
                _ => return Err(BadSyntax { at, problem: "neither a comma nor an end" }.into()),
            }
        }
        // No end may follow a comma; the next round refuses one in a list, this one in an object.
        if open.last() == Some(&true) && lexer.peek() == Some(b'}') {
            return Err(BadSyntax { at: lexer.position(), problem: "an end after a comma" }.into());
        }
    }
}
