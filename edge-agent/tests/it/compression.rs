//! Compression by the edge: what is compressed, for whom, and what is said of it.

mod bodies;
mod keys;
mod responses;
mod validation;

use std::io::Read;

use headland_proto::v1;

use crate::support::{
    edge::{behavior, policy},
    scenario::{Scenario, Step, get, scenario},
    viewer::Response,
};

const FRESH: &str = "cache-control: max-age=60\ncontent-type: text/html; charset=utf-8";
const STRONG: &str = "cache-control: max-age=60\ncontent-type: text/html\netag: \"e\"";

/// Enables all codings and compression.
fn compressing(config: &mut v1::DistributionConfig) {
    behavior(config).compress = true;
    enabling(config);
}

/// Enables all codings.
fn enabling(config: &mut v1::DistributionConfig) {
    let policy = policy(config);
    policy.accept_encoding_gzip = true;
    policy.accept_encoding_brotli = true;
    policy.accept_encoding_zstd = true;
}

/// A scenario of an edge that compresses.
fn compressed(name: &str, steps: impl IntoIterator<Item = Step>) -> Scenario {
    scenario(name, steps).with(compressing)
}

/// Text of so many bytes.
fn page(bytes: usize) -> String {
    (0..).map(|line| format!("<p>Line {line} of a page.</p>\n")).take(bytes / 20).collect::<String>()[..bytes]
        .to_owned()
}

/// What was compressed.
fn decompressed(coding: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    match coding {
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
        "zstd" => zstd::stream::read::Decoder::new(bytes).and_then(|mut d| d.read_to_end(&mut out)),
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        _ => Err(std::io::Error::other("no such coding")),
    }?;
    Ok(out)
}

/// Whether it is this text, compressed in this coding, as a head says that belongs to it.
fn is_compressed(response: &Response, coding: &str, text: &str) -> bool {
    response.complete
        && response.header("content-encoding") == Some(coding)
        && response.header("vary").is_some_and(|vary| vary.to_lowercase().contains("accept-encoding"))
        && response.body.len() < text.len()
        && decompressed(coding, &response.body).is_ok_and(|body| body == text.as_bytes())
}

/// A GET by a viewer who accepts these codings.
fn accepting(codings: &str) -> Step {
    get().header(&format!("accept-encoding: {codings}"))
}

trait Compressed {
    /// The viewer gets this text in this coding.
    fn gives_compressed(self, coding: &'static str, text: &str) -> Self;
}

impl Compressed for Step {
    fn gives_compressed(self, coding: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        self.status(200..=200)
            .has(&format!("content-encoding: {coding}"))
            .response("the body is not what was compressed", move |r| is_compressed(r, coding, &text))
    }
}
