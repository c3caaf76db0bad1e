//! Buckets behind s3s, a real S3 server in this process: one that checks signatures, or a public one.

use std::{fs, net::SocketAddr};

use s3s::{auth::SimpleAuth, host::SingleDomain, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;

use super::server::{Server, listener};

/// What the private servers of these tests let in.
pub(crate) const ACCESS_KEY: &str = "AKIDHEADLAND";
pub(crate) const SECRET_KEY: &str = "a-secret-that-only-edges-know";

/// The one bucket there is. Virtual-hosted, it is 127.1, which every C library knows as a short form of 127.0.0.1: a host
/// name for a bucket that no name server has to know.
pub(crate) const BUCKET: &str = "127";
pub(crate) const VIRTUAL_HOST: &str = "1";
/// What lies in the bucket as image.jpg.
pub(crate) const IMAGE: &[u8] = include_bytes!("../../../../demo/image.jpg");

/// A running S3 server.
pub(crate) struct S3 {
    pub(crate) server: Server,
    _folder: TempDir,
}

/// Who is let in, and how the bucket is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Only who signs with [`ACCESS_KEY`] is let in.
    pub(crate) private: bool,
    /// The bucket stands in the host name.
    pub(crate) virtual_hosted: bool,
}

pub(crate) const PUBLIC: Kind = Kind { private: false, virtual_hosted: false };
pub(crate) const PRIVATE: Kind = Kind { private: true, virtual_hosted: false };
pub(crate) const PRIVATE_VIRTUAL: Kind = Kind { private: true, virtual_hosted: true };

impl Kind {
    /// The flags of `headland distribution create` for a bucket of this kind at this address.
    pub(crate) fn flags(self, address: SocketAddr) -> String {
        let public = if self.private { "" } else { " --s3-public" };
        if self.virtual_hosted {
            format!("--s3-bucket {BUCKET} --s3-endpoint http://{VIRTUAL_HOST}:{}{public}", address.port())
        } else {
            format!("--s3-bucket {BUCKET} --s3-endpoint http://{address} --s3-path-style{public}")
        }
    }
}

/// A folder with the bucket in it.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
    fs::write(folder.path().join(BUCKET).join("image.jpg"), IMAGE).expect("an object");
    folder
}

impl S3 {
    pub(crate) async fn start(kind: Kind) -> Self {
        let folder = folder();
        let files = FileSystem::new(folder.path()).expect("a file system");
        let listener = listener().await;
        let mut builder = S3ServiceBuilder::new(files);
        if kind.private {
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        }
        if kind.virtual_hosted {
            let port = listener.local_addr().expect("an address").port();
            builder.set_host(SingleDomain::new(&format!("{VIRTUAL_HOST}:{port}")).expect("a domain"));
        }
        Self { server: Server::on(listener, builder.build()), _folder: folder }
    }
}
