//! The answer to a request, as hyper takes it. From the cache it is there already.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;

use crate::viewer::body::ViewerBody;

/// The answer to a request.
pub(crate) struct Answer(AnswerState);

enum AnswerState {
    Now(Option<Response<ViewerBody>>),
    Later(Pin<Box<dyn Future<Output = Response<ViewerBody>>>>),
}

impl Answer {
    /// It is there.
    pub(crate) fn now(response: Response<ViewerBody>) -> Self {
        Self(AnswerState::Now(Some(response)))
    }

    /// It will be.
    pub(super) fn later(response: impl Future<Output = Response<ViewerBody>> + 'static) -> Self {
        Self(AnswerState::Later(Box::pin(response)))
    }

    /// The same, changed.
    pub(super) fn then(
        self,
        change: impl FnOnce(Response<ViewerBody>) -> Response<ViewerBody> + 'static,
    ) -> Self {
        match self.0 {
            AnswerState::Now(response) => Self(AnswerState::Now(response.map(change))),
            AnswerState::Later(response) => Self::later(async move { change(response.await) }),
        }
    }
}

impl Future for Answer {
    type Output = Result<Response<ViewerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            AnswerState::Now(response) => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            AnswerState::Later(response) => response.as_mut().poll(cx).map(Ok),
        }
    }
}
