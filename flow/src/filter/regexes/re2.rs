//! RE2's language in the words of the regex crate.
//!
//! The two agree on almost everything, but not on what they refuse (`x**`, `\e`, more than a thousand repetitions), not on
//! what `\d` and `\w` mean (RE2: ASCII alone), and not inside of brackets (`[a--b]`, `[a&&b]`). So the expression is read
//! by RE2's rules and written anew. Source: <https://github.com/google/re2/wiki/Syntax>.

mod classes;
mod escapes;

use self::escapes::{char_escape, class_escape, escaped_number};

/// Most repetitions, those of repeated groups multiplied.
const REPEAT_MAX: u32 = 1000;

/// Writes an expression of RE2 as one of the regex crate; with it comes how often a part of it is repeated at most.
///
/// # Errors
/// RE2 does not take it; the message says why.
pub(super) fn translate(expression: &str) -> Result<(String, u32), String> {
    let mut translator = Translator {
        rest: expression,
        out: String::with_capacity(expression.len() * 2),
        levels: vec![Level::default()],
        begin: 0,
    };
    translator.run()?;
    if translator.levels.len() > 1 {
        return Err(format!("missing closing ): {expression:?}"));
    }
    let repetitions = translator.level().largest.max(1);
    Ok((translator.out, repetitions))
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    /// Open groups, the whole expression first.
    levels: Vec<Level>,
    /// Where what is being written begins.
    begin: usize,
}

#[derive(Default)]
struct Level {
    /// How often the thing before may be repeated already; `None` where there is nothing to repeat.
    last: Option<u32>,
    /// The largest of those in the group.
    largest: u32,
    after_repeat: bool,
    /// Where the group begins.
    begin: usize,
    /// Where the thing before begins, and the flags that were written since: they stand between it and its repetition.
    last_begin: usize,
    flags: String,
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            self.rest = &self.rest[c.len_utf8()..];
            self.begin = self.out.len();
            match c {
                '(' => self.open(before)?,
                ')' => self.close()?,
                '|' => {
                    self.out.push('|');
                    self.level().last = None;
                    self.level().after_repeat = false;
                }
                '*' | '+' | '?' => self.repeat(c.encode_utf8(&mut [0; 4]), 1)?,
                '{' => match self.counts(before)? {
                    Some((text, most)) => self.repeat(text, most)?,
                    None => self.literal('{'),
                },
                '^' | '$' | '.' => self.item(c.encode_utf8(&mut [0; 4])),
                '[' => self.class(before)?,
                '\\' => self.escape(before)?,
                c => self.literal(c),
            }
        }
        Ok(())
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the outermost level is never closed")
    }

    /// Something that can be repeated.
    fn item(&mut self, text: &str) {
        self.out.push_str(text);
        self.done(1);
    }

    fn done(&mut self, repetitions: u32) {
        self.began(self.begin);
        self.repeated(repetitions);
    }

    fn repeated(&mut self, repetitions: u32) {
        let level = self.level();
        level.last = Some(repetitions);
        level.largest = level.largest.max(repetitions);
        level.after_repeat = false;
    }

    /// The thing that ends here began there.
    fn began(&mut self, begin: usize) {
        let level = self.level();
        level.last_begin = begin;
        level.flags.clear();
    }

    fn literal(&mut self, c: char) {
        self.begin = self.out.len();
        push_char(&mut self.out, c);
        self.done(1);
    }

    fn open(&mut self, before: &'a str) -> Result<(), String> {
        let Some(flags) = self.rest.strip_prefix('?') else {
            self.out.push_str("(?:");
            self.levels.push(Level { begin: self.begin, ..Level::default() });
            return Ok(());
        };
        if let Some(named) = flags.strip_prefix("P<").or_else(|| flags.strip_prefix('<')) {
            let end = named.find('>').ok_or_else(|| format!("invalid named capture: {before:?}"))?;
            let name = &named[..end];
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(format!("invalid named capture: {name:?}"));
            }
            self.rest = &named[end + 1..];
            self.out.push_str("(?:");
            self.levels.push(Level { begin: self.begin, ..Level::default() });
            return Ok(());
        }
        self.flags(flags, before)
    }

    /// `i`, `m`, `s` and `U`, set or after a minus unset, for a group or for what follows.
    fn flags(&mut self, text: &'a str, before: &str) -> Result<(), String> {
        let refused =
            || format!("invalid or unsupported Perl syntax: {:?}", before.chars().take(8).collect::<String>());
        let end = text.find([':', ')']).ok_or_else(refused)?;
        let flags = &text[..end];
        let (set, unset) = flags.split_once('-').map_or((flags, None), |(set, unset)| (set, Some(unset)));
        let known = |flags: &str| flags.chars().all(|c| matches!(c, 'i' | 'm' | 's' | 'U'));
        if !known(set) || unset.is_some_and(|unset| unset.is_empty() || !known(unset)) {
            return Err(refused());
        }
        // Twice the same flag is one for RE2 and a mistake for the regex crate, as is one that is set and unset.
        let unique = |flags: &str| ['i', 'm', 's', 'U'].into_iter().filter(|c| flags.contains(*c)).collect::<String>();
        let off = unique(unset.unwrap_or(""));
        let on: String = unique(set).chars().filter(|c| !off.contains(*c)).collect();
        let minus = if off.is_empty() { "" } else { "-" };
        let group = text[end..].starts_with(':');
        self.rest = &text[end + 1..];
        if group {
            self.out.push_str(&format!("(?{on}{minus}{off}:"));
            self.levels.push(Level { begin: self.begin, ..Level::default() });
        } else {
            if !on.is_empty() || !off.is_empty() {
                let flags = format!("(?{on}{minus}{off})");
                self.out.push_str(&flags);
                self.level().flags.push_str(&flags);
            }
            self.level().after_repeat = false;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        if self.levels.len() == 1 {
            return Err("unexpected )".to_owned());
        }
        let group = self.levels.pop().unwrap_or_default();
        self.out.push(')');
        self.begin = group.begin;
        self.done(group.largest.max(1));
        Ok(())
    }

    /// A repetition of what stands before; `most` is how often at least, or at most where that is bounded.
    fn repeat(&mut self, operator: &str, most: u32) -> Result<(), String> {
        let lazy = self.rest.starts_with('?');
        if lazy {
            self.rest = &self.rest[1..];
        }
        let level = self.level();
        if level.after_repeat {
            return Err(format!("invalid nested repetition operator: {operator:?}"));
        }
        let Some(inner) = level.last else {
            return Err(format!("missing argument to repetition operator: {operator:?}"));
        };
        let repetitions = inner.saturating_mul(most.max(1));
        if most >= 2 && repetitions > REPEAT_MAX {
            return Err(format!("invalid repeat count: {operator:?}"));
        }
        // Flags do not keep a repetition from what stands before them: `a(?i)*` repeats the `a`.
        let (begin, flags) = (level.last_begin, std::mem::take(&mut level.flags));
        if !flags.is_empty() {
            self.out.truncate(self.out.len() - flags.len());
            self.out.insert_str(begin, "(?:");
            self.out.push(')');
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        self.out.push_str(&flags);
        self.repeated(repetitions);
        let level = self.level();
        (level.after_repeat, level.flags) = (true, flags);
        Ok(())
    }

    /// `{2}`, `{2,}` or `{2,3}`; `None` where the brace stands for itself.
    fn counts(&mut self, before: &'a str) -> Result<Option<(&'a str, u32)>, String> {
        let Some(end) = before.find('}') else { return Ok(None) };
        let inner = &before[1..end];
        let (least, most) = inner.split_once(',').map_or((inner, None), |(least, most)| (least, Some(most)));
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let padded = text.len() > 1 && text.starts_with('0');
            (plain && !padded).then(|| text.parse::<u32>().unwrap_or(u32::MAX))
        };
        let Some(low) = number(least) else { return Ok(None) };
        let high = match most {
            None => Some(low),
            Some("") => None,
            Some(most) => match number(most) {
                Some(high) => Some(high),
                None => return Ok(None),
            },
        };
        let text = &before[..=end];
        if low > REPEAT_MAX || high.is_some_and(|high| high > REPEAT_MAX || high < low) {
            return Err(format!("invalid repeat count: `{text}`"));
        }
        self.rest = &before[end + 1..];
        Ok(Some((text, high.unwrap_or(low))))
    }

    fn escape(&mut self, before: &'a str) -> Result<(), String> {
        let Some(c) = self.rest.chars().next() else {
            return Err("trailing backslash at end of expression".to_owned());
        };
        let after = &self.rest[c.len_utf8()..];
        let plain = match c {
            'A' => "\\A",
            'z' => "\\z",
            // Words are made of ASCII.
            'b' => "(?-u:\\b)",
            // That assertion alone would hold in the middle of a character too; these two together hold at every edge of one.
            'B' => r"(?:(?-u:\B)(?:\b|\B))",
            'Q' => {
                let (text, rest) = after.split_once("\\E").unwrap_or((after, ""));
                self.rest = rest;
                text.chars().for_each(|c| self.literal(c));
                return Ok(());
            }
            _ => "",
        };
        if !plain.is_empty() {
            self.rest = after;
            self.item(plain);
            return Ok(());
        }
        if let Some((set, rest)) = class_escape(before)? {
            self.rest = rest;
            self.item(&format!("[{set}]"));
            return Ok(());
        }
        let (c, rest) = char_escape(before)?;
        self.rest = rest;
        match c {
            Some(c) => self.literal(c),
            // Half a surrogate pair stands in no text.
            None => self.item(NOTHING),
        }
        Ok(())
    }

    fn class(&mut self, before: &'a str) -> Result<(), String> {
        let missing = || format!("missing closing ]: {before:?}");
        let mut rest = &before[1..];
        let mut set = String::new();
        let negated = rest.starts_with('^');
        if negated {
            rest = &rest[1..];
        }
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if rest.is_empty() {
                return Err(missing());
            }
            if let Some((name, after)) = named_class(rest)? {
                set.push_str(name);
                rest = after;
                continue;
            }
            if let Some((inner, after)) = class_escape(rest)? {
                set.push_str(&format!("[{inner}]"));
                rest = after;
                continue;
            }
            let (low, after) = class_char(rest).ok_or_else(missing)??;
            rest = after;
            let mut high = low;
            if rest.starts_with('-') && rest.len() >= 2 && !rest[1..].starts_with(']') {
                let (end, after) = class_char(&rest[1..]).ok_or_else(missing)??;
                if end < low {
                    return Err(format!("invalid character class range: {:?}", &before[..before.len() - after.len()]));
                }
                (high, rest) = (end, after);
            }
            push_range(&mut set, low, high);
        }
        self.rest = &rest[1..];
        match (set.is_empty(), negated) {
            // Only halves of surrogate pairs: nothing is one.
            (true, false) => self.item(NOTHING),
            (true, true) => self.item("(?s:.)"),
            (false, true) => self.item(&format!("[^{set}]")),
            (false, false) => self.item(&format!("[{set}]")),
        }
        Ok(())
    }
}

/// Matches no text at all.
const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
    }
}

/// A range by code points; what is no character is left out.
fn push_range(set: &mut String, low: u32, high: u32) {
    for (low, high) in [(low, high.min(0xd7ff)), (low.max(0xe000), high)] {
        if low <= high {
            set.push_str(&format!("\\x{{{low:X}}}-\\x{{{high:X}}}"));
        }
    }
}

/// One character of a class, by its code point; `None` at the end.
fn class_char(text: &str) -> Option<Result<(u32, &str), String>> {
    let c = text.chars().next()?;
    if c == '\\' {
        return Some(escaped_number(text));
    }
    Some(Ok((u32::from(c), &text[c.len_utf8()..])))
}

/// `[:alpha:]` and the like.
fn named_class(text: &str) -> Result<Option<(&str, &str)>, String> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "word", "xdigit",
    ];
    let Some(end) = text.strip_prefix("[:").and_then(|inner| inner.find(":]")) else { return Ok(None) };
    let name = &text[2..2 + end];
    let whole = &text[..end + 4];
    if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return Err(format!("invalid character class range: {whole:?}"));
    }
    Ok(Some((whole, &text[end + 4..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(expression: &str, text: &str) -> bool {
        let (translated, _) = translate(expression).unwrap();
        regex::Regex::new(&translated).unwrap_or_else(|e| panic!("{expression} as {translated}: {e}")).is_match(text)
    }

    #[test]
    fn what_re2_takes_means_the_same() {
        for (expression, text, expected) in [
            (r"^/page/\d+$", "/page/12", true),
            (r"\d", "\u{663}", false),
            (r"\w", "\u{e9}", false),
            (r"(?i)k", "\u{212a}", true),
            (r"\Qa.b\E*c", "a.bbc", true),
            (r"[a&&b]", "&", true),
            (r"[[a]]", "a]", true),
            (r"[]a]", "]", true),
            (r"[^]a]", "a", false),
            (r"[a-]", "-", true),
            (r"[\d-z]", "-", true),
            (r"[[:^alpha:]]", "1", true),
            (r"a{,2}", "a{,2}", true),
            (r"x{2,3}?", "xx", true),
            (r"(?P<n>a)(?<n>b)", "ab", true),
            (r"(?i-s:A.)", "ab", true),
            (r"(?ii)A", "a", true),
            (r"\101\x42\x{43}", "ABC", true),
            (r"a|", "", true),
            (r"()*", "", true),
            (r"^*", "", true),
            (r"{}", "{}", true),
            (r"#x y", "#x y", true),
            (r"\x{D800}", "x", false),
            (r"^a+(?i)?(?s)?B.$", "b\n", true),
            (r"^(a|bc)(?i){2}X$", "bcax", true),
            (r"^\Qab\E(?i)*X$", "abbx", true),
            (r"\p{Cs}", "x", false),
            (r"^\P{Cs}$", "x", true),
            (r"^[\pL\p{gre_ek}]$", "\u{3b1}", true),
            (r"^\p{ decimal-number}$", "\u{663}", true),
        ] {
            assert_eq!(matches(expression, text), expected, "{expression} on {text:?}");
        }
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for expression in [
            "*",
            "a**",
            "a*+",
            "(",
            ")",
            "a)",
            "[",
            "[a",
            "[]",
            "[b-a]",
            "[a--b]",
            "(*)",
            "|*",
            r"\",
            r"\8",
            r"\1",
            r"\e",
            r"\Z",
            r"\C",
            r"\u0041",
            r"\p{",
            "(?",
            "(?x)a",
            "(?=a)",
            "(?#c)",
            "(?P<>a)",
            "(?P=n)",
            "(?i-)a",
            "a{1001}",
            "a{2,1}",
            "(a{100}){100}",
            "[[:nope:]]",
            r"[\Q]",
            r"\x",
            r"\x{}",
            r"\x{110000}",
            r"\E",
            r"\p{Old_Italic}",
            r"\p{SignWriting}",
            r"\p{Garay}",
            r"\p{Script=Greek}",
            r"\p{Alphabetic}",
            r"\p{X}",
            r"\p{}",
        ] {
            assert!(translate(expression).is_err(), "{expression} became {:?}", translate(expression));
        }
    }
}
