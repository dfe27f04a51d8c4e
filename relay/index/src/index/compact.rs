//! The files of hours that are over become fewer.

use std::io;
use std::time::Duration;

use flow::Timestamp;

use super::Index;
use super::open::{Durable, Keeping};
use crate::files::{CompactError, next_job};
use crate::segment::as_u64;

/// Time after which a file that could not be read is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// A file that could not be read when it was to be compacted.
#[derive(Debug)]
pub(super) struct PassedOver {
    path: String,
    at: Timestamp,
    /// What is wrong, for people.
    problem: String,
}

impl Index {
    /// Makes one file of some of an hour that ended before `until`, and that were written before then too unless it is
    /// `at_once`. Gives how many became part of it, and how many could not be read.
    pub(super) fn compact(
        &self,
        durable: &Durable,
        keeping: &mut Keeping,
        (until, at_once): (Timestamp, bool),
        now: Timestamp,
    ) -> io::Result<(u64, u64)> {
        if !durable.config.compact && !at_once {
            return Ok((0, 0));
        }
        // A clock that jumped back must not keep them for longer than it jumped.
        keeping.passed_over.retain(|file| now >= file.at && now.since(file.at) < TRY_AGAIN_AFTER);
        let first_seq = self.snapshot().first_seq();
        let written = if at_once { now } else { until };
        let passed_over = |path: &str| keeping.passed_over.iter().any(|file| file.path == path);
        let job = next_job(
            keeping.catalog.entries(),
            (first_seq, durable.config.compact_rows),
            (until, written),
            passed_over,
        );
        let Some(job) = job else { return Ok((0, 0)) };
        let entry = match durable.files.compact(&job, &mut keeping.namer, now) {
            Ok(entry) => entry,
            Err(CompactError::Read(path)) => {
                let known = durable.files.troubles().into_iter().find(|trouble| trouble.path == path);
                let problem = known.map_or_else(|| format!("cannot read {path}"), |trouble| trouble.problem);
                keeping.passed_over.push(PassedOver { path, at: now, problem });
                return Ok((0, 1));
            }
            Err(CompactError::Io(error)) => return Err(error),
        };
        let paths: Vec<String> = job.inputs.iter().map(|entry| entry.path.clone()).collect();
        if let Err(error) = self.step(keeping, vec![entry.clone()], paths.clone()) {
            durable.files.forget(&[entry]);
            return Err(error);
        }
        let files = as_u64(paths.len());
        keeping.stats.files_compacted += files;
        keeping.leave(&job.inputs, now);
        Ok((files, 0))
    }

    /// What is wrong with files that could lately not be read to be compacted, for people. Waits for upkeep that is at
    /// work.
    #[must_use]
    pub fn not_compacted(&self) -> Vec<String> {
        let Some(durable) = &self.durable else { return Vec::new() };
        durable.keeping().passed_over.iter().map(|file| file.problem.clone()).collect()
    }
}
