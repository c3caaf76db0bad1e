//! What the documents say is so: commands run, the spec is taken, every error code has its heading.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    dev::process::{ANY_PORTS, Dev},
    network::{control_plane::ControlPlane, edge::Edge, origin::fixed, viewer},
};

fn read(path: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a document that stand indented, as commands do.
fn commands(document: &str) -> Vec<&str> {
    let indented = document.lines().filter(|line| line.starts_with("    "));
    indented.map(str::trim).collect()
}

/// The text of the first fenced block in this language.
fn fenced<'a>(document: &'a str, language: &str) -> &'a str {
    let start = format!("```{language}\n");
    let (_, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once("```").expect("an end").0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seven_steps_of_the_readme_can_be_played() {
    let readme = read("README.md");
    let dev = Dev::start(ANY_PORTS).await;
    let edge = dev.headland("edge list -o json").await.ok().json()[0]["id"].as_str().unwrap().to_owned();
    let (mut ran, mut asked) = (0, 0);
    for line in commands(&readme) {
        let line = line.replace("<edge id>", &edge).replace("<id>", &dev.id);
        if let Some(url) = line.strip_prefix("curl ").and_then(|line| line.split("http://").nth(1)) {
            let url = url.replace("<domain name>", &dev.domain_name);
            let (host, path) = url.split_once('/').unwrap();
            let answer = viewer::get(dev.edges[0], host, &format!("/{path}")).await;
            assert_eq!(answer.status, 200, "{line}: {answer:?}");
            asked += 1;
        } else if let Some(words) = line.strip_prefix("headland ").filter(|words| !words.starts_with("dev")) {
            assert!(!words.contains('<'), "a placeholder is left: {line}");
            dev.headland(words).await.ok();
            ran += 1;
        }
    }
    assert!(ran >= 5 && asked >= 1, "{ran} commands and {asked} requests in the README");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_run_headland_dev_in_the_readme_works() {
    let readme = read("README.md");
    let lines = commands(&readme).into_iter().filter_map(|line| line.strip_prefix("headland dev"));
    let make = readme.split("make demo ARGS=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut ran = 0;
    for flags in lines.chain(make) {
        let flags: Vec<_> = flags.split_whitespace().collect();
        let edges = flags.iter().skip_while(|flag| **flag != "--edges").nth(1).map_or("1", |number| *number);
        let mut dev = Dev::start(&[&flags, ANY_PORTS].concat()).await;
        assert_eq!(dev.edges.len().to_string(), edges, "{flags:?}");
        assert_eq!(dev.terminate().await.code(), Some(0), "{flags:?}");
        ran += 1;
    }
    assert!(ran >= 3, "{ran} in the README");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spec_in_the_readme_is_taken_and_served() {
    let readme = read("README.md");
    let spec = fenced(&readme, "yaml");
    let (comment, _) = spec.split_once('\n').unwrap();
    let (_, line) = comment.split_once("headland ").expect("how to create it");
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let path = control_plane.file("site.yaml", spec).display().to_string();
    control_plane.headland(&line.replace("site.yaml", &path)).await.ok();
    let listed = control_plane.json("distribution list").await;
    let config = &listed[0]["config"];
    assert_eq!(config["aliases"][0], "www.example.test", "{listed}");
    assert_eq!(config["cache_behaviors"][0]["path_pattern"], "/api/*", "{listed}");

    // The same spec with an origin that exists answers by the rules it states.
    let origin = fixed("api").await;
    let address = origin.address();
    let here = spec
        .replace("app.internal.example", "127.0.0.1")
        .replace("http_port: 8000", &format!("http_port: {}", address.port()))
        .replace("www.example.test", "api.example.test");
    let path = control_plane.file("here.yaml", &here).display().to_string();
    control_plane.headland(&format!("distribution create -f {path} --wait=60s")).await.ok();
    for _ in 0..2 {
        edge.get("api.example.test", "/api/users").await.miss(b"api");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_in_the_page_on_import_can_be_applied() {
    let page = read("docs/import.md");
    let control_plane = ControlPlane::start().await;
    let file = control_plane.file("site.yaml", fenced(&page, "yaml")).display().to_string();
    control_plane.headland(&format!("apply -f {file} --set site --prune --yes")).await.ok();
    control_plane.headland(&format!("apply -f {file} --dry-run")).await.ok();
    let site = &control_plane.json("distribution list --tag team=web --uses images").await[0]["config"];
    assert_eq!(site["aliases"][0], "www.example.com", "{site}");
}

#[tokio::test]
async fn every_error_code_has_a_heading() {
    let document = read("docs/errors.md");
    let headings: BTreeSet<_> = document.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let kinds: Vec<_> = headland::error::KINDS.iter().map(|kind| kind.code().to_owned()).collect();
    let reasons: Vec<_> = read("control-plane/src/api/status.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next().map(str::to_owned))
        .collect();
    assert!(reasons.len() >= 10, "{reasons:?}");
    let missing: Vec<_> =
        kinds.iter().chain(&reasons).filter(|code| !headings.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "no heading for {missing:?}");
}
