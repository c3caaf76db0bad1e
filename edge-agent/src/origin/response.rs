//! Bodies of origins' responses: read by hyper, or from a wire.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::wire::WireBody;

/// The body of a response.
#[derive(Debug)]
pub enum ResponseBody {
    /// By hyper.
    Hyper(Incoming),
    /// From a wire.
    Wire(WireBody),
    /// Either, for as long as a response may take.
    Limited(Box<Limited>),
}

/// A body that has to be complete in time.
#[derive(Debug)]
pub struct Limited {
    body: ResponseBody,
    overdue: Pin<Box<Sleep>>,
}

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// Read by hyper.
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
    /// The connection broke.
    #[error("read from the connection")]
    Io(#[from] io::Error),
    /// It took too long, though it never stopped.
    #[error("the response was not complete in time")]
    Overdue,
    /// The connection ended.
    #[error("the connection ended before the body did")]
    Early,
}

impl ResponseBody {
    /// The same, which breaks off at this time.
    pub(super) fn until(self, overdue: Instant) -> Self {
        Self::Limited(Box::new(Limited { body: self, overdue: Box::pin(sleep_until(overdue)) }))
    }

    /// All of it, if it is known to have come whole.
    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Hyper(_) => None,
            Self::Wire(body) => body.whole(),
            Self::Limited(limited) => limited.body.whole(),
        }
    }

    /// Whether it is time that others have their turn. hyper sees to that itself.
    pub(super) fn has_had_its_turn(&mut self) -> bool {
        match self {
            Self::Hyper(_) => false,
            Self::Wire(body) => body.has_had_its_turn(),
            Self::Limited(limited) => limited.body.has_had_its_turn(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        match self.get_mut() {
            Self::Hyper(body) => {
                Pin::new(body).poll_frame(cx).map(|next| next.map(|frame| frame.map_err(Into::into)))
            }
            Self::Wire(body) => Pin::new(body).poll_frame(cx),
            Self::Limited(limited) => {
                let Limited { body, overdue } = &mut **limited;
                match overdue.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(ResponseError::Overdue))),
                    Poll::Pending => Pin::new(body).poll_frame(cx),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Hyper(body) => body.is_end_stream(),
            Self::Wire(body) => body.is_end_stream(),
            Self::Limited(limited) => limited.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Hyper(body) => body.size_hint(),
            Self::Wire(body) => body.size_hint(),
            Self::Limited(limited) => limited.body.size_hint(),
        }
    }
}
