//! Hooks: a process executes a program, a process ends.

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};
use ebpf_abi::{ProcRecord, kind, process_event};

use crate::{
    context::{Arguments, now_boot_ns},
    maps::{CTRL, offset},
    memory::{kernel, kernel_or_zero, kernel_text},
    send::{self, Event},
    task::{self, Task},
};

/// `sched_process_exec(task, old_pid, bprm)`.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let arguments = unsafe { Arguments::new(context.as_ptr()) };
    let path = kernel(arguments.get(2), offset!(bprm_filename)).unwrap_or(0);
    tell(arguments.get(0), process_event::EXEC, path);
    0
}

/// `sched_process_exit(task, ..)`, once for each thread; the first thread speaks for the process.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let arguments = unsafe { Arguments::new(context.as_ptr()) };
    if Task::Current.tid() == Task::Current.tgid() {
        tell(arguments.get(0), process_event::EXIT, 0);
    }
    0
}

#[inline(always)]
fn tell(task: u64, what: u8, path: u64) {
    let parent: u64 = kernel_or_zero(task, offset!(task_parent));
    let event = Event { kind: kind::PROC, at_boot_ns: now_boot_ns(), cookie: 0 };
    send::record::<ProcRecord>(&CTRL, event, |record| {
        // SAFETY: the record has room for all of these, and together they are all of it behind the header.
        unsafe {
            (*record).tgid = Task::Current.tgid();
            (*record).parent_tgid = kernel_or_zero(parent, offset!(task_tgid));
            (*record).uid = Task::Current.uid();
            (*record).exit =
                if what == process_event::EXIT { kernel_or_zero(task, offset!(task_exit_code)) } else { 0 };
            (*record).cgroup = Task::Current.cgroup();
            (*record).netns = task::netns_of(task);
            (*record).event = what;
            (*record).reserved = [0; 7];
            (*record).comm = Task::Current.comm();
            let text = &raw mut (*record).path;
            text.write([0; 112]);
            if path != 0 {
                kernel_text(path, &mut *text);
            }
        }
    });
}
