//! Readers of other people's formats, kept from ending the program.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};

/// Runs a reader that may panic on damaged bytes; what it was reading must not be used after that.
///
/// # Errors
/// It panicked.
pub(super) fn guarded<T>(read: impl FnOnce() -> T) -> Result<T> {
    let hook = std::panic::take_hook();
    // What it would say is for those who write it, not for those who have a damaged file.
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(read));
    std::panic::set_hook(hook);
    result.map_err(|_| anyhow!("not well-formed"))
}
