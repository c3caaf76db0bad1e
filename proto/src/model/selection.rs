//! Which headers, cookies and query parameters count.

use http::HeaderName;

use super::violation::Checker;
use crate::v1;

/// Which cookies or query parameters count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameSelection {
    /// None of them.
    None,
    /// Only those named.
    Whitelist(Vec<String>),
    /// All but those named.
    AllExcept(Vec<String>),
    /// All of them.
    All,
}

impl NameSelection {
    /// Whether the name counts. Case-sensitive.
    #[must_use]
    pub fn selects(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Whitelist(names) => names.iter().any(|n| n == name),
            Self::AllExcept(names) => names.iter().all(|n| n != name),
            Self::All => true,
        }
    }
}

pub(super) fn check_names(
    wire: Option<&v1::NameSelection>,
    default: NameSelection,
    names_max: usize,
    c: &mut Checker<'_>,
) -> NameSelection {
    use v1::name_selection::Mode;
    let Some(wire) = wire else { return default };
    let Ok(mode) = Mode::try_from(wire.mode) else {
        c.field("mode").violation("is unknown; use NONE, WHITELIST, ALL_EXCEPT or ALL");
        return default;
    };
    c.field("names").count_max(wire.names.len(), names_max);
    for (i, name) in wire.names.iter().enumerate() {
        let legal = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b";=&,\"".contains(&b));
        c.field("names")
            .index(i)
            .ensure(legal, || format!("{name:?} is not a name; write it as it stands in the request"));
        c.field("names")
            .index(i)
            .ensure(!wire.names[..i].contains(name), || format!("{name:?} is named twice"));
    }
    let listed = matches!(mode, Mode::Whitelist | Mode::AllExcept);
    c.field("names").ensure(listed || wire.names.is_empty(), || {
        "must be empty unless mode is WHITELIST or ALL_EXCEPT".into()
    });
    c.field("names").ensure(!listed || !wire.names.is_empty(), || {
        "must name at least one with mode WHITELIST or ALL_EXCEPT; use NONE or ALL instead".into()
    });
    match mode {
        Mode::Unspecified => default,
        Mode::None => NameSelection::None,
        Mode::Whitelist => NameSelection::Whitelist(wire.names.clone()),
        Mode::AllExcept => NameSelection::AllExcept(wire.names.clone()),
        Mode::All => NameSelection::All,
    }
}

/// Header names, sorted and without repetition, none of which `refused` gives a reason against.
pub(super) fn check_header_names(
    names: &[String],
    names_max: usize,
    refused: impl Fn(&HeaderName) -> Option<String>,
    c: &mut Checker<'_>,
) -> Vec<HeaderName> {
    c.count_max(names.len(), names_max);
    let mut headers = Vec::new();
    for (i, name) in names.iter().enumerate() {
        match name.parse::<HeaderName>() {
            Err(_) => c.index(i).violation(format!("{name:?} is not a header name")),
            Ok(header) if headers.contains(&header) => {
                c.index(i).violation(format!("{header} is named twice"));
            }
            Ok(header) => match refused(&header) {
                Some(reason) => c.index(i).violation(reason),
                None => headers.push(header),
            },
        }
    }
    headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    headers
}

/// Characters of all names that selections list.
pub(super) fn name_chars(selections: &[Option<&v1::NameSelection>]) -> usize {
    selections.iter().copied().flatten().flat_map(|selection| &selection.names).map(String::len).sum()
}
