//! Filter conditions: what the chips show, the address bar keeps and the relay is asked for.

use flow::filter::Selection;

use crate::parts::shell::quote;

/// Prefix of a parameter that excludes.
const NOT: &str = "not-";

/// One condition: flows must have, or with `negated` must not have, this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) negated: bool,
}

impl Condition {
    /// A condition that includes.
    pub(crate) fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), negated: false }
    }

    /// Reads what a person typed: `name=value`, `name:value`, `-name=value`, `!name=value`, or a bare value whose kind
    /// can be told. `None` for nothing, or a name without value. A switch that is off, such as `encrypted=false`, means
    /// what the opposite of the switch says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negated, text) = match text.strip_prefix(['-', '!']) {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        let (name, value) = match split(text) {
            Some((name, value)) => (name.to_ascii_lowercase().replace('_', "-"), value.trim()),
            // Neither a name with a value nor a bare value.
            None if text.contains(['=', ' ']) => return None,
            None => (kind_of(text).to_owned(), text),
        };
        let (name, negated) = match name.strip_prefix(NOT) {
            Some(rest) => (rest.to_owned(), !negated),
            None => (name, negated),
        };
        if name.is_empty() || value.is_empty() {
            return None;
        }
        if is_off(&name, value) {
            return Some(Self { name, value: "true".to_owned(), negated: !negated });
        }
        let value = if name == "verdict" || name == "protocol" { value.to_ascii_uppercase() } else { value.to_owned() };
        Some(Self { name, value, negated })
    }

    /// As the chip shows it and as it can be typed.
    pub(crate) fn text(&self) -> String {
        format!("{}{}={}", if self.negated { "-" } else { "" }, self.name, self.value)
    }

    /// Name of its parameter.
    fn parameter(&self) -> String {
        format!("{}{}", if self.negated { NOT } else { "" }, self.name)
    }

    /// Whether the relay understands it: it knows no identity `unknown`, which flows have all the same.
    pub(crate) fn is_understood(&self) -> bool {
        let is_unknown = self.name.ends_with("identity") && self.value == "unknown";
        !self.value.is_empty() && !is_unknown
    }

    /// Whether the relay refuses the two together, such as one of both sides beside one of a single side.
    fn clashes(&self, other: &Self) -> bool {
        self.negated == other.negated && Selection::clash((&self.name, &self.value), (&other.name, &other.value))
    }
}

/// Whether it is a switch that is off, which selects nothing.
fn is_off(name: &str, value: &str) -> bool {
    Selection::is_switch(name) && matches!(value, "false" | "0")
}

/// Splits at the first `=`, or at a `:` that ends a plain name; the colons of an IPv6 address do not. A name has digits
/// before `=` only: `ipv4=true`, but not `web1:8080`.
fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.find(['=', ':'])?;
    let (name, value) = (&text[..at], &text[at + 1..]);
    let digits = text[at..].starts_with('=');
    let may_have = |b: u8| b.is_ascii_alphabetic() || b == b'-' || b == b'_' || (digits && b.is_ascii_digit());
    let is_name = !name.is_empty() && name.bytes().all(may_have);
    let is_address = text.parse::<std::net::Ipv6Addr>().is_ok();
    (is_name && !is_address).then_some((name, value))
}

/// Name of the condition that a bare value stands for.
fn kind_of(value: &str) -> &'static str {
    const VERDICTS: [&str; 5] = ["FORWARDED", "DROPPED", "AUDIT", "REDIRECTED", "ERROR"];
    const PROTOCOLS: [&str; 8] = ["TCP", "UDP", "SCTP", "ICMP", "ICMPV4", "ICMPV6", "HTTP", "DNS"];
    let upper = value.to_ascii_uppercase();
    let address = value.split_once('/').map_or(value, |(address, _)| address);
    if value.parse::<u16>().is_ok() {
        "port"
    } else if address.parse::<std::net::IpAddr>().is_ok() {
        "ip"
    } else if VERDICTS.contains(&upper.as_str()) {
        "verdict"
    } else if PROTOCOLS.contains(&upper.as_str()) {
        "protocol"
    } else if value.contains('/') {
        "pod"
    } else if value.contains('.') || value.contains('*') {
        "fqdn"
    } else {
        "workload"
    }
}

/// All conditions, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions(pub(crate) Vec<Condition>);

impl Conditions {
    /// Adds a condition beside those that are there; one that is there already is not repeated. Its opposite gives way,
    /// and so does what the relay would refuse beside it.
    pub(crate) fn add(&mut self, condition: Condition) {
        self.0.retain(|c| !c.clashes(&condition));
        self.put(condition);
    }

    /// Asks for just these: as [`Conditions::add`], but other values of the same names give way too.
    pub(crate) fn narrow(&mut self, asked: &[Condition]) {
        self.0.retain(|c| asked.iter().all(|a| a.name != c.name || a.negated != c.negated));
        asked.iter().for_each(|condition| self.add(condition.clone()));
    }

    fn put(&mut self, condition: Condition) {
        self.0.retain(|c| c.name != condition.name || c.value != condition.value);
        self.0.push(condition);
    }

    /// Removes a condition.
    pub(crate) fn remove(&mut self, condition: &Condition) {
        self.0.retain(|c| c != condition);
    }

    /// Turns a condition into its opposite; what the relay would refuse beside that gives way.
    pub(crate) fn negate(&mut self, condition: &Condition) {
        let Some(at) = self.0.iter().position(|c| c == condition) else { return };
        let opposite = Condition { negated: !condition.negated, ..condition.clone() };
        self.0[at] = opposite.clone();
        self.0.retain(|c| !c.clashes(&opposite));
    }

    /// Takes one parameter of the address bar: `not-` excludes, commas separate values that cannot hold one. A link is
    /// taken as it is: what contradicts itself is for the relay to refuse, and what selects nothing is no condition.
    pub(crate) fn take_parameter(&mut self, name: &str, values: &str) {
        let (name, negated) = match name.strip_prefix(NOT) {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let whole = Selection::may_hold_commas(name);
        let values: Vec<&str> = if whole { vec![values] } else { values.split(',').collect() };
        for value in values.into_iter().filter(|value| !value.is_empty() && !is_off(name, value)) {
            self.put(Condition { name: name.to_owned(), value: value.to_owned(), negated });
        }
    }

    /// Parameters: one per name and sense, values separated by commas; one per value where that may hold a comma.
    pub(crate) fn to_parameters(&self) -> Vec<(String, String)> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for condition in &self.0 {
            let name = condition.parameter();
            match parameters.iter_mut().find(|(n, _)| *n == name) {
                Some((_, values)) if !Selection::may_hold_commas(&condition.name) => {
                    values.push(',');
                    values.push_str(&condition.value);
                }
                _ => parameters.push((name, condition.value.clone())),
            }
        }
        parameters
    }

    /// The same conditions as flags of `flowctl observe`, quoted for a shell.
    pub(crate) fn to_flags(&self) -> Vec<String> {
        let flag = |c: &Condition| {
            let not = if c.negated { "--not " } else { "" };
            // Flags of switches take no value: the next word would be one of its own.
            let value = if Selection::is_switch(&c.name) { String::new() } else { format!(" {}", quote(&c.value)) };
            format!("{not}--{}{value}", c.name)
        };
        self.0.iter().map(flag).collect()
    }
}

#[cfg(test)]
mod tests {
    use flow::filter::SelectionError;

    use super::*;

    #[track_caller]
    fn check(typed: &str, expected: &str) {
        assert_eq!(Condition::parse(typed).map(|c| c.text()).unwrap_or_default(), expected, "{typed}");
    }

    #[test]
    fn what_people_type() {
        check("namespace=shop", "namespace=shop");
        check("  Namespace : shop ", "");
        check("pod:shop/api", "pod=shop/api");
        check("-verdict=dropped", "-verdict=DROPPED");
        check("!port=53", "-port=53");
        check("not-port=53", "-port=53");
        check("from_pod=shop/web", "from-pod=shop/web");
        check("label=app=api", "label=app=api");
        check("ip=fd00::1", "ip=fd00::1");
        check("encrypted=false", "-encrypted=true");
        check("-ipv4=0", "ipv4=true");
        check("not-ipv6=true", "-ipv6=true");
        check("reply=false", "reply=false");
    }

    #[test]
    fn bare_values_are_recognised() {
        check("8080", "port=8080");
        check("10.0.0.0/8", "ip=10.0.0.0/8");
        check("fd00::1", "ip=fd00::1");
        check("::1", "ip=::1");
        check("dropped", "verdict=DROPPED");
        check("udp", "protocol=UDP");
        check("shop/web", "pod=shop/web");
        check("*.example.org", "fqdn=*.example.org");
        check("checkout", "workload=checkout");
        check("-checkout", "-workload=checkout");
    }

    #[test]
    fn nothing_is_no_condition() {
        for text in ["", " ", "-", "port=", "=x"] {
            check(text, "");
        }
    }

    #[test]
    fn values_of_one_name_share_a_parameter() {
        let mut conditions = Conditions::default();
        conditions.take_parameter("namespace", "shop,bank");
        conditions.take_parameter("not-port", "53");
        conditions.take_parameter("namespace", "mail");
        let expected = [("namespace", "shop,bank,mail"), ("not-port", "53")];
        assert_eq!(conditions.to_parameters(), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn commas_of_a_value_are_not_separators() {
        let mut conditions = Conditions::default();
        conditions.take_parameter("label", "tier in (a,b)");
        conditions.take_parameter("label", "app=web");
        let expected = [("label", "tier in (a,b)"), ("label", "app=web")];
        assert_eq!(conditions.to_parameters(), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    fn conditions(query: &str) -> Conditions {
        let mut conditions = Conditions::default();
        for (name, value) in crate::state::escape::pairs(query) {
            conditions.take_parameter(&name, &value);
        }
        conditions
    }

    fn texts(conditions: &Conditions) -> Vec<String> {
        conditions.0.iter().map(Condition::text).collect()
    }

    /// What is left of a filter after these were asked for.
    #[track_caller]
    fn check_narrowed(query: &str, asked: &[(&str, &str)], expected: &[&str]) {
        let mut filter = conditions(query);
        let asked: Vec<Condition> = asked.iter().map(|(name, value)| Condition::new(name, value)).collect();
        filter.narrow(&asked);
        assert_eq!(texts(&filter), expected, "{query}");
        assert_eq!(refused(&filter), None, "{query}");
    }

    /// What the relay says against a filter.
    fn refused(conditions: &Conditions) -> Option<SelectionError> {
        let mut selection = Selection::new();
        conditions.to_parameters().iter().find_map(|(name, values)| selection.add_parameter(name, values).err())
    }

    #[test]
    fn what_the_relay_refuses_beside_a_new_condition_gives_way() {
        let link =
            [("from-namespace", "shop"), ("from-workload", "web"), ("to-namespace", "bank"), ("to-workload", "db")];
        let all = ["from-namespace=shop", "from-workload=web", "to-namespace=bank", "to-workload=db"];
        check_narrowed("namespace=shop&workload=web", &link, &all);
        check_narrowed("ip=10.0.0.1&pod=shop/web-1", &link, &all);
        check_narrowed("to-fqdn=example.org&to-service=shop/db", &link, &all);
        check_narrowed("from-pod=mail/smtp", &link, &all);
        check_narrowed("from-namespace=shop", &[("from-ip", "10.0.0.1")], &["from-ip=10.0.0.1"]);
        check_narrowed("encrypted=true", &[("unencrypted", "true")], &["unencrypted=true"]);
    }

    #[test]
    fn what_agrees_with_a_new_condition_stays() {
        check_narrowed(
            "verdict=DROPPED&to-port=80&not-namespace=mail&from-pod=shop/web-1",
            &[("from-namespace", "shop"), ("from-workload", "web")],
            &[
                "verdict=DROPPED",
                "to-port=80",
                "-namespace=mail",
                "from-pod=shop/web-1",
                "from-namespace=shop",
                "from-workload=web",
            ],
        );
        let mut filter = conditions("colour=red&port=http");
        filter.narrow(&[Condition::new("to-workload", "db")]);
        assert_eq!(
            texts(&filter),
            ["colour=red", "port=http", "to-workload=db"],
            "by themselves the relay refuses them"
        );
    }

    #[test]
    fn narrowing_leaves_no_other_value_where_adding_does() {
        check_narrowed("to-port=80,443", &[("to-port", "443")], &["to-port=443"]);
        check_narrowed("ip=10.0.0.1", &[("ip", "1.1.1.1"), ("ip", "8.8.8.8")], &["ip=1.1.1.1", "ip=8.8.8.8"]);
        let mut filter = conditions("to-port=80");
        filter.add(Condition::new("to-port", "443"));
        assert_eq!(texts(&filter), ["to-port=80", "to-port=443"]);
    }

    #[test]
    fn turning_a_chip_leads_to_no_refusal() {
        let mut filter = conditions("namespace=shop&not-from-namespace=bank&port=80");
        filter.negate(&Condition { negated: true, ..Condition::new("from-namespace", "bank") });
        assert_eq!(texts(&filter), ["from-namespace=bank", "port=80"]);
    }

    #[test]
    fn a_link_is_taken_as_it_is() {
        let filter = conditions("namespace=shop&from-namespace=bank");
        assert_eq!(texts(&filter), ["namespace=shop", "from-namespace=bank"]);
        assert!(refused(&filter).is_some());
    }

    #[test]
    fn switches_are_on_or_absent() {
        let filter = conditions("encrypted=false&not-ipv6=true&reply=false");
        assert_eq!(texts(&filter), ["-ipv6=true", "reply=false"]);
        assert_eq!(filter.to_flags(), ["--not --ipv6", "--reply false"]);
    }

    #[test]
    fn a_condition_replaces_its_opposite() {
        let mut conditions = Conditions::default();
        conditions.add(Condition::new("port", "53"));
        conditions.add(Condition { negated: true, ..Condition::new("port", "53") });
        assert_eq!(conditions.0.len(), 1);
        assert!(conditions.0[0].negated);
    }
}
