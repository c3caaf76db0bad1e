//! Questions to edges: each waits for one answer, over the edge's open stream, for a bounded time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use headland_proto::{limits::EXPLAIN_OUTSTANDING_MAX, v1};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use uuid::Uuid;

/// Longest wait for an edge's answer. It looks at its memory and nothing else.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// No edge with this id is known.
    #[error("find edge {0}")]
    Unknown(Uuid),
    /// Nobody was named, and nobody is there.
    #[error("find an edge to ask: none that serves is live and connected to this control plane")]
    NobodyLive,
    /// Its stream has ended, before or after the question was put.
    #[error("ask edge {0}: it is not connected to this control plane")]
    Gone(Uuid),
    /// It did not answer in time.
    #[error(
        "hear from edge {0} within {ANSWER_TIMEOUT:?}; edge agents of an older version do not answer questions"
    )]
    Silent(Uuid),
    /// Others are waiting for its answers.
    #[error("ask edge {0}: {EXPLAIN_OUTSTANDING_MAX} questions wait for its answers already")]
    Busy(Uuid),
}

/// Questions on their way to one edge, for the one who writes to its stream.
pub(crate) type Questions = mpsc::Receiver<v1::Explain>;

/// Where the questions to one stream are put and answered.
#[derive(Debug)]
pub(super) struct Desk {
    edge_id: Uuid,
    queue: mpsc::Sender<v1::Explain>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    closed: bool,
    last_id: u64,
    answers: HashMap<u64, oneshot::Sender<v1::Explanation>>,
}

impl Desk {
    pub(super) fn new(edge_id: Uuid) -> (Arc<Self>, Questions) {
        let (queue, questions) = mpsc::channel(EXPLAIN_OUTSTANDING_MAX);
        (Arc::new(Self { edge_id, queue, waiting: Mutex::default() }), questions)
    }

    /// Puts a question and waits for its answer.
    pub(super) async fn ask(&self, request: v1::ExplainRequest) -> Result<v1::Explanation, Unanswered> {
        let (place, answer) = self.put(request)?;
        let answered = timeout(ANSWER_TIMEOUT, answer).await;
        drop(place);
        match answered {
            Ok(Ok(explanation)) => Ok(explanation),
            Ok(Err(_)) => Err(Unanswered::Gone(self.edge_id)),
            Err(_) => Err(Unanswered::Silent(self.edge_id)),
        }
    }

    fn put(
        &self,
        request: v1::ExplainRequest,
    ) -> Result<(Place<'_>, oneshot::Receiver<v1::Explanation>), Unanswered> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Unanswered::Gone(self.edge_id));
        }
        if waiting.answers.len() >= EXPLAIN_OUTSTANDING_MAX {
            return Err(Unanswered::Busy(self.edge_id));
        }
        waiting.last_id += 1;
        let id = waiting.last_id;
        // Full of questions that were given up and that the stream has not taken yet.
        let put = self.queue.try_send(v1::Explain { id, request: Some(request) });
        put.map_err(|_| Unanswered::Busy(self.edge_id))?;
        let (sender, answer) = oneshot::channel();
        waiting.answers.insert(id, sender);
        Ok((Place { desk: self, id }, answer))
    }

    /// Takes an answer in. One that nobody waits for any more is dropped.
    pub(super) fn answer(&self, explained: v1::Explained) {
        let sender = self.waiting.lock().answers.remove(&explained.id);
        if let Some(sender) = sender {
            // Whoever asked may have left in this moment.
            let _ = sender.send(explained.explanation.unwrap_or_default());
        }
    }

    /// The stream has ended: nobody will answer any more.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.answers.clear();
    }
}

/// A place in the list of those who wait; free again when this is dropped, also by a caller who does not wait any longer.
struct Place<'d> {
    desk: &'d Desk,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.desk.waiting.lock().answers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: Uuid = Uuid::from_u128(7);

    fn explained(id: u64, reason: &str) -> v1::Explained {
        let explanation = v1::Explanation { reason: reason.into(), ..Default::default() };
        v1::Explained { id, explanation: Some(explanation) }
    }

    #[tokio::test]
    async fn each_question_gets_its_own_answer() {
        let (desk, mut questions) = Desk::new(EDGE);
        let ask = |host: &str| desk.ask(v1::ExplainRequest { host: host.into(), ..Default::default() });
        let answering = async {
            let (first, second) = (questions.recv().await.unwrap(), questions.recv().await.unwrap());
            desk.answer(explained(99, "nobody asked"));
            desk.answer(explained(second.id, &second.request.unwrap().host));
            desk.answer(explained(first.id, &first.request.unwrap().host));
            desk.answer(explained(first.id, "twice"));
        };
        let (a, b, ()) = tokio::join!(ask("a"), ask("b"), answering);
        assert_eq!((a.unwrap().reason.as_str(), b.unwrap().reason.as_str()), ("a", "b"));
        assert!(desk.waiting.lock().answers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_edge_is_given_up_and_its_late_answer_dropped() {
        let (desk, mut questions) = Desk::new(EDGE);
        let silent = desk.ask(v1::ExplainRequest::default()).await;
        assert_eq!(silent, Err(Unanswered::Silent(EDGE)));
        let question = questions.recv().await.unwrap();
        desk.answer(explained(question.id, "late"));
        assert!(desk.waiting.lock().answers.is_empty());
    }

    #[tokio::test]
    async fn the_end_of_the_stream_ends_the_waiting() {
        let (desk, questions) = Desk::new(EDGE);
        let (gone, ()) = tokio::join!(desk.ask(v1::ExplainRequest::default()), async { desk.close() });
        assert_eq!(gone, Err(Unanswered::Gone(EDGE)));
        assert_eq!(desk.ask(v1::ExplainRequest::default()).await, Err(Unanswered::Gone(EDGE)));
        drop(questions);
    }

    #[tokio::test]
    async fn too_many_questions_are_refused_and_those_given_up_make_room() {
        let (desk, mut questions) = Desk::new(EDGE);
        let put = || desk.put(v1::ExplainRequest::default());
        let mut places: Vec<_> = (0..EXPLAIN_OUTSTANDING_MAX).map(|_| put().unwrap()).collect();
        assert_eq!(put().err(), Some(Unanswered::Busy(EDGE)));
        places.pop();
        assert_eq!(put().err(), Some(Unanswered::Busy(EDGE)), "the stream has taken nothing yet");
        questions.recv().await.unwrap();
        drop(put().unwrap());
    }
}
