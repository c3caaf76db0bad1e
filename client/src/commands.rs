//! The commands, noun by noun.

mod apply;
mod completions;
#[cfg(feature = "dev")]
mod dev;
mod distribution;
mod edge;
mod explain;
mod export;
mod import;
mod key;
mod lint;
mod names;
mod policy;
mod sign;
mod source;
mod tags;
mod things;
mod version;

use std::future::Future;

use headland::{
    client::{Client, Options},
    error::{Error, ErrorKind},
};

use crate::{
    output::Output,
    settings::{Flags, Settings},
};

/// What can be done. A command that needs more than the client library stands behind the Cargo feature that brings it.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Distribution(distribution::Args),
    CachePolicy(policy::CachePolicyArgs),
    OriginRequestPolicy(policy::OriginRequestPolicyArgs),
    ResponseHeadersPolicy(policy::ResponseHeadersPolicyArgs),
    PublicKey(key::PublicKeyArgs),
    KeyGroup(key::KeyGroupArgs),
    Edge(edge::Args),
    Explain(explain::Args),
    Sign(sign::Args),
    Export(export::Args),
    Apply(apply::Args),
    Import(import::Args),
    Lint(lint::Args),
    Version(version::Args),
    Completions(completions::Args),
    #[cfg(feature = "dev")]
    Dev(dev::Args),
}

impl Command {
    pub(crate) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        match self {
            Self::Distribution(args) => {
                context.block_on(async |session| distribution::run(args, session).await)
            }
            Self::CachePolicy(args) => {
                context.block_on(async |session| policy::run_cache_policy(args, session).await)
            }
            Self::OriginRequestPolicy(args) => {
                context.block_on(async |session| policy::run_origin_request_policy(args, session).await)
            }
            Self::ResponseHeadersPolicy(args) => {
                context.block_on(async |session| policy::run_response_headers_policy(args, session).await)
            }
            Self::PublicKey(args) => {
                context.block_on(async |session| key::run_public_key(args, session).await)
            }
            Self::KeyGroup(args) => context.block_on(async |session| key::run_key_group(args, session).await),
            Self::Edge(args) => context.block_on(async |session| edge::run(args, session).await),
            Self::Explain(args) => context.block_on(async |session| explain::run(args, session).await),
            Self::Sign(args) => sign::run(&args, context),
            Self::Export(args) => context.block_on(async |session| export::run(&args, session).await),
            Self::Apply(args) => {
                let done = context.block_on(async |session| apply::run(&args, session).await);
                done.map_err(|error| if args.dry_run { error.in_dry_run() } else { error })
            }
            Self::Import(args) => context.block_on(async |session| import::run(args, session).await),
            Self::Lint(args) => context.block_on(async |session| lint::run(&args, session).await),
            Self::Version(args) => version::run(&args, context),
            Self::Completions(args) => completions::run(&args, context),
            #[cfg(feature = "dev")]
            Self::Dev(args) => dev::run(&args, context),
        }
    }
}

/// What every command is given.
pub(crate) struct Context<'p> {
    pub(crate) flags: &'p Flags,
    pub(crate) output: &'p mut Output,
}

/// What a command that talks to a control plane is given.
pub(crate) struct Session<'p> {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) output: &'p mut Output,
}

impl<'p> Context<'p> {
    pub(crate) fn new(flags: &'p Flags, output: &'p mut Output) -> Self {
        Self { flags, output }
    }

    /// Runs a command that talks to a control plane.
    fn block_on<'c>(
        &'c mut self,
        command: impl AsyncFnOnce(&mut Session<'c>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let settings = Settings::of_process(self.flags)?;
        let options = Options {
            call_timeout: settings.call_timeout.0.0,
            ca_certificate: settings.ca_certificate.0.as_deref().map(read_certificate).transpose()?,
            ..Options::default()
        };
        run_async(async {
            let client = Client::connect(&settings.endpoint.0, options)?;
            let mut session = Session { client, settings, output: self.output };
            command(&mut session).await
        })
    }
}

fn run_async(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, format!("start: {e}")))?
        .block_on(command)
}

fn read_certificate(path: &std::path::Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|e| {
        Error::new(ErrorKind::Settings, format!("read the CA certificate {}: {e}", path.display()))
    })
}
