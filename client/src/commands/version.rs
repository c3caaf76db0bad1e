//! `headland version`.

use headland::error::Error;
use serde::Serialize;

use super::Context;
use crate::{
    output::{Format, Table},
    settings::Settings,
};

const EXAMPLES: &str = "\
Examples:
  headland version
  headland version -o json";

/// Print the version of this command
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// What is printed.
#[derive(Serialize)]
struct Version {
    client: &'static str,
}

pub(crate) fn run(_: &Args, context: &mut Context<'_>) -> Result<(), Error> {
    let format: Format = Settings::of_process(context.flags)?.output.0;
    let version = Version { client: env!("CARGO_PKG_VERSION") };
    context.output.data(format, &version, || {
        let mut table = Table::of_fields();
        table.row(&[&"headland", &version.client]);
        table
    })
}
