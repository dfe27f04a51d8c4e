//! Flows counted in place of flows shown: by group, by second, or both.

mod columns;

use std::io::{self, Write};
use std::time::Duration;

use prost_types::Timestamp;
use proto::convert::flow_from_wire;
use proto::flow as wire;

use self::columns::Columns;
use crate::groups::{Count, Groups, Sort};
use crate::moments::{TimeLayout, format_span, order};
use crate::units;

/// Clears the terminal and puts the cursor at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";
/// Time between two looks at groups that are watched on a terminal.
const REDRAW: Duration = Duration::from_secs(1);
/// Intervals without a flow that are told one by one; a longer silence is skipped.
const SILENCE_MAX: u32 = 60;

/// What is counted and how it is shown.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) groups: Groups,
    pub(crate) sort: Sort,
    /// Groups shown; 0 for all.
    pub(crate) top: usize,
    /// JSON lines in place of columns.
    pub(crate) json: bool,
    /// Length of an interval, where rates are wanted.
    pub(crate) rate: Option<Duration>,
    /// Whether each interval is told, or once in the end.
    pub(crate) follow: bool,
    /// Whether intervals are those of the flows' own times, as in a file, and not of the clock.
    pub(crate) recorded: bool,
    /// Whether a person looks on.
    pub(crate) terminal: bool,
    pub(crate) time: TimeLayout,
}

/// Counts flows and prints what they come to.
#[derive(Debug)]
pub(crate) struct Counts {
    counting: Counting,
    /// Times of the oldest and the newest flow since the start.
    span: Option<(Timestamp, Timestamp)>,
    /// End of the interval that is being counted, in nanoseconds since 1970, where times are those of the flows.
    interval_end: Option<i128>,
    /// Events lost in the interval.
    lost: u64,
    /// Whether a line was printed, so that the header is not needed again.
    begun: bool,
}

/// The part of the output that a table or a line of JSON is about.
struct Part<'a> {
    time: Option<&'a str>,
    /// Time that the flows took; `None` where no rates are wanted.
    seconds: Option<f64>,
}

impl Counts {
    pub(crate) fn new(counting: Counting) -> Self {
        Self { counting, span: None, interval_end: None, lost: 0, begun: false }
    }

    /// How often [`Self::tick`] is to be called; `None` for never.
    pub(super) fn interval(&self) -> Option<Duration> {
        let Counting { rate, follow, recorded, terminal, json, .. } = &self.counting;
        match rate {
            _ if !follow || *recorded => None,
            Some(interval) => Some(*interval),
            None => (*terminal && !json).then_some(REDRAW),
        }
    }

    /// Counts a flow.
    pub(super) fn add(&mut self, flow: &wire::Flow, out: &mut dyn Write) -> io::Result<()> {
        if let Some(time) = flow.time {
            self.pass_intervals(time, out)?;
            let (oldest, newest) = self.span.unwrap_or((time, time));
            let oldest = if order(time, oldest).is_lt() { time } else { oldest };
            self.span = Some((oldest, if order(time, newest).is_gt() { time } else { newest }));
        }
        self.counting.groups.add(&flow_from_wire(flow.clone()));
        Ok(())
    }

    /// Counts a loss.
    pub(super) fn add_lost(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
    }

    /// Tells of the intervals that ended before a flow of this time; late flows count for the present one.
    fn pass_intervals(&mut self, time: Timestamp, out: &mut dyn Write) -> io::Result<()> {
        let Some(interval) = self.counting.rate.filter(|_| self.counting.follow && self.counting.recorded) else {
            return Ok(());
        };
        let length = i128::try_from(interval.as_nanos()).unwrap_or(i128::MAX).max(1);
        let at = nanos(time);
        let end_after = (at.div_euclid(length) + 1) * length;
        let Some(mut end) = self.interval_end else {
            self.interval_end = Some(end_after);
            return Ok(());
        };
        let mut told = 0;
        while at >= end && told <= SILENCE_MAX {
            self.write_interval(moment(end), interval, out)?;
            end += length;
            told += 1;
        }
        self.interval_end = Some(end.max(end_after));
        Ok(())
    }

    /// Tells of an interval that took so long, and ends now.
    pub(super) fn tick(&mut self, now: Timestamp, elapsed: Duration, out: &mut dyn Write) -> io::Result<()> {
        if self.counting.rate.is_none() {
            out.write_all(CLEAR.as_bytes())?;
            return self.write_groups(&Part { time: None, seconds: None }, out);
        }
        self.write_interval(now, elapsed, out)
    }

    /// Tells of everything, where intervals were not told.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match (self.counting.rate, self.interval_end) {
            (Some(interval), Some(end)) => self.write_interval(moment(end), interval, out),
            (Some(_), None) if self.counting.follow => Ok(()),
            // Nothing to tell, as with a table of flows; why, whoever read says.
            _ if self.counting.groups.total().flows == 0 => Ok(()),
            (rate, _) => {
                if self.interval().is_some() {
                    out.write_all(CLEAR.as_bytes())?;
                }
                let seconds = rate.map(|_| self.span.map_or(0.0, |(from, to)| seconds(from, to)));
                self.write_groups(&Part { time: None, seconds }, out)
            }
        }
    }

    fn write_interval(&mut self, end: Timestamp, elapsed: Duration, out: &mut dyn Write) -> io::Result<()> {
        let time = self.counting.time.text(Some(end));
        let part = Part { time: Some(&time), seconds: Some(elapsed.as_secs_f64()) };
        if self.counting.groups.keys().is_empty() && !self.counting.json {
            self.write_line(&time, elapsed.as_secs_f64(), out)?;
        } else {
            if self.counting.terminal && !self.counting.json {
                out.write_all(CLEAR.as_bytes())?;
            } else if self.begun && !self.counting.json {
                out.write_all(b"\n")?;
            }
            self.write_groups(&part, out)?;
        }
        self.begun = true;
        self.counting.groups.clear();
        self.lost = 0;
        Ok(())
    }

    /// One line of rates of all flows.
    fn write_line(&mut self, time: &str, seconds: f64, out: &mut dyn Write) -> io::Result<()> {
        let width = time.len().max("TIMESTAMP".len());
        let mut line = |cells: [&str; 5]| {
            let [time, rest @ ..] = cells;
            let numbers: Vec<String> = rest.iter().map(|cell| format!("{cell:>10}")).collect();
            writeln!(out, "{time:width$}  {}", numbers.join("  "))
        };
        if !self.begun {
            line(["TIMESTAMP", "FLOWS/S", "BYTES/S", "DROPS/S", "LOST"])?;
        }
        let [flows, bytes, drops] = rates(&self.counting.groups.total(), seconds);
        line([time, &flows, &bytes, &drops, &self.lost.to_string()])
    }

    /// The groups in columns or as lines of JSON.
    fn write_groups(&self, part: &Part<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Counting { groups, sort, top, json, .. } = &self.counting;
        let ranking = groups.ranking(*sort, *top);
        let keys: Vec<&str> = groups.keys().iter().map(flow::filter::GroupKey::name).collect();
        let mut rows = ranking.rows;
        if rows.is_empty() && keys.is_empty() {
            // A second without a flow has its line too.
            rows.push((Vec::new(), Count::default()));
        }
        if *json {
            for (values, count) in &rows {
                let names: Vec<(&str, &str)> = keys.iter().copied().zip(values.iter().copied()).collect();
                out.write_all(self.json_line(part, &names, count).as_bytes())?;
            }
            for (name, count) in [("left_out", Some(ranking.left_out.1)), ("others", ranking.others)] {
                if let Some(count) = count.filter(|count| count.flows > 0) {
                    out.write_all(self.json_line(part, &[(name, "")], &count).as_bytes())?;
                }
            }
            return Ok(());
        }
        if let Some(time) = part.time {
            writeln!(out, "{time}")?;
        }
        let mut columns = Columns::new(&keys, part.seconds.is_some());
        for (values, count) in &rows {
            columns.row(values, &cells(count, part.seconds));
        }
        if let Some(others) = &ranking.others {
            columns.row(&["(others)"], &cells(others, part.seconds));
        }
        columns.write(out)?;
        self.write_remarks(&ranking.left_out, ranking.others.is_some(), part, out)
    }

    /// What the columns leave out.
    fn write_remarks(
        &self,
        (groups, left): &(usize, Count),
        has_others: bool,
        part: &Part<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if *groups > 0 {
            let flows = if left.flows == 1 { "1 flow".to_owned() } else { format!("{} flows", left.flows) };
            writeln!(out, "... and {groups} more with {flows}; --top 0 shows all")?;
        }
        if has_others {
            writeln!(
                out,
                "(others): there were too many groups to tell apart; group by fewer keys, or narrow --where"
            )?;
        }
        if let (Some(seconds), None) = (part.seconds, part.time) {
            let span = format_span(((seconds * 1e3).round() as u64).saturating_mul(1_000_000));
            writeln!(out, "{} flows in {span}", self.counting.groups.total().flows)?;
        }
        Ok(())
    }

    fn json_line(&self, part: &Part<'_>, names: &[(&str, &str)], count: &Count) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut fields: Vec<(String, String)> = Vec::new();
        fields.extend(part.time.map(|time| (text("time"), text(time))));
        for (name, value) in names {
            // What is not told apart has no values.
            let value = if matches!(*name, "left_out" | "others") { "true".to_owned() } else { text(value) };
            fields.push((text(name), value));
        }
        let bytes = |value: String| if count.has_bytes { value } else { "null".to_owned() };
        fields.push((text("flows"), count.flows.to_string()));
        fields.push((text("bytes"), bytes(count.bytes.to_string())));
        fields.push((text("dropped"), count.dropped.to_string()));
        if let Some(seconds) = part.seconds {
            let rate = |value: u64| per_second(value, seconds).map_or("null".to_owned(), |rate| format!("{rate:.3}"));
            fields.push((text("seconds"), format!("{seconds:.3}")));
            fields.push((text("flows_per_second"), rate(count.flows)));
            fields.push((text("bytes_per_second"), bytes(rate(count.bytes))));
            fields.push((text("drops_per_second"), rate(count.dropped)));
        }
        if part.time.is_some() && names.is_empty() {
            fields.push((text("lost"), self.lost.to_string()));
        }
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("{{{}}}\n", fields.join(","))
    }
}

/// Numbers of a row: counts, and rates where there is a time.
fn cells(count: &Count, seconds: Option<f64>) -> Vec<String> {
    let bytes = if count.has_bytes { units::bytes(count.bytes) } else { "-".to_owned() };
    let mut cells = vec![count.flows.to_string(), bytes, count.dropped.to_string()];
    if let Some(seconds) = seconds {
        cells.extend(rates(count, seconds));
    }
    cells
}

/// Flows, bytes and drops of a second.
fn rates(count: &Count, seconds: f64) -> [String; 3] {
    let rate = |value: u64| per_second(value, seconds).map_or("-".to_owned(), units::rate);
    let bytes = match per_second(count.bytes, seconds) {
        Some(rate) if count.has_bytes => units::bytes(rate as u64),
        _ => "-".to_owned(),
    };
    [rate(count.flows), bytes, rate(count.dropped)]
}

/// `None` where no time passed.
fn per_second(value: u64, seconds: f64) -> Option<f64> {
    (seconds > 0.0).then(|| value as f64 / seconds)
}

fn nanos(time: Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

fn moment(nanos: i128) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).expect("below a second"),
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (nanos(to) - nanos(from)) as f64 / 1e9
}
