//! Tags on the command line: `team=web`.

use std::{collections::BTreeMap, str::FromStr};

use headland::v1;

/// `--tag` of lists.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Filter {
    /// Only what has this tag, with this value if one is given; may be repeated
    #[arg(long = "tag", value_name = "KEY[=VALUE]")]
    tags: Vec<String>,
}

impl Filter {
    /// As it is sent.
    pub(super) fn wire(&self) -> Vec<v1::TagFilter> {
        let split = |tag: &String| match tag.split_once('=') {
            Some((key, value)) => v1::TagFilter { key: key.into(), value: Some(value.into()) },
            None => v1::TagFilter { key: tag.clone(), value: None },
        };
        self.tags.iter().map(split).collect()
    }
}

/// A tag to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
        Ok(Self { key: key.into(), value: value.into() })
    }
}

/// Tags as they stand in a table.
pub(super) fn text(tags: &BTreeMap<String, String>) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
