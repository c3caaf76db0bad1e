//! `headland explain`: what an edge would do with a request, and why.

mod question;
mod story;

use headland::{
    error::{Error, ErrorKind},
    spec::ExplanationDocument,
};
use uuid::Uuid;

use self::question::Question;
use super::Session;

const EXAMPLES: &str = "\
Examples:
  headland explain http://www.example.com/image.jpg
  headland explain http://127.0.0.1:8080/image.jpg -H 'host: www.example.com' --edge fra1
  headland explain http://www.example.com/ -H 'accept-language: de' -H 'cookie: lang=de' -o json
  headland explain https://www.example.com/ --client 192.0.2.1
  headland explain http://www.example.com/api/users -X POST";

/// Ask an edge what it would do with a request, and why
///
/// Which distribution and behavior it belongs to, its cache key part by part, what is stored for it and how fresh that is, and
/// why it would be a hit, stale or a miss. Nothing is changed by it, and nothing is sent to the origin.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What the viewer asks for: http://host[:port]/path?query; with https:// as one that came so to what ends TLS before the edge
    #[arg(value_name = "URL")]
    url: String,
    /// The edge to ask, by its id or its location [default: any that is live]
    #[arg(long, value_name = "EDGE")]
    edge: Option<String>,
    /// The viewer's method
    #[arg(long = "request", short = 'X', value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header of the viewer's request, as 'name: value'; may be repeated. Host, given so, replaces the URL's
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Where the viewer asks from: an IP address, or one with a port [default: from nowhere that is known]
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    client: String,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Error> {
    let question = Question::read(&args.url, &args.method, &args.headers, &args.client)?;
    let mut request = question.request.clone();
    if let Some(edge) = args.edge {
        request.edge_id = edge_id(edge, session).await?;
    }
    let answer = session.client.explain(request).await;
    let answer = answer.map_err(|e| advise(e).map_violations(|v| question.in_arguments(v)))?;
    let document = ExplanationDocument::from(answer);
    session.output.data(session.settings.output.0, &document, || story::tell(&document))
}

/// Where an edge did not answer, the fleet is the place to look.
fn advise(error: Error) -> Error {
    match error.code() {
        "no-live-edge" | "edge-gone" | "edge-silent" => error.with_hint(
            "headland edge list shows which edges are live, headland edge get ID which version one runs; an edge answers only \
             through a control plane that it is connected to",
        ),
        _ => error,
    }
}

/// The id of the edge that is meant.
async fn edge_id(edge: String, session: &Session<'_>) -> Result<String, Error> {
    if Uuid::try_parse(&edge).is_ok() {
        return Ok(edge);
    }
    let edges = session.client.edges().all().await?;
    let mut there = edges.into_iter().filter(|e| e.location == edge).map(|e| e.id);
    match (there.next(), there.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(Error::new(
            ErrorKind::NotFound,
            format!("find edge {edge:?}: there is none with this id or location"),
        )
        .with_hint("headland edge list shows which edges there are")),
        (Some(_), Some(_)) => {
            Err(Error::new(ErrorKind::Usage, format!("choose an edge: several stand at {edge:?}"))
                .with_hint("headland edge list shows their ids: name one with --edge"))
        }
    }
}
