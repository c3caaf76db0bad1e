//! `headland distribution get` and `list`, and how a distribution is printed.

use headland::{
    error::Error,
    spec::{DistributionDocument, OriginKind, OriginSpec, ProtocolPolicy},
    v1,
};

use crate::{commands::Session, output::Table};

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
  headland distribution list -o json";

/// List all distributions, in order of id
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {}

pub(crate) async fn get(args: &GetArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let distribution = session.client.get_distribution(&args.id).await?;
    print(&distribution, session)
}

pub(crate) async fn list(_: &ListArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let all = session.client.distributions().all().await?;
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
