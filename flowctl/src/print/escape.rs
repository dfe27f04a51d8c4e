//! Data from the network on a terminal: what could steer the terminal is made visible.

use super::Paint;

/// Which characters are made visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Those that Hubble makes visible (ESC as `^[`, CR as `\r`), so that scripts find the same bytes; in coloured output
    /// the colours that are in the data stay, as they do there.
    Some(Paint),
    /// Every control character, for people in front of a terminal.
    All,
}

impl Escape {
    /// Appends text.
    ///
    /// A name or a URL comes from whoever sends packets; shown raw, it could repaint the screen or forge a line.
    pub(crate) fn put(self, out: &mut Vec<u8>, text: &str) {
        match self {
            Self::Some(paint) => put_some(out, text, paint),
            Self::All => put(out, text),
        }
    }
}

fn put_some(out: &mut Vec<u8>, text: &str, paint: Paint) {
    let mut rest = text;
    while let Some(at) = memchr::memchr2(0x1b, b'\r', rest.as_bytes()) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        if let Some(code) = paint.own_code(rest) {
            out.extend_from_slice(code.as_bytes());
            rest = &rest[code.len()..];
            continue;
        }
        out.extend_from_slice(if rest.starts_with('\r') { b"\\r" } else { b"^[" });
        rest = &rest[1..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends text with every control character made visible: ESC as `^[`, CR as `\r`, line feed as `\n`, BEL as `^G`, the
/// one-byte CSI as `\u{9b}`.
pub(crate) fn put(out: &mut Vec<u8>, text: &str) {
    if is_harmless(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for c in text.chars() {
        match c {
            '\r' => out.extend_from_slice(b"\\r"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{0}'..='\u{1f}' => out.extend_from_slice(&[b'^', c as u8 + b'@']),
            '\u{7f}' => out.extend_from_slice(b"^?"),
            '\u{80}'..='\u{9f}' => out.extend_from_slice(format!("\\u{{{:x}}}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// No control character of either set; U+0080 to U+009F begin with the byte 0xC2 and go on below 0xA0.
fn is_harmless(text: &str) -> bool {
    let bytes = text.as_bytes();
    let controls = bytes.iter().any(|b| *b < 0x20 || *b == 0x7f);
    let upper_controls = bytes.contains(&0xc2) && text.chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c));
    !controls && !upper_controls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(escape: Escape, text: &str, shown: &str) {
        let mut out = Vec::new();
        escape.put(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), shown);
    }

    #[test]
    fn terminal_controls_are_made_visible() {
        for (text, shown) in [
            ("plain \u{e9} \u{a0}", "plain \u{e9} \u{a0}"),
            ("\u{1b}[31mred", "^[[31mred"),
            ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\u{7}\u{7f}\u{9b}31m", "^G^?\\u{9b}31m"),
        ] {
            check(Escape::All, text, shown);
        }
    }

    #[test]
    fn scripts_see_what_hubble_shows_them() {
        check(Escape::Some(Paint::OFF), "\u{1b}[31mred\r\n\t\u{7}", "^[[31mred\\r\n\t\u{7}");
        check(Escape::Some(Paint::ON), "\u{1b}[31mred\u{1b}[0m\u{1b}[1m", "\u{1b}[31mred\u{1b}[0m^[[1m");
    }
}
