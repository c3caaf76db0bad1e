//! `headland dev`: a whole network in one process, with nothing to configure.

mod distribution;
mod local_s3;
mod network;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use headland::{
    client::{Client, Options, WaitOptions},
    error::{Error, ErrorKind},
    spec::{Semantics, SpecDuration},
};
use headland_proto::v1;
use tokio::signal::unix::{SignalKind, signal};

use self::{local_s3::LocalS3, network::Network};
use super::Context;

/// How long everything may take to be up.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Threads for what is not serving: the control plane and the local bucket. Edges bring their own.
const CONTROL_THREADS: usize = 2;

/// Run a whole network in this process: a control plane, edges, and one distribution
///
/// The same code, threads and settings as the separate programs. The distribution answers to localhost and 127.0.0.1
/// besides its own domain name, so that curl works at once. Everything is forgotten at the end unless --data-dir is given.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where objects come from: http://host[:port][/path], https://host[:port][/path] or s3://bucket[/prefix]. A bucket is read
    /// with this machine's AWS credentials, or as a public one if there are none [default: a local bucket with a picture in it]
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Server of the bucket, http[s]://host[:port], if it is not Amazon S3
    #[arg(long, value_name = "URL", requires = "origin")]
    s3_endpoint: Option<String>,
    /// How many edges to run; number n listens on the port of --http plus n-1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    edges: u16,
    /// Where the first edge serves viewers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where the control plane's API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    api: SocketAddr,
    /// Where to keep the store, the edges' state and the local bucket; made if it is not there [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Memory for the objects of each edge, such as 512MiB [default: a quarter of the machine's, shared among the edges]
    #[arg(long, value_name = "SIZE")]
    cache_memory: Option<String>,
    /// Keep objects on disk as well, with the edges' state, in so much space for each edge, such as 1GiB: with --data-dir
    /// they are still there after a restart
    #[arg(long, value_name = "SIZE")]
    cache_disk: Option<String>,
    /// Network whose X-Forwarded-For and X-Forwarded-Proto the edges believe, such as 127.0.0.0/8; may be repeated
    #[arg(long = "trusted-proxy", value_name = "NETWORK")]
    trusted_proxies: Vec<String>,
    /// MaxMind database (.mmdb) by which the edges know where viewers are
    #[arg(long, value_name = "FILE")]
    geo_database: Option<String>,
    /// Whose caching rules apply
    #[arg(long, value_enum, default_value = "cloudfront")]
    semantics: SemanticsName,
    /// How long objects are kept when the origin does not say, such as 90, 90s or 1h30m [default: 1 day, or 0 with rfc9111]
    #[arg(long, value_name = "SECS")]
    default_ttl: Option<SpecDuration>,
    /// Allow all seven methods; those that are not cached are passed to the origin with their bodies
    #[arg(long)]
    allow_all_methods: bool,
}

const EXAMPLES: &str = "\
Examples:
  headland dev
  headland dev --origin http://127.0.0.1:8000
  headland dev --origin s3://photos --s3-endpoint http://127.0.0.1:9000 --edges 3
  headland dev --origin http://127.0.0.1:8000 --semantics rfc9111 --allow-all-methods

Stop it with Ctrl-C.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SemanticsName {
    /// CloudFront's: a minimum TTL overrides the origin, a viewer's Cache-Control is ignored
    Cloudfront,
    /// A shared cache as RFC 9111 describes it
    Rfc9111,
}

impl From<SemanticsName> for Semantics {
    fn from(name: SemanticsName) -> Self {
        match name {
            SemanticsName::Cloudfront => Self::Cloudfront,
            SemanticsName::Rfc9111 => Self::Rfc9111,
        }
    }
}

pub(crate) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Error> {
    start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, format!("start: {e}")))?;
    let (_temporary, data_dir) = data_dir(args.data_dir.as_deref())?;
    let result = runtime.block_on(serve(args, &data_dir, context));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(args: &Args, data_dir: &Path, context: &mut Context<'_>) -> Result<(), Error> {
    let mut stop = StopSignal::new()?;
    let local_bucket = match &args.origin {
        Some(_) => None,
        None => Some(LocalS3::start(&data_dir.join("s3")).await?),
    };
    let config = distribution::config(args, local_bucket.as_ref())?;
    let network = Network::start(args, data_dir).await?;
    let up = async {
        let client = Client::connect(&format!("http://{}", network.api()), Options::default())?;
        network.ready().await;
        let distribution = distribution::create_or_update(&client, config).await?;
        let options = WaitOptions {
            timeout: START_TIMEOUT,
            revision_min: distribution.revision,
            ..WaitOptions::default()
        };
        client.wait_deployed(&distribution.id, options, |_| {}).await
    };
    let up = tokio::select! {
        up = tokio::time::timeout(START_TIMEOUT, up) => up.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::WaitTimeout, format!("start: the network was not up after {} s", START_TIMEOUT.as_secs())))
        }),
        () = stop.asked() => {
            network.stop().await;
            return Ok(());
        }
    };
    let distribution = match up {
        Ok(distribution) => distribution,
        Err(error) => {
            network.stop().await;
            return Err(error);
        }
    };
    context.output.text(&greeting(&distribution, &network, local_bucket.as_ref(), args))?;
    stop.asked().await;
    context.output.say("stopping: connections have a moment to finish");
    network.stop().await;
    Ok(())
}

/// What a person, or a script that waits for `ready`, is told.
fn greeting(
    distribution: &v1::Distribution,
    network: &Network,
    local: Option<&LocalS3>,
    args: &Args,
) -> String {
    let first = network.viewer_addresses()[0];
    let edges: Vec<String> = network.viewer_addresses().iter().map(|a| format!("http://{a}")).collect();
    let domain_name = &distribution.domain_name;
    let object = if local.is_some() { "image.jpg" } else { "" };
    let headland = format!("headland --endpoint http://{}", network.api());
    let mut text = format!(
        "ready: distribution {} ({domain_name}) on {}\n\n\
         Try, in another terminal:\n\
         \x20 curl -si http://{first}/{object} -o /dev/null -D -          # x-cache: Miss from headland\n\
         \x20 curl -si http://{first}/{object} -o /dev/null -D -          # x-cache: Hit from headland\n\
         \x20 curl -si http://{domain_name}:{}/{object} -o /dev/null -D -\n\
         \x20 {headland} edge list\n\
         \x20 {headland} distribution get {} -o yaml\n\
         \x20 {headland} distribution update {} --default-ttl 10s --wait\n",
        distribution.id,
        edges.join(" "),
        first.port(),
        distribution.id,
        distribution.id,
    );
    if let Some(local) = local {
        text.push_str(&format!(
            "\nThe bucket is the folder {}: put your own files there.\n",
            local.folder().display()
        ));
    }
    if args.data_dir.is_none() {
        text.push_str(
            "\nEverything is forgotten when this ends; --data-dir DIR keeps it. Stop with Ctrl-C.\n",
        );
    }
    text
}

/// The folder asked for, or a temporary one that goes with the process.
fn data_dir(asked: Option<&Path>) -> Result<(Option<tempfile::TempDir>, PathBuf), Error> {
    let failed = |e: std::io::Error| Error::new(ErrorKind::Io, format!("make the data folder: {e}"));
    match asked {
        Some(path) => {
            std::fs::create_dir_all(path).map_err(failed)?;
            Ok((None, path.to_owned()))
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("headland-dev-").tempdir().map_err(failed)?;
            let path = temporary.path().to_owned();
            Ok((Some(temporary), path))
        }
    }
}

/// Warnings to stderr, or what `HEADLAND_LOG` asks for.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HEADLAND_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // Fails only if there is a log already.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Ctrl-C and SIGTERM.
struct StopSignal {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignal {
    fn new() -> Result<Self, Error> {
        let listen =
            |kind| signal(kind).map_err(|e| Error::new(ErrorKind::Io, format!("listen for signals: {e}")));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
