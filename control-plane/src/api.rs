//! The gRPC services: they decode, call, encode, and decide nothing.

pub(crate) mod distributions;
pub(crate) mod edges;
pub(crate) mod policies;
pub(crate) mod status;
pub(crate) mod sync;

use tonic::{Response, Status};

use crate::metrics::{CallLabels, Metrics};

/// The answer to a call, which is counted.
fn answer<T>(
    metrics: &Metrics,
    method: &'static str,
    result: Result<T, Status>,
) -> Result<Response<T>, Status> {
    let labels = CallLabels { method, code: status::code_name(&result) };
    metrics.api_calls.get_or_create(&labels).inc();
    result.map(Response::new)
}
