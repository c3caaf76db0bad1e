//! `headland distribution get` and `list`, and how a distribution is printed.

use headland::{
    client::Client,
    error::{Error, ErrorKind},
    spec::{DistributionDocument, OriginKind, OriginSpec, ProtocolPolicy},
    v1::{self, distribution_status::State},
};

use crate::{
    commands::{Session, tags},
    output::Table,
};

const GET_EXAMPLES: &str = "\
Examples:
  headland distribution get EABCDEFGHIJKLM
  headland distribution get EABCDEFGHIJKLM -o yaml | tee site.yaml";

/// Show one distribution
///
/// What -o yaml prints can be edited and given to `update -f`.
#[derive(Debug, clap::Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct GetArgs {
    /// The distribution's id
    id: String,
}

const LIST_EXAMPLES: &str = "\
Examples:
  headland distribution list
  headland distribution list --tag team=web --uses Managed-CachingOptimized --enabled true
  headland distribution list -o json";

/// List distributions, in order of id
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    tags: tags::Filter,
    /// Only those that answer to this host name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only those with an origin on this host, or in this bucket
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// Only those that use this policy
    #[arg(long, value_name = "ID|NAME")]
    uses: Option<String>,
    /// Only those that are enabled, or disabled
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
    /// Only those that every live edge serves as they are now, or does not yet
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<StateFlag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StateFlag {
    Deployed,
    InProgress,
}

impl ListArgs {
    async fn filter(&self, client: &Client) -> Result<v1::DistributionFilter, Error> {
        Ok(v1::DistributionFilter {
            tags: self.tags.wire(),
            host: self.host.clone().unwrap_or_default(),
            origin: self.origin.clone().unwrap_or_default(),
            uses: match &self.uses {
                Some(policy) => id_of(policy, client).await?,
                None => String::new(),
            },
            enabled: self.enabled,
            state: match self.state {
                None => State::Unspecified,
                Some(StateFlag::Deployed) => State::Deployed,
                Some(StateFlag::InProgress) => State::InProgress,
            }
            .into(),
        })
    }
}

/// The id of the one policy that has this name or id.
async fn id_of(policy: &str, client: &Client) -> Result<String, Error> {
    let names = client.names().await?;
    let ids = names.ids_of(policy);
    match (ids.first(), ids.len()) {
        (Some(id), 1) => Ok((*id).to_owned()),
        (None, _) => {
            Err(Error::new(ErrorKind::NotFound, format!("find a policy with the name or id {policy:?}"))
                .with_hint(
                    "headland cache-policy list and headland origin-request-policy list show what there is",
                ))
        }
        _ => Err(Error::new(
            ErrorKind::Usage,
            format!("find the policy: several kinds have one named {policy:?}"),
        )
        .with_hint("name it by its id")),
    }
}

pub(crate) async fn get(args: &GetArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let distribution = session.client.get_distribution(&args.id).await?;
    print(&distribution, session)
}

pub(crate) async fn list(args: &ListArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let filter = args.filter(&session.client).await?;
    let all = session.client.distributions_that(filter).all().await?;
    let documents = all.iter().map(DistributionDocument::try_from).collect::<Result<Vec<_>, _>>()?;
    session.output.data(session.settings.output.0, &documents, || {
        let mut table = Table::of_things(&[
            "ID",
            "DOMAIN_NAME",
            "STATUS",
            "ENABLED",
            "REVISION",
            "ALIASES",
            "ORIGINS",
            "COMMENT",
        ]);
        for d in &documents {
            table.row(&[
                &d.id,
                &d.domain_name,
                &d.status.state.as_str(),
                &d.config.enabled,
                &d.revision,
                &d.config.aliases.join(","),
                &origins(&d.config.origins),
                &d.config.comment,
            ]);
        }
        table
    })
}

/// Prints a distribution in the format asked for.
pub(crate) fn print(distribution: &v1::Distribution, session: &mut Session<'_>) -> Result<(), Error> {
    let document = DistributionDocument::try_from(distribution)?;
    session.output.data(session.settings.output.0, &document, || table(&document))
}

fn table(d: &DistributionDocument) -> Table {
    let mut table = Table::of_fields();
    table.row(&[&"id", &d.id]);
    table.row(&[&"domain_name", &d.domain_name]);
    table.row(&[&"status", &d.status.state.as_str()]);
    table.row(&[&"edges", &format!("{} of {} live", d.status.applied_edges, d.status.live_edges)]);
    table.row(&[&"etag", &d.etag]);
    table.row(&[&"revision", &d.revision]);
    table.row(&[&"create_time", &d.create_time]);
    table.row(&[&"update_time", &d.update_time]);
    table.row(&[&"enabled", &d.config.enabled]);
    table.row(&[&"debug_headers", &d.config.debug_headers]);
    table.row(&[&"aliases", &d.config.aliases.join(",")]);
    table.row(&[&"origins", &origins(&d.config.origins)]);
    table.row(&[&"comment", &d.config.comment]);
    table.row(&[&"tags", &tags::text(&d.config.tags)]);
    table.row(&[&"caller_reference", &d.config.caller_reference]);
    for r in &d.status.refusals {
        table.row(&[&"refusal", &format!("edge {}: {}", r.edge_id, r.reason)]);
    }
    for p in &d.status.origin_problems {
        table.row(&[&"origin_problem", &format!("edge {}: origin {}: {}", p.edge_id, p.origin_id, p.reason)]);
    }
    table
}

fn origins(origins: &[OriginSpec]) -> String {
    origins.iter().map(url).collect::<Vec<_>>().join(",")
}

/// The origin as a URL: the form that `--origin` takes.
fn url(origin: &OriginSpec) -> String {
    let server = match &origin.kind {
        None => return origin.id.clone(),
        Some(OriginKind::S3(s3)) => format!("s3://{}", s3.bucket),
        Some(OriginKind::Custom(custom)) => {
            let (scheme, port) = match custom.protocol_policy {
                Some(ProtocolPolicy::HttpsOnly) => ("https", custom.https_port),
                _ => ("http", custom.http_port),
            };
            let port = port.map(|p| format!(":{p}")).unwrap_or_default();
            format!("{scheme}://{}{port}", custom.domain_name)
        }
    };
    format!("{server}{}", origin.origin_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_shown_as_they_are_given() {
        for text in [
            "http://example.com",
            "https://example.com:8443/site",
            "http://127.0.0.1:8000",
            "s3://photos/2026",
        ] {
            assert_eq!(url(&OriginSpec::from_url(text).expect("origin")), text);
        }
    }
}
