//! A tunnel: bytes from a viewer to an origin and back, neither of which this edge looks at.

use std::{cell::Cell, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    time::{Instant, sleep_until},
};

/// How long an origin may say nothing. CloudFront: 10 minutes.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(600);
/// Bytes that are on their way in one direction.
const BUFFER_BYTES: usize = 16 << 10;

/// Carries bytes both ways, `early` ones of the viewer's first, until the origin ends, or is silent for too long, or either breaks.
pub(super) async fn carry(
    viewer: impl AsyncRead + AsyncWrite,
    origin: impl AsyncRead + AsyncWrite,
    early: &[u8],
    silence_max: Duration,
) -> io::Result<()> {
    let heard = Cell::new(Instant::now());
    let (mut from_viewer, mut to_viewer) = split(viewer);
    let (mut from_origin, mut to_origin) = split(origin);
    let up = async {
        to_origin.write_all(early).await?;
        copy(&mut from_viewer, &mut to_origin, || {}).await?;
        to_origin.shutdown().await?;
        // What the origin still has to say is waited for.
        std::future::pending::<io::Result<()>>().await
    };
    let down = async {
        copy(&mut from_origin, &mut to_viewer, || heard.set(Instant::now())).await?;
        to_viewer.shutdown().await
    };
    let silence = async {
        while heard.get().elapsed() < silence_max {
            sleep_until(heard.get() + silence_max).await;
        }
        Ok(())
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
        ended = silence => ended,
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    came: impl Fn(),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        came();
        to.write_all(&buffer[..bytes]).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_origin_that_says_nothing_for_too_long_ends_a_tunnel() {
        let ((mut viewer, near), (far, mut origin)) = (duplex(64), duplex(64));
        let began = Instant::now();
        let talk = async {
            for _ in 0..3 {
                tokio::time::sleep(SILENCE_MAX - Duration::from_secs(1)).await;
                origin.write_all(b"o").await.expect("write");
                assert_eq!(viewer.read_u8().await.expect("read"), b'o');
                // What the viewer says does not count.
                viewer.write_all(b"v").await.expect("write");
                assert_eq!(origin.read_u8().await.expect("read"), b'v');
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = carry(near, far, b"", SILENCE_MAX) => ended.expect("a quiet end"),
            () = talk => unreachable!(),
        }
        assert_eq!(began.elapsed(), (SILENCE_MAX - Duration::from_secs(1)) * 3 + SILENCE_MAX);
    }

    #[tokio::test]
    async fn what_the_origin_says_last_arrives_and_what_the_viewer_said_early_comes_first() {
        let ((mut viewer, near), (far, mut origin)) = (duplex(1 << 20), duplex(1 << 20));
        viewer.write_all(b" late").await.expect("write");
        viewer.shutdown().await.expect("shutdown");
        let talk = async {
            let mut said = String::new();
            origin.read_to_string(&mut said).await.expect("read");
            assert_eq!(said, "early late");
            origin.write_all(&[b'x'; 100_000]).await.expect("write");
            drop(origin);
            let mut heard = Vec::new();
            viewer.read_to_end(&mut heard).await.expect("read");
            assert_eq!(heard.len(), 100_000);
        };
        let (ended, ()) = tokio::join!(carry(near, far, b"early", SILENCE_MAX), talk);
        ended.expect("a quiet end");
    }
}
