//! What a `GetFlows` request asks for.

use std::sync::Arc;

use flow::Timestamp;
use proto::convert::checked_time;
use proto::filter::compile_for_flows;
use proto::mask::FieldMask;
use proto::observer::GetFlowsRequest;
use proto::status::with_causes;
use proto::{Details, wants_details};
use relay_index::{Order, Search};
use table::BatchFilter;
use tonic::Status;

/// A request, checked.
#[derive(Debug)]
pub(super) struct Ask {
    /// Which flows.
    pub(super) search: Search,
    /// Which of the past come first.
    pub(super) past: Past,
    /// Whether new ones follow.
    pub(super) follow: bool,
    /// How to write them.
    pub(super) form: Arc<Form>,
}

/// The part of the past that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// None.
    Nothing,
    /// The newest so many, told oldest first.
    Newest(usize),
    /// From the oldest on, so many at most.
    Oldest(usize),
}

/// How flows are written.
#[derive(Debug)]
pub(super) struct Form {
    /// Fields of flows that are filled in; all without one.
    pub(super) mask: Option<FieldMask>,
    /// Whether what Hubble has no field for goes along.
    pub(super) details: Details,
}

impl Past {
    /// How many at most, walked in which order.
    pub(super) const fn walk(self) -> Option<(usize, Order)> {
        match self {
            Self::Nothing => None,
            Self::Newest(count) => Some((count, Order::NewestFirst)),
            Self::Oldest(count) => Some((count, Order::OldestFirst)),
        }
    }
}

impl Ask {
    /// Checks a request.
    ///
    /// # Errors
    /// What Hubble's server answers: `INVALID_ARGUMENT` for `first` with `follow`, and `UNKNOWN` with the reason for a
    /// filter or a time that cannot be understood.
    pub(super) fn read(request: GetFlowsRequest) -> Result<Self, Status> {
        if request.first && request.follow {
            return Err(Status::invalid_argument("first cannot be specified with follow"));
        }
        let details = if wants_details(&request) { Details::Send } else { Details::Omit };
        let mask = request.field_mask.as_ref().filter(|m| !m.paths.is_empty()).map(|m| FieldMask::new(&m.paths));
        let past = past_of(&request);
        let unknown = |error: &dyn std::error::Error| Status::unknown(with_causes(error));
        let filter = compile_for_flows(request.whitelist, request.blacklist)
            .map(BatchFilter::from)
            .map_err(|error| unknown(&error))?;
        let time = |time: Option<prost_types::Timestamp>| time.map(checked_time).transpose().map_err(|e| unknown(&e));
        let (since, until) = (time(request.since)?, time(request.until)?);
        let search = Search { filter: Arc::new(filter), since, until, ..Search::default() };
        Ok(Self { search, past, follow: request.follow, form: Arc::new(Form { mask, details }) })
    }

    /// Whether a flow of this time is beyond the end of what is asked for.
    pub(super) fn is_over(&self, time: Timestamp) -> bool {
        self.search.until.is_some_and(|until| time > until)
    }
}

/// `since` decides where to begin; without it `first` and `number` do; with neither everything, or nothing when
/// following.
fn past_of(request: &GetFlowsRequest) -> Past {
    let number = usize::try_from(request.number).unwrap_or(usize::MAX);
    let limit = if number == 0 || request.follow { usize::MAX } else { number };
    if request.since.is_some() || request.first {
        Past::Oldest(limit)
    } else if number > 0 {
        Past::Newest(number)
    } else if request.follow {
        Past::Nothing
    } else {
        Past::Oldest(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64, first: bool, follow: bool, since: bool) -> GetFlowsRequest {
        let since = since.then(prost_types::Timestamp::default);
        GetFlowsRequest { number, first, follow, since, ..GetFlowsRequest::default() }
    }

    #[test]
    fn where_to_begin_and_when_to_end() {
        const ALL: usize = usize::MAX;
        for (number, first, follow, since, expected) in [
            (0, false, false, false, Past::Oldest(ALL)),
            (20, false, false, false, Past::Newest(20)),
            (20, true, false, false, Past::Oldest(20)),
            (0, true, false, false, Past::Oldest(ALL)),
            (20, false, false, true, Past::Oldest(20)),
            (20, true, false, true, Past::Oldest(20)),
            (0, false, false, true, Past::Oldest(ALL)),
            (0, false, true, false, Past::Nothing),
            (20, false, true, false, Past::Newest(20)),
            (20, false, true, true, Past::Oldest(ALL)),
        ] {
            let request = request(number, first, follow, since);
            assert_eq!(past_of(&request), expected, "number={number} first={first} follow={follow} since={since}");
        }
    }

    #[test]
    fn first_with_follow_is_refused_in_hubbles_words() {
        let error = Ask::read(request(0, true, true, false)).unwrap_err();
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        assert_eq!(error.message(), "first cannot be specified with follow");
    }

    #[test]
    fn a_bad_filter_is_refused() {
        let filter = proto::flow::FlowFilter { source_ip: vec!["10.0.0.300".to_owned()], ..Default::default() };
        let error = Ask::read(GetFlowsRequest { whitelist: vec![filter], ..Default::default() }).unwrap_err();
        assert_eq!(error.code(), tonic::Code::Unknown);
        let expected = r#"invalid IP address "10.0.0.300" in filter: unable to parse IP"#;
        assert_eq!(error.message(), expected);
    }
}
