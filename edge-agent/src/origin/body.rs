//! Bodies of requests to origins: the viewer's as it comes, at once or when the origin has asked for it (RFC 9110 section 10.1.1).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

/// How long a body waits for an origin that was asked whether it wants it. Many origins do not know the question, and a client must
/// not wait for ever (RFC 9110 section 10.1.1).
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request to an origin: none, or the viewer's.
#[derive(Debug, Default)]
pub struct OutgoingBody {
    viewer: Option<Incoming>,
    /// Grows with every piece that is sent.
    progress: Arc<AtomicU64>,
    expectation: Option<Waiting>,
}

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingBodyError {
    /// The viewer broke off.
    #[error("read the body of the viewer's request")]
    Viewer(#[from] hyper::Error),
    /// The origin has answered without asking for it.
    #[error("send the body: the origin has answered without it")]
    NotWanted,
}

/// A body that is held back until the origin asks for it. Until then the viewer's is not read either, and so the viewer is not asked
/// for it.
#[derive(Debug)]
struct Waiting {
    expectation: Arc<Expectation>,
    patience: Duration,
    /// Runs from the moment that the head has been sent.
    overdue: Option<Pin<Box<Sleep>>>,
}

/// Whether an origin wants the body that it was asked about.
#[derive(Debug, Default)]
pub struct Expectation {
    state: AtomicU8,
    changed: AtomicWaker,
}

/// The origin has said nothing yet.
const ASKED: u8 = 0;
/// It has asked for the body, or has said nothing for so long that it is sent all the same.
const WANTED: u8 = 1;
/// It has answered before: the viewer's body is let go, and the connection is kept until the response has been read.
const ANSWERED: u8 = 2;
/// The response has been read: a connection on which half a request was sent is of no more use.
const OVER: u8 = 3;

impl Expectation {
    /// The origin has said 100.
    pub(super) fn wanted(&self) {
        self.change(&[ASKED], WANTED);
    }

    /// The origin has sent the head of its response.
    pub(super) fn answered(&self) {
        self.change(&[ASKED], ANSWERED);
    }

    /// The response has been read, or is not of interest any more.
    pub(super) fn over(&self) {
        self.change(&[ASKED, ANSWERED], OVER);
    }

    fn change(&self, from: &[u8], to: u8) {
        let change = |state| from.contains(&state).then_some(to);
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok() {
            self.changed.wake();
        }
    }
}

impl Waiting {
    /// Ready when the body is to be sent, or is known never to be; whether `viewer` may go is seen on the way.
    fn poll(
        &mut self,
        viewer: &mut Option<Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutgoingBodyError>> {
        self.expectation.changed.register(cx.waker());
        match self.expectation.state.load(Ordering::Acquire) {
            ASKED => {}
            WANTED => return Poll::Ready(Ok(())),
            ANSWERED => {
                *viewer = None;
                return Poll::Pending;
            }
            _ => {
                *viewer = None;
                return Poll::Ready(Err(OutgoingBodyError::NotWanted));
            }
        }
        let overdue = self.overdue.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        ready!(overdue.as_mut().poll(cx));
        self.expectation.wanted();
        // The origin may have answered at this very moment.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl OutgoingBody {
    /// The viewer's body, or none.
    pub(super) fn new(viewer: Option<Incoming>) -> Self {
        Self { viewer, ..Self::default() }
    }

    /// Holds it back until the origin asks for it, or has been silent for [`CONTINUE_PATIENCE`], or for half of the silence that
    /// ends the request.
    pub(super) fn wait_for(&mut self, expectation: Arc<Expectation>, silence_max: Duration) {
        let patience = CONTINUE_PATIENCE.min(silence_max / 2);
        self.expectation = Some(Waiting { expectation, patience, overdue: None });
    }

    /// Is sent at once, whatever the origin was to be asked.
    pub(super) fn wait_no_longer(&mut self) {
        self.expectation = None;
    }

    /// Grows with every piece that is sent.
    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress)
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = OutgoingBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutgoingBodyError>>> {
        let this = self.get_mut();
        if let Some(waiting) = &mut this.expectation {
            let decided = ready!(waiting.poll(&mut this.viewer, cx));
            this.expectation = None;
            // From here on it is the origin's turn again to say something in time.
            this.progress.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = decided {
                return Poll::Ready(Some(Err(error)));
            }
        }
        let Some(body) = &mut this.viewer else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(cx);
        if frame.is_ready() {
            this.progress.fetch_add(1, Ordering::Relaxed);
        }
        frame.map_err(OutgoingBodyError::from)
    }

    fn is_end_stream(&self) -> bool {
        self.expectation.is_none() && self.viewer.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.viewer {
            Some(viewer) => viewer.size_hint(),
            None if self.expectation.is_some() => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn held_back() -> (OutgoingBody, Arc<Expectation>) {
        let expectation = Arc::new(Expectation::default());
        let mut body = OutgoingBody::default();
        body.wait_for(Arc::clone(&expectation), Duration::from_secs(30));
        (body, expectation)
    }

    async fn next(body: &mut OutgoingBody) -> Option<Result<Frame<Bytes>, OutgoingBodyError>> {
        poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_until_the_origin_asks_for_it() {
        let (mut body, expectation) = held_back();
        assert!(!body.is_end_stream());
        let asked = tokio::time::Instant::now();
        let (frame, ()) = tokio::join!(next(&mut body), async {
            sleep(CONTINUE_PATIENCE / 2).await;
            expectation.wanted();
        });
        assert!(frame.is_none(), "nothing of no body");
        assert_eq!(asked.elapsed(), CONTINUE_PATIENCE / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_sent_to_an_origin_that_says_nothing() {
        let (mut body, expectation) = held_back();
        let asked = tokio::time::Instant::now();
        assert!(next(&mut body).await.is_none());
        assert_eq!(asked.elapsed().as_secs(), CONTINUE_PATIENCE.as_secs());
        // What comes later changes nothing.
        expectation.answered();
        expectation.over();
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_never_sent_to_an_origin_that_has_answered() {
        let (mut body, expectation) = held_back();
        let ((), frame) = tokio::join!(
            async {
                expectation.answered();
                sleep(CONTINUE_PATIENCE * 2).await;
                expectation.over();
            },
            next(&mut body)
        );
        assert!(matches!(frame, Some(Err(OutgoingBodyError::NotWanted))));
    }
}
