//! `headland edge`: which edges there are, where, and how they are.

use headland::{error::Error, spec::EdgeDocument};

use super::Session;
use crate::output::Table;

/// Look at the edges
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: EdgeCommand,
}

#[derive(Debug, clap::Subcommand)]
enum EdgeCommand {
    /// List the edges: where they stand, whether they are live, what they have applied
    #[command(after_help = "Examples:\n  headland edge list\n  headland edge list -o json")]
    List,
    /// Show everything that is known about one edge
    #[command(after_help = "Examples:\n  headland edge get 0198c0de-0000-7000-8000-000000000001")]
    Get {
        /// The edge's id: a UUID
        id: String,
    },
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Error> {
    match args.command {
        EdgeCommand::List => list(session).await,
        EdgeCommand::Get { id } => get(&id, session).await,
    }
}

async fn list(session: &mut Session<'_>) -> Result<(), Error> {
    let edges = session.client.edges().all().await?;
    let edges: Vec<EdgeDocument> = edges.iter().map(Into::into).collect();
    session.output.data(session.settings.output.0, &edges, || {
        let mut table = Table::of_things(&[
            "ID",
            "LOCATION",
            "LIVENESS",
            "VIEWER_URL",
            "APPLIED_REVISION",
            "DISTRIBUTIONS",
            "REFUSALS",
            "OBJECTS",
            "BYTES",
        ]);
        for e in &edges {
            table.row(&[
                &e.id,
                &e.location,
                &e.liveness.as_str(),
                &e.viewer_url,
                &e.applied_revision,
                &e.distributions,
                &e.refusals,
                &e.cache.objects,
                &e.cache.bytes,
            ]);
        }
        table
    })
}

async fn get(id: &str, session: &mut Session<'_>) -> Result<(), Error> {
    let edge = EdgeDocument::from(&session.client.get_edge(id).await?);
    session.output.data(session.settings.output.0, &edge, || {
        let mut table = Table::of_fields();
        table.row(&[&"id", &edge.id]);
        table.row(&[&"location", &edge.location]);
        table.row(&[&"liveness", &edge.liveness.as_str()]);
        table.row(&[&"viewer_url", &edge.viewer_url]);
        table.row(&[&"agent_version", &edge.agent_version]);
        table.row(&[&"applied_revision", &edge.applied_revision]);
        table.row(&[&"connect_time", &edge.connect_time]);
        table.row(&[&"report_time", &edge.report_time]);
        table.row(&[&"uptime", &format!("{} s", edge.uptime_seconds)]);
        table.row(&[&"distributions", &edge.distributions]);
        table.row(&[&"refusals", &edge.refusals]);
        table.row(&[&"cache_objects", &edge.cache.objects]);
        table.row(&[&"cache_bytes", &format!("{} of {}", edge.cache.bytes, edge.cache.capacity_bytes)]);
        let t = &edge.traffic;
        table.row(&[&"requests", &format!("{} ({} hits, {} misses)", t.requests, t.hits, t.misses)]);
        table.row(&[&"origin_fetches", &format!("{} ({} failed)", t.origin_fetches, t.origin_errors)]);
        table.row(&[&"viewer_bytes_sent", &t.viewer_bytes_sent]);
        table.row(&[&"evictions", &t.evictions]);
        table.row(&[&"expirations", &t.expirations]);
        table
    })
}
