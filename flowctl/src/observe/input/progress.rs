//! How far reading has come, for people who wait.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::sources::Source;

/// Smaller files are read before anybody wonders.
const BYTES_MIN: u64 = 64 << 20;

/// A bar of the bytes of a source on standard error; hidden where nobody waits: where standard error is no terminal, or
/// flows are printed there too.
pub(super) fn bar(source: &Source, bytes: Option<u64>) -> ProgressBar {
    let waits = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let Some(bytes) = bytes.filter(|bytes| waits && *bytes >= BYTES_MIN) else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::new(bytes);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(source.to_string());
    bar
}
