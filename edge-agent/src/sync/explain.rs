//! Questions that come down the stream: what this edge would do with a request, answered beside updates and reports.

use std::{collections::VecDeque, fmt, sync::Arc};

use headland_proto::{
    limits::{EXPLAIN_OUTSTANDING_MAX, EXPLANATION_BYTES_MAX},
    v1,
};
use prost::Message as _;

use super::state::State;

/// Whoever knows what this edge would do with a request. Must not wait for anything, and must change nothing.
pub(crate) trait Explainer: Send + Sync + fmt::Debug {
    /// What would be done with it now, and why.
    fn explain(&self, request: &v1::ExplainRequest) -> v1::Explanation;
}

/// The answers of one stream that are not sent yet.
#[derive(Debug)]
pub(super) struct Answers {
    explainer: Arc<dyn Explainer>,
    unsent: VecDeque<v1::Explained>,
}

impl Answers {
    pub(super) fn new(explainer: Arc<dyn Explainer>) -> Self {
        Self { explainer, unsent: VecDeque::new() }
    }

    /// Answers a question. One too many is dropped: whoever asked gives up after a while.
    pub(super) fn take(&mut self, question: v1::Explain, state: &State) {
        if self.unsent.len() >= EXPLAIN_OUTSTANDING_MAX {
            return;
        }
        let mut explanation = self.explainer.explain(&question.request.unwrap_or_default());
        explanation.applied_revision = state.applied().0;
        self.unsent.push_back(v1::Explained { id: question.id, explanation: Some(fitting(explanation)) });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_empty()
    }

    /// The next answer to be sent.
    pub(super) fn next(&mut self) -> Option<v1::EdgeMessage> {
        let explained = self.unsent.pop_front()?;
        Some(v1::EdgeMessage { message: Some(v1::edge_message::Message::Explanation(explained)) })
    }
}

/// A message that is too large would end the stream: leaves out what is stored, then all but the verdict.
fn fitting(mut explanation: v1::Explanation) -> v1::Explanation {
    if explanation.encoded_len() > EXPLANATION_BYTES_MAX {
        let omitted = u32::try_from(explanation.variants.len()).unwrap_or(u32::MAX);
        explanation.variants_omitted = explanation.variants_omitted.saturating_add(omitted);
        explanation.variants.clear();
    }
    if explanation.encoded_len() > EXPLANATION_BYTES_MAX {
        return v1::Explanation {
            reason: "explanation-too-large".into(),
            detail: format!("the explanation has more than {EXPLANATION_BYTES_MAX} bytes"),
            ..v1::Explanation::default()
        };
    }
    explanation
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the host back as the reason, and as much detail as the path is long.
    #[derive(Debug)]
    struct Echo;

    impl Explainer for Echo {
        fn explain(&self, request: &v1::ExplainRequest) -> v1::Explanation {
            let variant = v1::StoredVariant { etag: "e".repeat(request.path.len()), ..Default::default() };
            v1::Explanation {
                reason: request.host.clone(),
                detail: request.method.clone(),
                variants: vec![variant],
                ..Default::default()
            }
        }
    }

    fn question(id: u64, host: &str) -> v1::Explain {
        v1::Explain { id, request: Some(v1::ExplainRequest { host: host.into(), ..Default::default() }) }
    }

    fn next(answers: &mut Answers) -> (u64, v1::Explanation) {
        match answers.next().and_then(|message| message.message) {
            Some(v1::edge_message::Message::Explanation(e)) => (e.id, e.explanation.expect("explanation")),
            other => panic!("not an explanation: {other:?}"),
        }
    }

    #[test]
    fn answers_come_in_order_and_their_number_is_bounded() {
        let mut answers = Answers::new(Arc::new(Echo));
        let state = State::default();
        for id in 1..=EXPLAIN_OUTSTANDING_MAX as u64 + 3 {
            answers.take(question(id, &id.to_string()), &state);
        }
        for id in 1..=EXPLAIN_OUTSTANDING_MAX as u64 {
            let (of, explanation) = next(&mut answers);
            assert_eq!((of, explanation.reason), (id, id.to_string()));
        }
        assert!(answers.is_empty() && answers.next().is_none());
    }

    #[test]
    fn an_answer_never_outgrows_its_limit() {
        let mut answers = Answers::new(Arc::new(Echo));
        let mut large = question(1, "a");
        large.request.get_or_insert_default().path = "/".repeat(EXPLANATION_BYTES_MAX);
        answers.take(large.clone(), &State::default());
        let (_, explanation) = next(&mut answers);
        assert_eq!((explanation.reason.as_str(), explanation.variants_omitted), ("a", 1));
        large.request.get_or_insert_default().method = "X".repeat(EXPLANATION_BYTES_MAX);
        answers.take(large, &State::default());
        let (_, explanation) = next(&mut answers);
        assert_eq!(explanation.reason, "explanation-too-large");
        answers.take(v1::Explain::default(), &State::default());
        assert_eq!(next(&mut answers).1.reason, "", "a question without a request is one, too");
    }
}
