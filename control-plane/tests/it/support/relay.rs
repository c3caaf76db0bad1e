//! A relay between a store and etcd that can lose what passes through it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

use super::wait::within;

/// What the relay does with what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Passes everything on.
    Pass = 0,
    /// Loses what clients send.
    LoseRequests = 1,
    /// Loses what etcd sends.
    LoseAnswers = 2,
}

/// A relay to one port.
pub(crate) struct Relay {
    port: u16,
    mode: Arc<AtomicU8>,
    /// Counts the cuts: a connection of an earlier count is closed.
    cuts: watch::Sender<u32>,
    /// Counts the bytes that were lost.
    lost: watch::Sender<usize>,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mode = Arc::new(AtomicU8::new(Mode::Pass as u8));
        let (cuts, cut) = watch::channel(0);
        let lost = watch::Sender::new(0);
        Self {
            port: listener.local_addr().unwrap().port(),
            mode: Arc::clone(&mode),
            cuts,
            lost: lost.clone(),
            accepting: tokio::spawn(accept(listener, port, mode, cut, lost)),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.lost.send_replace(0);
        self.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Waits until this many bytes were lost since the mode was set.
    pub(crate) async fn has_lost(&self, bytes: usize) {
        let mut lost = self.lost.subscribe();
        within("bytes to be lost", lost.wait_for(|lost| *lost >= bytes)).await.unwrap();
    }

    /// Closes all connections; new ones pass everything on.
    pub(crate) fn cut(&self) {
        self.set(Mode::Pass);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    mode: Arc<AtomicU8>,
    cut: watch::Receiver<u32>,
    lost: watch::Sender<usize>,
) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (mut cut, mode, lost) = (cut.clone(), Arc::clone(&mode), lost.clone());
        cut.mark_unchanged();
        tokio::spawn(async move {
            tokio::select! {
                () = pump(from_client, to_server, &mode, Mode::LoseRequests, &lost) => {}
                () = pump(from_server, to_client, &mode, Mode::LoseAnswers, &lost) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mode: &AtomicU8,
    losing: Mode,
    lost: &watch::Sender<usize>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if mode.load(Ordering::SeqCst) == losing as u8 {
            lost.send_modify(|lost| *lost += read);
            continue;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
