//! A bucket on this machine, behind a real S3 server, so that everything can be tried without a network.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use headland::error::{Error, ErrorKind};
use hyper_util::rt::TokioIo;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::{net::TcpListener, task::JoinHandle};

const BUCKET: &str = "demo";

/// What lies in the bucket at first.
const OBJECTS: [(&str, &[u8]); 3] = [
    ("image.jpg", include_bytes!("../../../../demo/image.jpg")),
    ("index.html", include_bytes!("../../../../demo/index.html")),
    ("hello.txt", include_bytes!("../../../../demo/hello.txt")),
];

/// A running server with one public bucket. It stops when it is dropped.
pub(super) struct LocalS3 {
    endpoint: String,
    folder: PathBuf,
    accepting: JoinHandle<()>,
}

impl LocalS3 {
    /// Serves the buckets in `root`, and puts the demonstration objects there if they are missing.
    pub(super) async fn start(root: &Path) -> Result<Self, Error> {
        Self::try_start(root)
            .await
            .map_err(|e| Error::new(ErrorKind::Io, format!("start the local S3 server: {e}")))
    }

    async fn try_start(root: &Path) -> io::Result<Self> {
        let folder = root.join(BUCKET);
        fs::create_dir_all(&folder)?;
        for (name, content) in OBJECTS {
            let path = folder.join(name);
            if !path.exists() {
                fs::write(path, content)?;
            }
        }
        let files = FileSystem::new(root).map_err(|e| io::Error::other(format!("{e:?}")))?;
        let service = S3ServiceBuilder::new(files).build();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                let service = service.clone();
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // A connection ends in an error when the other side leaves.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { endpoint, folder, accepting })
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    pub(super) fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// Where the bucket's objects lie as files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for LocalS3 {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
