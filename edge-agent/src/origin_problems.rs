//! The origins that cannot be used as configured, as far as this edge has found out. Goes up with every report.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Problems that are remembered; further ones are not taken until one is cleared.
pub const ORIGIN_PROBLEMS_MAX: usize = 1000;
/// Characters of a problem's reason; the rest is cut off.
pub const ORIGIN_PROBLEM_CHARS_MAX: usize = 1024;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginProblem {
    /// Whose origin it is.
    pub distribution_id: String,
    /// The origin's id in the distribution.
    pub origin_id: String,
    /// What is wrong and what would be right, as a fragment in lower case.
    pub reason: String,
}

/// All problems, at most one for each origin. Whoever checks origins writes, reports read.
#[derive(Debug, Default)]
pub struct OriginProblems {
    reasons: Mutex<BTreeMap<(String, String), String>>,
}

impl OriginProblems {
    /// Remembers a problem, in place of what was known about this origin.
    pub fn set(&self, distribution_id: &str, origin_id: &str, reason: &str) {
        let mut reasons = self.reasons.lock();
        let key = (distribution_id.to_owned(), origin_id.to_owned());
        if reasons.len() < ORIGIN_PROBLEMS_MAX || reasons.contains_key(&key) {
            reasons.insert(key, reason.chars().take(ORIGIN_PROBLEM_CHARS_MAX).collect());
        }
    }

    /// Forgets the problem of an origin, if there was one.
    pub fn clear(&self, distribution_id: &str, origin_id: &str) {
        self.reasons.lock().remove(&(distribution_id.to_owned(), origin_id.to_owned()));
    }

    /// Keeps only the problems of distributions for which `keep` is true.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.reasons.lock().retain(|(distribution_id, _), _| keep(distribution_id));
    }

    /// What is known now, in order of distribution and origin.
    #[must_use]
    pub fn list(&self) -> Vec<OriginProblem> {
        let reasons = self.reasons.lock();
        let problem = |((distribution_id, origin_id), reason): (&(String, String), &String)| OriginProblem {
            distribution_id: distribution_id.clone(),
            origin_id: origin_id.clone(),
            reason: reason.clone(),
        };
        reasons.iter().map(problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_problem_until_it_is_cleared() {
        let problems = OriginProblems::default();
        problems.set("A", "o", "connect: refused");
        problems.set("A", "o", "answer: too slow");
        problems.set("B", "o", "resolve: no such name");
        let reasons = || problems.list().into_iter().map(|p| p.reason).collect::<Vec<_>>();
        assert_eq!(reasons(), ["answer: too slow", "resolve: no such name"]);
        problems.clear("A", "o");
        problems.clear("A", "never set");
        assert_eq!(reasons(), ["resolve: no such name"]);
        problems.retain(|distribution| distribution != "B");
        assert!(reasons().is_empty());
    }

    #[test]
    fn the_list_has_a_ceiling() {
        let problems = OriginProblems::default();
        for i in 0..ORIGIN_PROBLEMS_MAX + 5 {
            problems.set("A", &i.to_string(), "broken");
        }
        problems.set("A", "0", "still broken");
        assert_eq!(problems.list().len(), ORIGIN_PROBLEMS_MAX);
        assert!(problems.list().iter().any(|p| p.reason == "still broken"));
    }
}
