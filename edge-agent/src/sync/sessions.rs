//! Keeps a stream to every control plane behind a configured name, however often the name changes its mind.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use http::Uri;
use tokio::{
    net::lookup_host,
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::{Retry, random},
    contact::{Contact, Contacts},
    stream::{self, End, Shared},
};
use crate::{config::CONTROL_PLANE_PORT, error_chain::ErrorChain};

/// How often a name is resolved again.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(30);
/// After a stream failed, the name is resolved again, but not more often than this.
const RESOLVE_PAUSE: Duration = Duration::from_secs(1);
/// To resolve a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Control planes behind one name; further addresses are left out.
const TARGETS_MAX: usize = 16;

/// The addresses of one control plane, tried in turn.
type Target = Vec<SocketAddr>;

/// Sorts addresses into control planes, of which each should be reached once: it keeps only one stream of an edge.
///
/// A name with addresses of both families has both for each control plane, so that one family is enough. Loopback addresses
/// are the same machine, and count only if there are no others.
fn targets(mut addresses: Vec<SocketAddr>) -> Vec<Target> {
    addresses.sort();
    addresses.dedup();
    let (loopback, mut rest): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.ip().is_loopback());
    if rest.is_empty() {
        return if loopback.is_empty() { Vec::new() } else { vec![loopback] };
    }
    if rest.iter().any(SocketAddr::is_ipv4) {
        rest.retain(SocketAddr::is_ipv4);
    }
    rest.truncate(TARGETS_MAX);
    rest.into_iter().map(|address| vec![address]).collect()
}

async fn resolve(url: &Uri) -> io::Result<Vec<Target>> {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = url.port_u16().unwrap_or(CONTROL_PLANE_PORT);
    let addresses = timeout(RESOLVE_TIMEOUT, lookup_host((host, port)))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(targets(addresses.collect()))
}

/// One control plane and the task that keeps a stream to it.
struct Session {
    contact: Arc<Contact>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// All sessions of one configured URL.
pub(crate) struct Sessions {
    url: Uri,
    shared: Arc<Shared>,
    contacts: Arc<Contacts>,
    failed: Arc<Notify>,
    sessions: BTreeMap<Target, Session>,
}

impl Sessions {
    pub(crate) fn new(url: Uri, shared: Arc<Shared>, contacts: Arc<Contacts>) -> Self {
        Self { url, shared, contacts, failed: Arc::default(), sessions: BTreeMap::new() }
    }

    /// Runs until the edge leaves and every session has said so.
    pub(crate) async fn run(mut self) {
        let leaving = self.shared.leaving.clone();
        let mut resolved = true;
        loop {
            let Some(targets) = leaving.run_until_cancelled(resolve(&self.url)).await else { break };
            match targets {
                Ok(targets) => {
                    resolved = true;
                    self.follow(targets);
                }
                Err(error) if resolved => {
                    resolved = false;
                    tracing::warn!(control_plane = %self.url, %error, "failed to resolve a control plane's name");
                }
                Err(_) => {}
            }
            // Nothing to try: look for addresses more often.
            let patience = if self.sessions.is_empty() { RESOLVE_PAUSE } else { RESOLVE_INTERVAL };
            let pause = async {
                sleep(RESOLVE_PAUSE).await;
                let _ = timeout(patience, self.failed.notified()).await;
            };
            if leaving.run_until_cancelled(pause).await.is_none() {
                break;
            }
        }
        for session in self.sessions.into_values() {
            // Ends by itself: leaving has a time limit in every state of a stream.
            let _ = session.task.await;
        }
    }

    /// Opens sessions to control planes that are new, and gives up those that are neither named nor connected.
    fn follow(&mut self, targets: Vec<Target>) {
        let contacts = &self.contacts;
        self.sessions.retain(|target, session| {
            let keep = targets.contains(target) || session.contact.is_connected();
            if !keep {
                session.stop.cancel();
                contacts.remove(&session.contact);
            }
            keep
        });
        for target in targets {
            let (url, shared) = (&self.url, &self.shared);
            let failed = &self.failed;
            self.sessions.entry(target).or_insert_with_key(|target| {
                let address = target.first().map_or_else(String::new, SocketAddr::to_string);
                let contact = contacts.add(url.to_string(), address);
                let stop = CancellationToken::new();
                let keeper = Keeper {
                    url: url.clone(),
                    target: target.clone(),
                    shared: Arc::clone(shared),
                    contact: Arc::clone(&contact),
                    failed: Arc::clone(failed),
                };
                let stopped = stop.clone();
                let task = tokio::spawn(async move {
                    let _ = stopped.run_until_cancelled(Box::pin(keeper.keep())).await;
                });
                Session { contact, stop, task }
            });
        }
    }
}

/// Opens a stream again and again.
struct Keeper {
    url: Uri,
    target: Target,
    shared: Arc<Shared>,
    contact: Arc<Contact>,
    failed: Arc<Notify>,
}

impl Keeper {
    async fn keep(self) {
        let mut retry = Retry::default();
        let mut told = false;
        for address in self.target.iter().cycle() {
            let began = Instant::now();
            let (end, welcomed) = stream::hold(&self.shared, &self.url, *address, &self.contact).await;
            if matches!(end, End::Left) {
                return;
            }
            let wait = retry.wait(end.ended(), began.elapsed(), random());
            self.tell(&end, *address, wait, welcomed || !told);
            told = true;
            self.failed.notify_one();
            if self.shared.leaving.run_until_cancelled(sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// The first failure in a row is worth a warning; the rest is the same again.
    fn tell(&self, end: &End, address: SocketAddr, wait: Duration, news: bool) {
        let reason = ErrorChain(end);
        if matches!(end, End::StartOver { .. }) {
            tracing::info!(control_plane = %self.url, %address, %reason, "starting over with Hello");
        } else if news {
            tracing::warn!(control_plane = %self.url, %address, %reason, ?wait, "lost a control plane; trying again");
        } else {
            tracing::debug!(control_plane = %self.url, %address, %reason, ?wait, "trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_plane_is_one_target() {
        let parse = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let cases: [(&[&str], &[&[&str]]); 5] = [
            (&[], &[]),
            (&["10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"], &[&["10.0.0.1:1"], &["10.0.0.2:1"]]),
            (&["[fd00::2]:1", "[fd00::1]:1"], &[&["[fd00::1]:1"], &["[fd00::2]:1"]]),
            (&["[::1]:1", "127.0.0.1:1"], &[&["127.0.0.1:1", "[::1]:1"]]),
            (&["127.0.1.1:1", "10.0.0.1:1", "[fd00::1]:1"], &[&["10.0.0.1:1"]]),
        ];
        for (addresses, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|target| parse(target)).collect();
            assert_eq!(targets(parse(addresses)), expected, "{addresses:?}");
        }
        let many = (0..100).map(|i| SocketAddr::from(([10, 0, 0, i], 1))).collect();
        assert_eq!(targets(many).len(), TARGETS_MAX);
    }
}
