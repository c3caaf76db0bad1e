//! Texts with several documents, of whatever kind.

use serde::{Deserialize, de::IgnoredAny};
use serde_saphyr::Spanned;

use super::{DocumentKind, locate::Place};
use crate::error::{Error, ErrorKind};

/// The documents of a text, which lines that begin with `---` part. Each has as many empty lines before it as there are lines before
/// it in the text, so that every place in it is the place in the text. What says nothing is left out.
#[must_use]
pub fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (before, line) in text.lines().enumerate() {
        // A document ends there even inside a block of text (YAML 1.2.2, section 9.1.2).
        let mark = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if let Some(rest) = mark {
            documents.push("\n".repeat(before));
            push_line(&mut documents, &format!("   {rest}"));
        } else {
            push_line(&mut documents, line);
        }
    }
    let says = |document: &String| {
        let mut lines = document.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with(['#', '%']) && line != "...")
    };
    documents.retain(says);
    documents
}

fn push_line(documents: &mut [String], line: &str) {
    if let Some(last) = documents.last_mut() {
        last.push_str(line);
        last.push('\n');
    }
}

/// What a document is about, if it does not say it: a bare distribution is known by what all of them have.
#[derive(Deserialize)]
struct Head {
    kind: Option<Spanned<String>>,
    config: Option<IgnoredAny>,
    origins: Option<IgnoredAny>,
    default_cache_behavior: Option<IgnoredAny>,
}

/// What a document says that it is, and where it says so.
pub(super) fn said_kind(document: &str) -> Option<(String, Place)> {
    let kind = serde_saphyr::from_str::<Head>(document).ok()?.kind?;
    Some((kind.value, (kind.referenced.line(), kind.referenced.column())))
}

fn kinds() -> String {
    DocumentKind::ALL.map(DocumentKind::as_str).join(", ")
}

/// What a document is about: what `kind` says, or a distribution if it looks like one. `name` is what the file is called in messages.
///
/// # Errors
/// When it is not YAML, or does not say of what kind it is.
pub fn kind_of(name: &str, document: &str) -> Result<DocumentKind, Error> {
    let line = document.lines().take_while(|line| line.trim().is_empty()).count() + 1;
    let unknown = |place: String, what: String| {
        Error::new(ErrorKind::Spec, format!("read {name}:{place}: {what}")).with_hint(format!(
            "begin with `kind:` and one of {}, and write the rest below `config:`",
            kinds()
        ))
    };
    let Ok(head) = serde_saphyr::from_str::<Head>(document) else {
        // Whatever is wrong is found again, and said better, when the whole of it is read.
        return Ok(DocumentKind::Distribution);
    };
    let looks_like_one = head.origins.is_some() || head.default_cache_behavior.is_some();
    match head.kind {
        None if head.config.is_some() || looks_like_one => Ok(DocumentKind::Distribution),
        None => Err(unknown(line.to_string(), "kind: is missing".into())),
        Some(kind) => {
            let place = format!("{}:{}", kind.referenced.line(), kind.referenced.column());
            let known = DocumentKind::ALL.into_iter().find(|known| known.as_str() == kind.value);
            let known =
                known.ok_or_else(|| unknown(place.clone(), format!("kind: {:?} is unknown", kind.value)))?;
            match head.config {
                Some(_) => Ok(known),
                None => {
                    Err(unknown(place, "kind: what it says is missing, which stands below `config:`".into()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Source;

    #[test]
    fn documents_keep_their_places() {
        let text = "%YAML 1.2\n---\n# first\ncomment: a\n---\n\n--- # second\nkind: distribution\nconfig:\n  text: |\n    --- no mark\n...\n---\n# nothing\n";
        let documents = documents(text);
        assert_eq!(documents.len(), 2, "{documents:?}");
        let error = <Source>::parse("x.yaml", &documents[1]).expect_err("no such field");
        assert!(error.to_string().starts_with("read x.yaml:10:3: config: unknown field `text`"), "{error}");
    }

    #[test]
    fn kinds_are_said_or_seen() {
        for (text, expected) in [
            ("kind: cache-policy\nconfig: {name: x}\n", Ok(DocumentKind::CachePolicy)),
            ("config: {name: x}\n", Ok(DocumentKind::Distribution)),
            ("{\"origins\": []}", Ok(DocumentKind::Distribution)),
            ("\n\nname: x\n", Err("read f:3: kind: is missing")),
            ("\nkind: policy\nconfig: {}\n", Err("read f:2:7: kind: \"policy\" is unknown")),
            ("kind: cache-policy\nname: x\n", Err("read f:1:7: kind: what it says is missing")),
        ] {
            match (kind_of("f", text), expected) {
                (Ok(kind), Ok(expected)) => assert_eq!(kind, expected, "{text}"),
                (Err(error), Err(expected)) => assert!(error.to_string().starts_with(expected), "{error}"),
                (kind, _) => panic!("{kind:?} of {text}"),
            }
        }
    }
}
