//! Doing what the plan says, step by step, until something fails.

use headland::{error::Error, spec::Names, v1};

use super::plan::{Outcome, Plan, Step};
use crate::commands::{Session, distribution::wait, things::Done};

/// Does all steps, and waits for the distributions if the flag asks for it.
///
/// # Errors
/// The first failure. What was done is done, and marked so.
pub(super) async fn carry_out(
    plan: &mut Plan,
    mut names: Names,
    flag: &wait::Flag,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    let mut changed: Vec<v1::Distribution> = Vec::new();
    for i in 0..plan.steps.len() {
        let step = &mut plan.steps[i];
        match take(step, &mut names, session).await {
            Ok(distribution) => {
                step.outcome = Outcome::Done;
                session.output.say(&format!("done: {step}"));
                changed.extend(distribution);
            }
            Err(error) => {
                step.outcome = Outcome::Failed;
                for step in &plan.steps[i + 1..] {
                    session.output.say(&format!("not done: {step}"));
                }
                let hint = error.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
                let (done, all) = (i, plan.steps.len());
                return Err(
                    error.with_hint(format!("{hint}{done} of {all} changes were made; apply again to go on"))
                );
            }
        }
    }
    for distribution in &changed {
        wait::after_change(flag, distribution, session).await?;
    }
    Ok(())
}

async fn take(
    step: &mut Step,
    names: &mut Names,
    session: &Session<'_>,
) -> Result<Option<v1::Distribution>, Error> {
    let client = &session.client;
    let done = match (&step.wanted, &step.there) {
        (Some(wanted), None) => wanted.thing.create(client, names).await,
        (Some(wanted), Some(there)) => wanted.thing.update(client, there, names).await,
        (None, Some(there)) => return there.delete(client, names).await.map(|()| None),
        (None, None) => return Ok(None),
    };
    let located = |error: Error| match &step.wanted {
        Some(wanted) => error.map_violations(&wanted.locate),
        None => error,
    };
    let Done { id, distribution } = done.map_err(located)?;
    step.id = id;
    Ok(distribution)
}
