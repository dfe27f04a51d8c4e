//! Not a hook: the loader runs it once, in its own context, to learn its process id in the host's numbering. Inside a
//! container its own idea of that is another one.

use aya_ebpf::{macros::classifier, programs::TcContext};

use crate::task::Task;

/// Answers with the id of the calling process.
#[classifier]
pub fn whoami(_context: TcContext) -> i32 {
    Task::Current.tgid() as i32
}
