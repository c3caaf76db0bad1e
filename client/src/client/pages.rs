//! Lists, page by page.

use headland_proto::v1;

use super::{Client, call::Repeat};
use crate::error::{Error, ErrorKind};

/// Results asked for at once. Small enough that a page of large configs stays below the limit of a message.
pub(super) const PAGE_SIZE: i32 = 100;

/// Where in a list one is.
#[derive(Debug, Default)]
pub(super) struct Position {
    token: String,
    done: bool,
}

impl Position {
    /// Whether there is no next page.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The token of the next page.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Takes note of the next page's token. A token that comes back unchanged would make the list endless.
    pub(super) fn advance(&mut self, next: String) -> Result<(), Error> {
        if !next.is_empty() && next == self.token {
            return Err(Error::new(
                ErrorKind::Internal,
                "list: the control plane gave the same page token twice",
            ));
        }
        self.done = next.is_empty();
        self.token = next;
        Ok(())
    }
}

/// Distributions in order of id.
#[derive(Debug)]
pub struct Distributions<'c> {
    client: &'c Client,
    filter: v1::DistributionFilter,
    position: Position,
}

impl<'c> Distributions<'c> {
    pub(super) fn new(client: &'c Client, filter: v1::DistributionFilter) -> Self {
        Self { client, filter, position: Position::default() }
    }

    /// The next page; `None` after the last. A page can be empty.
    ///
    /// # Errors
    /// Failures of the call. Calling again repeats the page.
    pub async fn next_page(&mut self) -> Result<Option<Vec<v1::Distribution>>, Error> {
        if self.position.done {
            return Ok(None);
        }
        let request = v1::ListDistributionsRequest {
            page_size: PAGE_SIZE,
            page_token: self.position.token.clone(),
            filter: Some(self.filter.clone()),
        };
        let send = |request| {
            let mut stub = self.client.distributions.clone();
            async move { stub.list_distributions(request).await }
        };
        let page = self.client.call("list distributions", Repeat::WhenTransient, request, send).await?;
        self.position.advance(page.next_page_token)?;
        Ok(Some(page.distributions))
    }

    /// All that is left.
    ///
    /// # Errors
    /// Failures of a call.
    pub async fn all(mut self) -> Result<Vec<v1::Distribution>, Error> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// Edges in order of id.
#[derive(Debug)]
pub struct Edges<'c> {
    client: &'c Client,
    position: Position,
}

impl<'c> Edges<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        Self { client, position: Position::default() }
    }

    /// The next page; `None` after the last. A page can be empty.
    ///
    /// # Errors
    /// Failures of the call. Calling again repeats the page.
    pub async fn next_page(&mut self) -> Result<Option<Vec<v1::Edge>>, Error> {
        if self.position.done {
            return Ok(None);
        }
        let request = v1::ListEdgesRequest { page_size: PAGE_SIZE, page_token: self.position.token.clone() };
        let send = |request| {
            let mut stub = self.client.edges.clone();
            async move { stub.list_edges(request).await }
        };
        let page = self.client.call("list edges", Repeat::WhenTransient, request, send).await?;
        self.position.advance(page.next_page_token)?;
        Ok(Some(page.edges))
    }

    /// All that is left.
    ///
    /// # Errors
    /// Failures of a call.
    pub async fn all(mut self) -> Result<Vec<v1::Edge>, Error> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_and_never_runs_in_circles() {
        let mut position = Position::default();
        position.advance("a".into()).expect("a second page");
        assert!(!position.done);
        assert!(position.advance("a".into()).is_err());
        position.advance(String::new()).expect("the end");
        assert!(position.done);
    }
}
