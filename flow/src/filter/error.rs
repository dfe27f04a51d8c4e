//! Why a filter cannot be compiled.

use crate::Side;

/// A filter holds a value that cannot be understood. Texts are those of Hubble's server, so that scripts that look for
/// them keep working.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// An address is none.
    #[error("invalid IP address {text:?} in filter: unable to parse IP")]
    Address {
        /// The value as given.
        text: String,
    },
    /// A prefix is none.
    #[error("invalid IP prefix {text:?} in filter")]
    Prefix {
        /// The value as given.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ipnet::AddrParseError,
    },
    /// The length of a prefix has a leading zero.
    #[error("invalid IP prefix {text:?} in filter: bad bits after slash: a length has no leading zero")]
    PrefixLength {
        /// The value as given.
        text: String,
    },
    /// The name of a pod or cluster is empty.
    #[error("invalid filter, name must not be empty")]
    EmptyName,
    /// The name of a service is empty.
    #[error("invalid {side} service filter: invalid filter, name must not be empty")]
    EmptyService {
        /// Whose service.
        side: Side,
    },
    /// A label selector does not follow Kubernetes' language.
    #[error("invalid {of} label filter: unable to parse requirement {selector:?}")]
    Label {
        /// `source`, `destination` or `node`.
        of: &'static str,
        /// The selector as given.
        selector: String,
        /// What is wrong with it.
        #[source]
        source: LabelError,
    },
    /// A protocol has an unknown name.
    #[error("invalid protocol filter: unknown protocol: {name:?}")]
    Protocol {
        /// The value as given.
        name: String,
    },
    /// A port is not a number below 65536.
    #[error("invalid {side} port filter: invalid port {text:?}")]
    Port {
        /// Which port.
        side: Side,
        /// The value as given.
        text: String,
    },
    /// A status code is neither a code nor the start of one.
    #[error("invalid http status code filter: invalid status code prefix: {text:?}")]
    StatusCode {
        /// The value as given.
        text: String,
    },
    /// A regular expression cannot be compiled.
    #[error("invalid {of} filter: failed to compile regexp {expression:?}")]
    Regex {
        /// `DNS query`, `http path` or `http url`.
        of: &'static str,
        /// The expression as given.
        expression: String,
        /// What is wrong with it.
        #[source]
        source: Box<regex::Error>,
    },
    /// A regular expression is not one of RE2's.
    #[error("invalid {of} filter: failed to compile regexp {expression:?}: {problem}")]
    Re2 {
        /// `DNS query`, `http path` or `http url`.
        of: &'static str,
        /// The expression as given.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A regular expression is longer than anyone writes.
    #[error("invalid {of} filter: an expression of {bytes} bytes, {bytes_max} are the most")]
    LongExpression {
        /// `DNS query`, `http path` or `http url`.
        of: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest that is taken.
        bytes_max: usize,
    },
    /// All expressions together would take too much memory.
    #[error("the expressions of all filters are too large together; ask for fewer at once")]
    TooManyExpressions,
    /// HTTP fields are asked for, but no event type that carries them.
    #[error("filtering by http {field} requires the event type filter to only match 'l7' events")]
    NeedsL7 {
        /// `status code`, `method`, `path`, `url` or `headers`.
        field: &'static str,
    },
    /// A DNS or node name pattern is malformed.
    #[error("{pattern:?}: {problem}")]
    Pattern {
        /// The value as given.
        pattern: String,
        /// What is wrong with it.
        problem: PatternProblem,
    },
    /// An expression is malformed, or does not tell true from false.
    #[error("error compiling CEL expression: {problem}")]
    Cel {
        /// What is wrong with it, and where.
        problem: String,
    },
}

/// What is wrong with a DNS or node name pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// Nothing is left of it.
    #[error("empty pattern")]
    Empty,
    /// It ends with more than one dot.
    #[error("multiple trailing dots in pattern")]
    TrailingDots,
    /// It has more than one slash.
    #[error("too many slashes in pattern")]
    Slashes,
    /// It has a character no name has.
    #[error("{0:?}: invalid rune in pattern")]
    Character(char),
}

/// What is wrong with a label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Something else should stand here.
    #[error("found '{found}', expected: {expected}")]
    Unexpected {
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// The key is not a qualified name.
    #[error("invalid label key {0:?}")]
    Key(String),
    /// The value has characters no label value has, or is too long.
    #[error("invalid label value {0:?}")]
    Value(String),
    /// `>` and `<` compare integers.
    #[error("for 'Gt', 'Lt' operators, the value must be an integer, found {0:?}")]
    Integer(String),
}
