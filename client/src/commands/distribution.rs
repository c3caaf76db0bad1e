//! `headland distribution`: what the network is asked to serve.

mod create;
mod delete;
mod flags;
mod show;
mod update;
pub(super) mod wait;

use headland::error::Error;

use super::Session;

/// Create, look at and change distributions
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: DistributionCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DistributionCommand {
    Create(Box<create::Args>),
    Get(show::GetArgs),
    List(show::ListArgs),
    Update(Box<update::Args>),
    Delete(delete::Args),
    Wait(wait::Args),
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Error> {
    match args.command {
        DistributionCommand::Create(args) => create::run(*args, session).await,
        DistributionCommand::Get(args) => show::get(&args, session).await,
        DistributionCommand::List(args) => show::list(&args, session).await,
        DistributionCommand::Update(args) => update::run(*args, session).await,
        DistributionCommand::Delete(args) => delete::run(&args, session).await,
        DistributionCommand::Wait(args) => wait::run(&args, session).await,
    }
}
