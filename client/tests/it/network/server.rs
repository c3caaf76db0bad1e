//! An HTTP server in this process that remembers what it was asked, and can go away.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(Method, String)>>>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Failure>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Failure>,
    {
        Self::on(listener().await, service)
    }

    /// Serves on a listener, for who must know the address before.
    pub(crate) fn on<S, B>(listener: TcpListener, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Failure>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Failure>,
    {
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<(Method, String)>>> = Arc::default();
        let noting = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Incoming>| {
            let path = request.uri().path().to_owned();
            noting.lock().expect("lock").push((request.method().clone(), path));
            service.call(request)
        });
        let service = Arc::new(service);
        let serving = tokio::spawn(async move {
            // Goes with the task, and takes the connections along.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let service = Arc::clone(&service);
                connections.spawn(async move {
                    // Ends in an error when the other side leaves.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, asked, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often an object was asked for with GET. The path may stand below a bucket's name.
    pub(crate) fn gets(&self, path: &str) -> usize {
        let asked = self.asked.lock().expect("lock");
        asked.iter().filter(|(method, asked)| method == Method::GET && asked.ends_with(path)).count()
    }

    /// Goes away: who has a connection loses it, who wants one is refused.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        // Ended by the abort, which is what was asked for.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A listener on a port of its own.
pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}
