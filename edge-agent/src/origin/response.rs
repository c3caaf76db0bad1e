//! Bodies of origins' responses: read by hyper, or from a wire.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::wire::WireBody;

/// The body of a response.
#[derive(Debug)]
pub enum ResponseBody {
    /// By hyper.
    Hyper(Incoming),
    /// From a wire.
    Wire(WireBody),
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
    /// The connection ended.
    #[error("the connection ended before the body did")]
    Early,
}

impl ResponseBody {
    /// All of it, if it is known to have come whole.
    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Hyper(_) => None,
            Self::Wire(body) => body.whole(),
        }
    }

    /// Whether it is time that others have their turn. hyper sees to that itself.
    pub(super) fn has_had_its_turn(&mut self) -> bool {
        match self {
            Self::Hyper(_) => false,
            Self::Wire(body) => body.has_had_its_turn(),
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Hyper(body) => body.is_end_stream(),
            Self::Wire(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Hyper(body) => body.size_hint(),
            Self::Wire(body) => body.size_hint(),
        }
    }
}
