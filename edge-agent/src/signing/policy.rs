//! Policies: the canned one, which is built anew from the URL, and custom ones, which come with the request.

use std::{borrow::Cow, net::IpAddr};

use serde::Deserialize;

use super::{Denial, Url, address::Network};

/// Digits of a time, in seconds since 1970.
const EPOCH_DIGITS_MAX: usize = 15;

/// The canned policy for a URL, byte for byte as signers write it.
pub(super) fn canned(url: &Url<'_>, expires: &str) -> String {
    let query = url.query.map_or(["", ""], |query| ["?", query]).concat();
    [
        r#"{"Statement":[{"Resource":""#,
        url.scheme,
        "://",
        url.authority,
        url.path,
        &query,
        r#"","Condition":{"DateLessThan":{"AWS:EpochTime":"#,
        expires,
        "}}}]}",
    ]
    .concat()
}

/// Reads a time as parameters have it.
pub(super) fn epoch(text: &str) -> Option<u64> {
    let is_number =
        !text.is_empty() && text.len() <= EPOCH_DIGITS_MAX && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// A custom policy. What it says beside this is not understood, and it is refused for that: it may have been meant as a restriction.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// The URLs it is for; `None`: all that the key is trusted for.
    pub(super) resource: Option<String>,
    until: u64,
    from: Option<u64>,
    source: Option<Network>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "Statement")]
    statement: Statements,
}

/// The guide has an object, the SDKs have a list of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Statements {
    One(Statement),
    List(Vec<Statement>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Resource")]
    resource: Option<String>,
    #[serde(rename = "Condition")]
    condition: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "DateLessThan")]
    date_less_than: Epoch,
    #[serde(rename = "DateGreaterThan")]
    date_greater_than: Option<Epoch>,
    #[serde(rename = "IpAddress")]
    ip_address: Option<SourceIp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Epoch {
    #[serde(rename = "AWS:EpochTime")]
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceIp {
    #[serde(rename = "AWS:SourceIp")]
    network: String,
}

impl Policy {
    /// Reads a policy; `None` if it is none, or says what is not understood.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = with_escapes(std::str::from_utf8(text).ok()?);
        let document: Document = serde_json::from_str(&text).ok()?;
        let statement = match document.statement {
            Statements::One(statement) => statement,
            Statements::List(list) => <[Statement; 1]>::try_from(list).ok().map(|[one]| one)?,
        };
        let condition = statement.condition;
        let source = match condition.ip_address {
            None => None,
            Some(source) => Some(Network::parse(&source.network)?),
        };
        Some(Self {
            resource: statement.resource,
            until: condition.date_less_than.seconds,
            from: condition.date_greater_than.map(|from| from.seconds),
            source,
        })
    }

    /// Whether its conditions are met, by a viewer at this address if that is known.
    pub(super) fn holds(&self, now: u64, address: Option<IpAddr>) -> Result<(), Denial> {
        if now >= self.until {
            return Err(Denial::Expired);
        }
        if self.from.is_some_and(|from| now < from) {
            return Err(Denial::NotYetValid);
        }
        match (self.source, address) {
            (Some(network), Some(address)) if !network.contains(address) => Err(Denial::Address),
            _ => Ok(()),
        }
    }
}

/// `\?` is how the guide has the question mark of a query, but in JSON a backslash has to be written twice. Both are meant alike.
fn with_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains("\\?") && !text.contains("\\*") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' {
            match chars.next() {
                Some(c @ ('?' | '*')) => out.extend(['\\', c]),
                Some(c) => out.push(c),
                None => {}
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canned_policy_is_cloudfronts() {
        let url = Url {
            scheme: "https",
            authority: "d111111abcdef8.cloudfront.net",
            path: "/horizon.jpg",
            query: Some("size=large&license=yes"),
        };
        let text = canned(&url, "1357034400");
        assert_eq!(text.len(), 161);
        assert_eq!(
            super::super::encoding::encode(text.as_bytes()),
            "eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC9ob3Jpem9uLmpwZz9zaXpl\
             PWxhcmdlJmxpY2Vuc2U9eWVzIiwiQ29uZGl0aW9uIjp7IkRhdGVMZXNzVGhhbiI6eyJBV1M6RXBvY2hUaW1lIjoxMzU3MDM0NDAwfX19XX0_"
        );
        let plain = canned(&Url { query: None, ..url }, "1");
        assert!(plain.contains(r#"horizon.jpg","Condition""#), "{plain}");
    }

    #[test]
    fn a_custom_policy_of_the_guide_is_understood() {
        let encoded = "eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC90cmFpbmluZy8qIiwiQ29uZGl0\
                       aW9uIjp7IklwQWRkcmVzcyI6eyJBV1M6U291cmNlSXAiOiIxOTIuMC4yLjAvMjQifSwiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjE2NzUxNTkyMDB9fX1dfQ__";
        let text = super::super::encoding::decode(encoded, 4096).expect("encoded");
        let policy = Policy::parse(&text).expect("a policy");
        assert_eq!(policy.resource.as_deref(), Some("https://d111111abcdef8.cloudfront.net/training/*"));
        let address = |text: &str| Some(text.parse().expect("address"));
        assert_eq!(policy.holds(1_675_159_199, address("192.0.2.9")), Ok(()));
        assert_eq!(policy.holds(1_675_159_200, address("192.0.2.9")), Err(Denial::Expired));
        assert_eq!(policy.holds(1_675_159_199, address("192.0.3.9")), Err(Denial::Address));
        assert_eq!(policy.holds(1_675_159_199, None), Ok(()));
    }

    #[test]
    fn statements_have_many_forms_and_one_meaning() {
        let window =
            r#""Condition":{"DateGreaterThan":{"AWS:EpochTime":5},"DateLessThan":{"AWS:EpochTime":9}}"#;
        for text in [
            format!(r#"{{"Statement":{{{window},"Resource":"*"}}}}"#),
            format!("{{ \"Statement\" : [\n{{ {window} , \"Resource\" : \"*\" }} ]\r\n}}\n"),
        ] {
            let policy = Policy::parse(text.as_bytes()).expect("a policy");
            let at = |now| policy.holds(now, None);
            assert_eq!(policy.resource.as_deref(), Some("*"));
            assert_eq!((at(4), at(5), at(8)), (Err(Denial::NotYetValid), Ok(()), Ok(())));
            assert_eq!(at(9), Err(Denial::Expired));
        }
        let all = Policy::parse(format!(r#"{{"Statement":[{{{window}}}]}}"#).as_bytes());
        assert_eq!(all.expect("a policy").resource, None);
        for escaped in [r#""a\?b""#, r#""a\\?b""#] {
            let text = format!(r#"{{"Statement":[{{{window},"Resource":{escaped}}}]}}"#);
            let policy = Policy::parse(text.as_bytes()).expect("a policy");
            assert_eq!(policy.resource.as_deref(), Some(r"a\?b"));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let until = r#""DateLessThan":{"AWS:EpochTime":9}"#;
        for text in [
            String::new(),
            "{}".into(),
            r#"{"Statement":[]}"#.into(),
            r#"{"Statement":[{"Resource":"*","Condition":{}}]}"#.into(),
            r#"{"Statement":[{"Resource":"*"}]}"#.into(),
            format!(r#"{{"Statement":[{{"Condition":{{{until}}}}},{{"Condition":{{{until}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Effect":"Deny","Condition":{{{until}}}}}]}}"#),
            format!(
                r#"{{"Statement":[{{"Condition":{{{until},"Bool":{{"aws:SecureTransport":"true"}}}}}}]}}"#
            ),
            format!(r#"{{"Statement":[{{"Condition":{{{until},{until}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Condition":{{{until},"IpAddress":{{"AWS:SourceIp":"x"}}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Condition":{{{until}}}}}]}} x"#),
            r#"{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":-1}}}]}"#.into(),
            r#"{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":"9"}}}]}"#.into(),
        ] {
            assert_eq!(Policy::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_are_digits() {
        assert_eq!(epoch("1357034400"), Some(1_357_034_400));
        for text in ["", "-1", "+1", "1.0", "1e9", " 1", "9999999999999999"] {
            assert_eq!(epoch(text), None, "{text}");
        }
    }
}
