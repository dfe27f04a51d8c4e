//! How deep the tree of an expression can be, told from its text: a tree that is too deep for the stack must not be made,
//! for only dropping it would be too much.
//!
//! Brackets are counted by the parser as it goes down into them. What it does not count are chains, which it reads in a
//! loop, and which are as deep as they are long: `1 + 1 + 1`, `a.b.c`, `l[0][0]`.

/// Levels of chains, those of what stands in brackets included; as many as Hubble's parser takes of additions.
const CHAIN_MAX: u32 = 250;

/// Links of the chains between two brackets, or between commas and logical operators there.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: u32,
    /// Fields, indexes and calls of the operand at hand, and of that which has most.
    links: u32,
    links_most: u32,
    /// The deepest of what stands in brackets.
    inner: u32,
    /// The deepest of what came before a comma or a logical operator.
    before: u32,
}

impl Level {
    fn depth(&self) -> u32 {
        let own = self.operators + self.links.max(self.links_most) + self.inner;
        own.max(self.before)
    }

    fn separate(&mut self) {
        *self = Self { before: self.depth(), ..Self::default() };
    }

    fn operator(&mut self) {
        self.operators += 1;
        self.links_most = self.links_most.max(self.links);
        self.links = 0;
    }
}

/// Whether the chains of an expression are longer than the stack should have to bear.
pub(super) fn is_too_deep(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut levels = vec![Level::default()];
    let mut at = 0;
    // Whether an operand ends here, so that what follows is a link or an operator between two.
    let mut after_operand = false;
    while let Some(&byte) = bytes.get(at) {
        let Some(level) = levels.last_mut() else { return false };
        let two = bytes.get(at..at + 2).unwrap_or_default();
        let mut length = 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | 0xc => {}
            b'/' if two == b"//" => length = bytes[at..].iter().take_while(|b| **b != b'\n').count(),
            b'\'' | b'"' => (length, after_operand) = (string_length(bytes, at), true),
            b'(' | b'[' | b'{' => {
                level.links += u32::from(after_operand);
                levels.push(Level::default());
                after_operand = false;
            }
            b')' | b']' | b'}' => {
                let depth = level.depth() + 1;
                levels.pop();
                let Some(outer) = levels.last_mut() else { return false };
                outer.inner = outer.inner.max(depth);
                after_operand = true;
            }
            b',' | b'?' | b':' => {
                level.separate();
                after_operand = false;
            }
            b'&' | b'|' => {
                level.separate();
                (length, after_operand) = (2, false);
            }
            b'.' if after_operand && !bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => level.links += 1,
            // Signs of a number are taken together.
            b'-' | b'!' if !after_operand && two != b"!=" => {}
            b'+' | b'-' | b'*' | b'/' | b'%' | b'=' | b'!' | b'<' | b'>' => {
                level.operator();
                length = if two.get(1) == Some(&b'=') { 2 } else { 1 };
                after_operand = false;
            }
            _ => {
                length = bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count().max(1);
                let word = &bytes[at..at + length];
                if word == b"in" {
                    level.operator();
                }
                after_operand = word != b"in";
            }
        }
        if levels.last().is_some_and(|level| level.depth() > CHAIN_MAX) {
            return true;
        }
        at += length;
    }
    false
}

/// Length of the string that begins here, with its quotes; up to the end where it is not closed.
fn string_length(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let raw = start > 0 && matches!(bytes[start - 1], b'r' | b'R');
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let end: &[u8] = if triple { &[quote; 3] } else { &[quote] };
    let mut at = start + end.len();
    while at < bytes.len() {
        if bytes[at..].starts_with(end) {
            return at + end.len() - start;
        }
        at += if bytes[at] == b'\\' && !raw { 2 } else { 1 };
    }
    bytes.len() - start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_as_deep_as_they_are_long() {
        let chain = |link: &str, times: usize| format!("1{}", link.repeat(times));
        for link in [" + 1", "-1", "*(1)", " == 1.5", " in [1]", ".a", "[0]", "(1)", " + 'a+b'", " + f(1)", " + -1"] {
            assert!(!is_too_deep(&chain(link, 125)), "{link}");
            assert!(is_too_deep(&chain(link, 251)), "{link}");
        }
        assert!(!is_too_deep(&chain("+1", 249)), "as for Hubble");
        for link in [" || 1 + 1", " && a.b.c == 'x'", ", 1 + 1", " ? 1 : 1"] {
            assert!(!is_too_deep(&chain(link, 10_000)), "{link}");
        }
        assert!(!is_too_deep(&format!("{}1", "-!".repeat(10_000))));
        assert!(!is_too_deep(&format!("'{}' == r'\\' + \"\"\"+'+\"\"\"", "+".repeat(10_000))));
        assert!(!is_too_deep(&format!("true // {}", "+".repeat(10_000))));
        // A chain in a chain is as deep as both together, whichever side it stands on.
        let half = chain("+1", 130);
        assert!(is_too_deep(&format!("({half}){}", "+1".repeat(130))));
        assert!(!is_too_deep(&format!("[{half}, {half}]")));
        for odd in ["", ")", "(", "'", "'\\", "\u{e9}+", "&", "a.1", "\"\"\""] {
            assert!(!is_too_deep(odd), "{odd}");
        }
    }
}
