//! Health checks: one question to an origin, and what a row of answers says.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use headland_proto::model::{CustomOrigin, HealthCheck, Http2, Origin, Scheme};
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    dial::{self, Dialled},
    request::USER_AGENT,
    tls::{Offer, OriginTlsConfigs},
};
use crate::error_chain::ErrorChain;

/// How long an origin may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// So many failures in a row, and it is not well.
const FAILURES: u32 = 3;
/// So many successes in a row, and it is again.
const SUCCESSES: u32 = 2;

/// What the answers of an origin so far say.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_unwell: bool,
    /// Answers in a row that say otherwise.
    otherwise: u32,
}

impl Health {
    /// Takes in an answer. `Some` if the origin has become well or unwell by it.
    pub(crate) fn observe(&mut self, is_well: bool) -> Option<bool> {
        if is_well != self.is_unwell {
            self.otherwise = 0;
            return None;
        }
        self.otherwise += 1;
        if self.otherwise < if is_well { SUCCESSES } else { FAILURES } {
            return None;
        }
        *self = Self { is_unwell: !is_well, otherwise: 0 };
        Some(is_well)
    }
}

/// Asks an origin how it is, over a connection of its own: one that is kept would say nothing of new ones.
///
/// # Errors
/// Why it is not well.
pub(crate) async fn ask(
    origin: &Origin,
    server: &CustomOrigin,
    check: &HealthCheck,
    configs: &OriginTlsConfigs,
) -> Result<(), String> {
    // One that does as the viewer does is asked the way that costs it less.
    let scheme = server.scheme_for(Scheme::Http);
    let authority = server.authority_for(scheme);
    let base = format!("{}://{authority}", scheme.as_str());
    let by_http2 = origin.http2 == Http2::Always;
    let asking = async {
        let offer = if by_http2 { Offer::Http2 } else { Offer::Http1 };
        let tcp = dial::connector(origin.connection_timeout);
        let dialled =
            dial::dial(tcp, configs, &base, origin, offer).await.map_err(|fault| fault.to_string())?;
        // HTTP/1.1 has the target without the authority, which is in Host.
        let target = if by_http2 { format!("{base}{}", check.path) } else { check.path.to_string() };
        let mut request = Request::get(target).header(header::USER_AGENT, USER_AGENT);
        if !by_http2 {
            request = request.header(header::HOST, authority);
        }
        for (name, value) in &origin.custom_headers {
            request = request.header(name, value);
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        match dialled {
            Dialled::Clear(stream) => answer(stream, by_http2, request).await,
            Dialled::Tls(stream) => answer(stream, by_http2, request).await,
        }
    };
    let status =
        timeout(CHECK_TIMEOUT, asking).await.map_err(|_| "it does not answer in time".to_owned())??;
    match status.is_success() || status.is_redirection() {
        true => Ok(()),
        false => Err(format!("it answers with status {status}")),
    }
}

/// The status of the answer to a request on a new connection, which ends with that.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    by_http2: bool,
    request: Request<Empty<Bytes>>,
) -> Result<StatusCode, String> {
    let io = TokioIo::new(stream);
    let answered = if by_http2 {
        match http2::handshake(TokioExecutor::new(), io).await {
            Ok((mut sender, connection)) => beside(connection, sender.send_request(request)).await,
            Err(error) => Err(error),
        }
    } else {
        match http1::handshake(io).await {
            Ok((mut sender, connection)) => beside(connection, sender.send_request(request)).await,
            Err(error) => Err(error),
        }
    };
    answered.map(|response| response.status()).map_err(|error| ErrorChain(&error).to_string())
}

/// An answer, while its connection is driven. The connection may be over before the answer is looked at.
async fn beside<T>(connection: impl Future, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    tokio::select! {
        answered = &mut answer => answered,
        _ = connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_and_two_successes_make_the_difference() {
        let mut health = Health::default();
        let (mut is_well, mut told) = (true, String::new());
        for answer in "+-+--+---++-++---+-+-++".chars() {
            if let Some(change) = health.observe(answer == '+') {
                assert_ne!(change, is_well, "only changes are told");
                is_well = change;
            }
            told.push(if is_well { '+' } else { '-' });
        }
        assert_eq!(told, "++++++++--++++++------+");
    }
}
