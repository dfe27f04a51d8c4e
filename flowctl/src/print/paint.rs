//! Colours, the same as Hubble's.

use std::io::IsTerminal as _;

/// Whether and how to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

/// Foreground colour by its SGR number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Magenta = 35,
    Cyan = 36,
}

/// Codes that coloured output has of its own, blue included, which nothing is painted in.
const OWN_CODES: [&str; 7] =
    ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[34m", "\u{1b}[35m", "\u{1b}[36m", "\u{1b}[0m"];

impl Paint {
    /// No colours.
    pub(crate) const OFF: Self = Self { on: false };
    /// Colours.
    pub(crate) const ON: Self = Self { on: true };

    /// Reads `--color`: `always`, `never`, and for anything else colours on a terminal that has some.
    pub(crate) fn from_flag(when: &str) -> Self {
        match when.to_lowercase().as_str() {
            "always" => Self::ON,
            "never" => Self::OFF,
            _ => {
                // https://no-color.org: set to anything but the empty text.
                let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                Self { on: !refused && !dumb && std::io::stdout().is_terminal() }
            }
        }
    }

    /// The code at the start of the text, if it is one of those of coloured output and this one is coloured.
    pub(super) fn own_code(self, text: &str) -> Option<&'static str> {
        OWN_CODES.into_iter().find(|code| self.on && text.starts_with(code))
    }

    /// Starts a colour.
    pub(crate) fn start(self, out: &mut Vec<u8>, color: Color) {
        if self.on {
            let number = color as u8;
            out.extend_from_slice(&[0x1b, b'[', b'0' + number / 10, b'0' + number % 10, b'm']);
        }
    }

    /// Ends a colour.
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        if self.on {
            out.extend_from_slice(b"\x1b[0m");
        }
    }
}
