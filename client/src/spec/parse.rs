//! Reading a spec: what it says, where it says it, and what is wrong with it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_saphyr::MessageFormatter;

use super::{
    CachePolicySpec, DistributionDocument, DistributionSpec, DocumentKind, KeyGroupSpec,
    OriginRequestPolicySpec, PolicyDocument, PublicKeySpec, ResponseHeadersPolicySpec,
    locate::{Node, Place},
    stream,
};
use crate::error::{Error, ErrorKind, Violation};

/// What a file can hold: as such, or as the `config` of the document that `get` prints.
pub trait Spec: DeserializeOwned {
    /// What `get` prints.
    type Document: DeserializeOwned;

    /// What it is a spec of.
    const KIND: DocumentKind;

    /// Id, etag and spec of a document.
    fn of(document: Self::Document) -> (String, String, Self);
}

impl Spec for DistributionSpec {
    const KIND: DocumentKind = DocumentKind::Distribution;

    type Document = Box<DistributionDocument>;

    fn of(document: Self::Document) -> (String, String, Self) {
        (document.id, document.etag, document.config)
    }
}

/// Of everything else there is the same document.
macro_rules! spec {
    ($Spec:ident, $Kind:ident) => {
        impl Spec for $Spec {
            const KIND: DocumentKind = DocumentKind::$Kind;

            type Document = PolicyDocument<Self>;

            fn of(document: Self::Document) -> (String, String, Self) {
                (document.id, document.etag, document.config)
            }
        }
    };
}

spec!(CachePolicySpec, CachePolicy);
spec!(OriginRequestPolicySpec, OriginRequestPolicy);
spec!(ResponseHeadersPolicySpec, ResponseHeadersPolicy);
spec!(PublicKeySpec, PublicKey);
spec!(KeyGroupSpec, KeyGroup);

/// A spec file that could be read. YAML or, since every JSON document is one of YAML, JSON.
#[derive(Debug)]
pub struct Source<S = DistributionSpec> {
    name: String,
    root: Node,
    id: String,
    etag: String,
    spec: S,
}

impl Source {
    /// Largest file that is read. Four times the largest config: comments and indentation take room.
    pub const BYTES_MAX: usize = 4 * headland_proto::limits::CONFIG_BYTES_MAX;
}

impl<S: Spec> Source<S> {
    /// Reads a spec: a config as such, or a whole document as `get` prints it. `name` is what the file is called in
    /// messages.
    ///
    /// # Errors
    /// When it is not YAML or holds what no spec does; the message names line, column and field.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let failed = |root: Option<&Node>, e: &serde_saphyr::Error| unreadable(name, root, e);
        let root: Node = serde_saphyr::from_str(text).map_err(|e| failed(None, &e))?;
        if let Some((kind, (line, column))) =
            stream::said_kind(text).filter(|(kind, _)| kind != S::KIND.as_str())
        {
            let message = format!("read {name}:{line}:{column}: kind: is {kind}, not {}", S::KIND);
            return Err(Error::new(ErrorKind::Spec, message).with_hint(
                "headland apply takes files of every kind; the other commands take those of their own",
            ));
        }
        let (id, etag, spec) = if root.field("config").is_some() {
            S::of(read(text).map_err(|e| failed(Some(&root), &e))?)
        } else {
            (String::new(), String::new(), read(text).map_err(|e| failed(Some(&root), &e))?)
        };
        Ok(Self { name: name.to_owned(), root, id, etag, spec })
    }

    /// What the file is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the operator asks for.
    #[must_use]
    pub fn spec(&self) -> &S {
        &self.spec
    }

    /// The id in a whole document.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| !id.is_empty())
    }

    /// The etag in a whole document: the state that the change was made against.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        Some(self.etag.as_str()).filter(|etag| !etag.is_empty())
    }

    /// A violation that the control plane found, with its place in this file: `config.comment` becomes `comment` at
    /// `site.yaml:3:10`, or at the nearest field above it that is there.
    #[must_use]
    pub fn locate(&self, violation: Violation) -> Violation {
        let in_config = violation.field.strip_prefix("config").map(|f| f.trim_start_matches('.'));
        let config = self.root.field("config").unwrap_or(&self.root);
        let node = match in_config {
            Some(field) => Some(config.nearest(field)),
            None => self.root.field(&violation.field),
        };
        Violation {
            place: node.map(|n| format!("{}:{}:{}", self.name, n.place.0, n.place.1)),
            description: in_spec_words(&violation.description),
            field: in_config.unwrap_or(&violation.field).to_owned(),
        }
    }
}

/// Choices named as on the wire (`HTTP_ONLY`), in the words of a spec (`http-only`).
#[must_use]
pub fn in_spec_words(description: &str) -> String {
    const CHOICES: &[&str] = &[
        "ALL",
        "ALL_EXCEPT",
        "ALL_VIEWER",
        "ALL_VIEWER_AND_WHITELIST_CLOUDFRONT",
        "ALLOW_ALL",
        "ALWAYS",
        "BLACKLIST",
        "CLOUDFRONT",
        "HTTPS_ONLY",
        "HTTP_ONLY",
        "MATCH_VIEWER",
        "NEVER",
        "NONE",
        "NO_OVERRIDE",
        "OFF",
        "REDIRECT_TO_HTTPS",
        "RFC9111",
        "WHERE_OFFERED",
        "WHITELIST",
    ];
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(description.len());
    let mut rest = description;
    while !rest.is_empty() {
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(word);
        if CHOICES.contains(&head) {
            out.push_str(&head.to_ascii_lowercase().replace('_', "-"));
        } else {
            out.push_str(head);
        }
        let gap = tail.find(is_word).unwrap_or(tail.len());
        out.push_str(&tail[..gap]);
        rest = &tail[gap..];
    }
    out
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}

fn unreadable(name: &str, root: Option<&Node>, error: &serde_saphyr::Error) -> Error {
    let place: Option<Place> = error.location().map(|l| (l.line(), l.column()));
    let path = place.and_then(|place| root?.path_at(place)).filter(|p| !p.is_empty());
    let mut message = format!("read {name}");
    if let Some((line, column)) = place {
        message.push_str(&format!(":{line}:{column}"));
    }
    if let Some(path) = path {
        message.push_str(&format!(": {path}"));
    }
    message.push_str(&format!(": {}", reason(error)));
    let failed = Error::new(ErrorKind::Spec, message).with_hint(
        "get ID -o yaml shows how a spec is written; the files in proto/headland/v1 say what each field means",
    );
    match snippet(name, error) {
        Some(snippet) => failed.with_snippet(snippet),
        None => failed,
    }
}

fn reason(error: &serde_saphyr::Error) -> String {
    let reason = serde_saphyr::UserMessageFormatter.format_message(error.without_snippet());
    reason
        .replace("expected sequence start", "expected a list")
        .replace("expected mapping start", "expected fields with their values")
        .replace("invalid u16", "expected a number from 1 to 65535")
}

/// The lines around the place, with a mark below it.
fn snippet(name: &str, error: &serde_saphyr::Error) -> Option<String> {
    let rendered = error.render_with_options(serde_saphyr::render_options! {
        formatter: &PlaceOnly,
        source_name: Some(name),
    });
    let (_message, lines) = rendered.split_once('\n')?;
    let lines: Vec<_> = lines.lines().map(str::trim_end).collect();
    Some(lines.join("\n"))
}

/// Leaves the message out of a snippet: it stands above already.
struct PlaceOnly;

impl MessageFormatter for PlaceOnly {
    fn format_message<'a>(&self, _: &'a serde_saphyr::Error) -> Cow<'a, str> {
        Cow::Borrowed("")
    }
}
