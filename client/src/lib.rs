//! Who asks: a client library for Headland's control plane, and the file format that people write distributions in.
//!
//! The library never reads the terminal, the environment or the home directory; the `headland` command, which does, is
//! built on top of it.
//!
//! ```no_run
//! # async fn example() -> Result<(), headland::error::Error> {
//! use headland::{client::{Client, Options, WaitOptions}, spec};
//!
//! let client = Client::connect("http://127.0.0.1:7070", Options::default())?;
//! let config = spec::DistributionSpec::default().with_origin(spec::OriginSpec::from_url("https://example.com")?);
//! let created = client.create_distribution((&config).into()).await?;
//! client.wait_deployed(&created.id, WaitOptions::default(), |_| {}).await?;
//! # Ok(()) }
//! ```

pub mod client;
pub mod cloudfront;
pub mod error;
pub mod sign;
pub mod spec;

/// The checked model, by which control plane and edges understand what is sent; here to look at a config before it is.
pub use headland_proto::model;
/// Wire types, as the client's methods take and return them.
pub use headland_proto::v1;
