//! Cache groups (RFC 9875).

use std::sync::Arc;

use headland_edge_agent::routing::{Distribution, Table};
use headland_proto::v1;

use crate::support::{
    edge::{ALL_METHODS, Edge, behavior, config},
    origin::Origin,
    scenario::{Scenario, Step, ask, cached, check, fetch, get, scenario},
    viewer::{Viewer, get as plain_get},
};

fn grouped(path: &str, groups: &str, body: &str) -> Step {
    fetch(&format!("cache-control: max-age=1000\ncache-groups: {groups}"), body).path(path)
}

fn invalidate(method: &str, value: &str) -> Step {
    let header = format!("cache-group-invalidation: {value}");
    ask(method).path("/change").origin(&header, "done").gives(200, "done")
}

/// Whether a response in these groups survives this invalidation.
fn survives(name: &str, groups: &str, invalidation: &str, survives: bool) -> Scenario {
    let last = if survives { cached("one").path("/x") } else { grouped("/x", groups, "two") };
    scenario(
        format!("9875 {name}: {groups} and {invalidation}"),
        [grouped("/x", groups, "one"), invalidate("POST", invalidation), last],
    )
}

#[test]
fn all_of_a_group_go() {
    check([
        survives("3", "\"g\"", "\"g\"", false),
        survives("3", "\"a\", \"g\"", "\"g\"", false),
        survives("3", "\"g\"", "\"a\", \"g\"", false),
        survives("3: parameters mean nothing", "\"g\";x=1", "\"g\";y", false),
        survives("3: several lines", "\"a\"\ncache-groups: \"g\"", "\"g\"", false),
        survives("3: several lines", "\"g\"", "\"a\"\ncache-group-invalidation: \"g\"", false),
        survives("3: a comma in a name", "\"a,b\"", "\"a,b\"", false),
        scenario(
            "9875 3: every one, and no other",
            [
                grouped("/x", "\"g\"", "x"),
                grouped("/y", "\"h\", \"g\"", "y"),
                grouped("/z", "\"h\"", "z"),
                fetch("cache-control: max-age=1000", "n").path("/n"),
                invalidate("DELETE", "\"g\""),
                grouped("/x", "\"g\"", "new x"),
                grouped("/y", "\"h\", \"g\"", "new y"),
                cached("z").path("/z"),
                cached("n").path("/n"),
                cached("new x").path("/x"),
            ],
        ),
    ]);
}

#[test]
fn others_stay() {
    check([
        survives("2.1: another", "\"g\"", "\"h\"", true),
        survives("2.1: character by character", "\"g\"", "\"G\"", true),
        survives("2.1: a prefix", "\"gg\"", "\"g\"", true),
        survives("2.1: a comma in a name", "\"a\", \"b\"", "\"a,b\"", true),
        survives("3: not a list of strings", "\"g\"", "g", true),
        survives("3: not a list of strings", "\"g\"", "\"g", true),
        survives("2: not a list of strings", "g", "\"g\"", true),
        survives("3: empty", "\"\"", "", true),
    ]);
}

#[test]
fn only_unsafe_methods_invalidate() {
    check(["GET", "OPTIONS"].map(|method| {
        scenario(
            format!("9875 3: {method} is safe"),
            [grouped("/x", "\"g\"", "one"), invalidate(method, "\"g\""), cached("one").path("/x")],
        )
    }));
    check(["PUT", "PATCH", "DELETE", "M-SEARCH"].map(|method| {
        scenario(
            format!("9875 3: {method} is not"),
            [grouped("/x", "\"g\"", "one"), invalidate(method, "\"g\""), grouped("/x", "\"g\"", "two")],
        )
    }));
}

#[test]
fn groups_come_from_what_is_stored_now() {
    check([scenario(
        "9875 2, 9111 3.2: a 304 changes them",
        [
            fetch("cache-control: max-age=60\netag: \"e\"\ncache-groups: \"old\"", "one"),
            get()
                .after(70)
                .origin_status("304 Not Modified", "etag: \"e\"\ncache-groups: \"new\"", "")
                .gives(200, "one"),
            invalidate("POST", "\"old\""),
            cached("one"),
            invalidate("POST", "\"new\""),
            fetch("cache-control: max-age=60", "two"),
        ],
    )]);
}

#[test]
fn groups_end_at_their_distribution() {
    let origin = Origin::fixed(
        "cache-control: max-age=1000\ncache-groups: \"g\"\ncache-group-invalidation: \"g\"",
        "hello",
    );
    let edge = Edge::start(config(origin.address));
    let distribution = |id: &str, alias: &str| {
        let mut config = config(origin.address);
        config.aliases = vec![alias.into()];
        behavior(&mut config).allowed_methods = ALL_METHODS.map(str::to_owned).to_vec();
        let desired = v1::DesiredDistribution {
            id: id.into(),
            domain_name: format!("{}.cdn.localhost", id.replace('E', "d").to_lowercase()),
            revision: 1,
            config: Some(config),
        };
        Arc::new(
            Distribution::compile(&desired, &headland_proto::model::Resources::default())
                .expect("valid distribution"),
        )
    };
    let table = [distribution("EABCDEFGHIJKLM", "cdn.test"), distribution("ENOPQRSTUVWXYZ", "other.test")];
    edge.shared.routing.publish(Table::new(table));
    let other = |method: &str| {
        let mut viewer = Viewer::connect(edge.address);
        viewer
            .raw(format!("{method} /x HTTP/1.1\r\nhost: other.test\r\ncontent-length: 0\r\n\r\n").as_bytes());
        assert_eq!(viewer.response(false).status, 200);
    };
    plain_get(edge.address, "/x", &[]);
    other("GET");
    other("POST");
    assert_eq!(origin.requests(), 3);
    plain_get(edge.address, "/x", &[]);
    assert_eq!(origin.requests(), 3, "an invalidation reached another distribution");
    other("GET");
    assert_eq!(origin.requests(), 4);
}
