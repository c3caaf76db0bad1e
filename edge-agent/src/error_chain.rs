//! Prints an error with its sources, once, where it is handled.

use std::{error::Error, fmt};

/// An error and what caused it, on one line.
#[derive(Debug)]
pub struct ErrorChain<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Some libraries repeat their source.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_source_is_told_once() {
        let inner = Layer("connection refused", None);
        let middle = Layer("connect: connection refused", Some(inner.into()));
        let outer = Layer("reach the control plane", Some(middle.into()));
        assert_eq!(ErrorChain(&outer).to_string(), "reach the control plane: connect: connection refused");
    }
}
