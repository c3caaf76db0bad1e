//! Sets of files: written by export, made so by apply, and left alone when they are so.

use serde_json::{Value, json};

use super::{
    harness::{Bench, Run},
    signing::KeyFiles,
};
use crate::network::{control_plane::ControlPlane, edge::Edge, origin::fixed};

const POLICY: &str = "kind: cache-policy\nconfig:\n  name: images\n  min_ttl: 1h\n";
const SITE: &str = "kind: distribution\nconfig:\n  origins:\n  - id: o\n    custom: {domain_name: o.example.com}\n  \
                    default_cache_behavior:\n    target_origin_id: o\n    cache_policy: images\n    origin_request_policy: \
                    Managed-AllViewer\n  cache_behaviors:\n  - {path_pattern: '*.css', target_origin_id: o, compress: false}\n";

/// A control plane, and a folder of files to apply to it.
struct Set {
    bench: Bench,
}

impl Set {
    async fn start(files: &[(&str, &str)]) -> Self {
        let set = Self { bench: Bench::start().await };
        std::fs::create_dir(set.bench.home.path().join("set")).expect("a folder");
        files.iter().for_each(|(name, text)| set.file(name, text));
        set
    }

    fn dir(&self) -> String {
        self.bench.home.path().join("set").display().to_string()
    }

    fn file(&self, name: &str, text: &str) {
        self.bench.file(&format!("set/{name}"), text);
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(format!("{}/{name}", self.dir())).expect("a file");
    }

    async fn apply(&self, flags: &str) -> Run {
        self.bench.headland(&format!("apply -f {} -o json {flags}", self.dir())).await
    }

    async fn list(&self, noun: &str) -> Vec<Value> {
        let custom = if noun.ends_with("-policy") { "--type custom" } else { "" };
        let listed = self.bench.headland(&format!("{noun} list {custom} -o json")).await.ok().json();
        listed.as_array().expect("a list").clone()
    }
}

fn steps(run: &Run) -> Vec<String> {
    let text = |step: &Value, name: &str| step[name].as_str().expect("text").to_owned();
    let steps = run.json().as_array().expect("steps").clone();
    steps
        .iter()
        .map(|s| {
            format!("{} {} {} {}", text(s, "action"), text(s, "kind"), text(s, "name"), text(s, "outcome"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_created_changed_and_then_left_alone() {
    let set = Set::start(&[("a-site.yaml", SITE), ("z-policy.yaml", POLICY)]).await;
    let asked = set.apply("").await;
    asked.failed(2, "usage").says(&["create cache-policy images", "--yes"]);
    let planned = set.apply("--dry-run").await;
    assert_eq!(planned.code, Some(2), "{planned:#?}");
    let expected = ["create cache-policy images pending", "create distribution a-site pending"];
    assert_eq!(steps(&planned), expected);
    assert!(set.list("distribution").await.is_empty(), "a dry run did something");

    let done = set.apply("--yes --set site").await.ok();
    assert_eq!(steps(&done), expected.map(|step| step.replace("pending", "done")));
    let site = &set.list("distribution").await[0];
    let policy = &set.list("cache-policy").await[0];
    assert_eq!(site["config"]["default_cache_behavior"]["cache_policy_id"], policy["id"]);
    assert_eq!(site["config"]["caller_reference"], "a-site", "it is called after its file");
    assert_eq!(site["config"]["tags"], json!({"headland:applied-by": "site"}));
    let again = set.apply("--dry-run").await.ok();
    assert!(again.stderr.contains("no changes") && again.json() == json!([]), "{again:#?}");
    assert_eq!(set.list("distribution").await[0]["etag"], site["etag"]);

    set.file("a-site.yaml", &SITE.replace("compress: false", "compress: true"));
    let changed = set.apply("--yes").await.ok();
    changed.says(&["change distribution a-site", "cache_behaviors[0].compress: (unset) -> true"]);
    let site = &set.list("distribution").await[0];
    assert_eq!(site["config"]["tags"], json!({"headland:applied-by": "site"}), "who made it has not changed");
    set.apply("--dry-run").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_deletes_what_the_set_made_and_nothing_else() {
    let set = Set::start(&[("policy.yaml", POLICY), ("site.yaml", SITE)]).await;
    let foreign = set.bench.create("--tag team=web").await;
    set.bench.headland_with_stdin("cache-policy create -f -", "name: foreign\n").await.ok();
    set.apply("--yes --set mine").await.ok();
    set.remove("site.yaml");
    set.remove("policy.yaml");
    set.file("other.yaml", "kind: cache-policy\nconfig: {name: other}\n");
    assert_eq!(steps(&set.apply("--yes --set mine").await.ok()), ["create cache-policy other done"]);
    assert_eq!(set.list("distribution").await.len(), 2, "nothing is deleted unasked");
    assert!(set.apply("--prune --set yours --dry-run").await.ok().json() == json!([]), "another set's");
    let pruned = set.apply("--prune --set mine --yes").await.ok();
    assert_eq!(steps(&pruned), ["delete distribution site done", "delete cache-policy images done"]);
    let left = set.list("distribution").await;
    assert_eq!((left.len(), left[0]["id"].as_str()), (1, Some(foreign.as_str())));
    let names: Vec<Value> =
        set.list("cache-policy").await.iter().map(|p| p["config"]["name"].clone()).collect();
    assert!(
        names.len() == 2 && names.contains(&json!("foreign")) && names.contains(&json!("other")),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_with_any_file_is_told_before_anything_is_done() {
    let set = Set::start(&[
        ("a.yaml", POLICY),
        ("b.yaml", "kind: cache-policy\nconfig:\n  name: images\n  headers: {names: [Cookie]}\n"),
        ("c.yaml", &SITE.replace("domain_name: o.example.com", "domain_name: a b")),
        ("d.json", "{\"kind\": \"cache-policy\", \"config\": {\"nam\": 1}}"),
        ("e.yaml", "---\nname: x\n---\nkind: what\nconfig: {}\n"),
        ("notes.txt", "not a spec"),
    ])
    .await;
    let wrong = set.apply("--yes").await.failed(2, "spec-invalid");
    let wrong = wrong.says(&[
        "b.yaml:3:9: name: \"images\" is that of another cache-policy in these files",
        "b.yaml:4:21: headers.names[0]: ",
        "c.yaml:5:27: origins[0].custom.domain_name: ",
        "d.json:1:",
        "e.yaml:2: kind: is missing",
        "e.yaml:4:7: kind: \"what\" is unknown",
        "6 things are wrong",
    ]);
    assert!(!wrong.stderr.contains("notes.txt"), "{wrong:#?}");
    assert!(set.list("cache-policy").await.is_empty(), "something was done");
    let checked = set.apply("--dry-run").await;
    checked.failed(1, "spec-invalid");
    for name in ["b.yaml", "c.yaml", "d.json", "e.yaml"] {
        set.remove(name);
    }
    set.file("f.yaml", &SITE.replace("images", "nothing"));
    set.apply("--yes")
        .await
        .failed(2, "spec-invalid")
        .says(&["f.yaml:8:19: default_cache_behavior.cache_policy: \"nothing\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_next_run_goes_on() {
    let taken = "kind: distribution\nconfig:\n  aliases: [www.example.com]\n  origins: [{id: o, custom: {domain_name: \
                 o.example.com}}]\n  default_cache_behavior: {target_origin_id: o}\n";
    let set = Set::start(&[
        ("a.yaml", POLICY),
        ("b.yaml", SITE),
        ("c.yaml", taken),
        ("d.yaml", &taken.replace("www", "d")),
    ])
    .await;
    let holder = set.bench.create("--alias www.example.com").await;
    let failed = set.apply("--yes").await;
    assert_eq!(failed.code, Some(4), "{failed:#?}");
    assert_eq!(
        steps(&failed),
        [
            "create cache-policy images done",
            "create distribution b done",
            "create distribution c failed",
            "create distribution d pending"
        ]
    );
    let failed = failed.says(&[
        "error[host-name-taken]",
        &holder,
        "not done: create distribution d",
        "2 of 4 changes were made",
    ]);
    assert!(failed.stderr.contains("done: create distribution b ("), "{failed:#?}");
    set.bench.headland(&format!("distribution update {holder} --alias other.example.com")).await.ok();
    assert_eq!(
        steps(&set.apply("--yes").await.ok()),
        ["create distribution c done", "create distribution d done"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_moves_from_one_distribution_to_another() {
    let site = |alias: &str| {
        format!(
            "kind: distribution\nconfig:\n  aliases: [{alias}.example.com]\n  origins: [{{id: o, custom: {{domain_name: \
             o.example.com}}}}]\n  default_cache_behavior: {{target_origin_id: o}}\n"
        )
    };
    let set = Set::start(&[("b.yaml", &site("www")), ("c.yaml", &site("old"))]).await;
    set.apply("--yes --set s").await.ok();
    set.file("a.yaml", &site("www"));
    set.file("b.yaml", &site("new"));
    assert_eq!(
        steps(&set.apply("--yes --set s").await.ok()),
        ["change distribution b done", "create distribution a done"]
    );
    set.remove("c.yaml");
    set.file("d.yaml", &site("old"));
    let moved = set.apply("--yes --set s --prune").await.ok();
    assert_eq!(steps(&moved), ["delete distribution c done", "create distribution d done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_can_be_made_again() {
    let set = Set::start(&[("policy.yaml", POLICY), ("site.yaml", SITE)]).await;
    let orp =
        "kind: origin-request-policy\nconfig: {name: forward, cookies: {mode: all}, tags: {team: web}}\n";
    set.file("orp.yaml", orp);
    set.file("site.yaml", &SITE.replace("Managed-AllViewer", "forward"));
    set.apply("--yes --set s").await.ok();
    let before = set.list("distribution").await[0].clone();
    let id = before["id"].as_str().expect("an id");
    let printed = set.bench.headland(&format!("export {id}")).await.ok().stdout;
    assert_eq!(printed.matches("kind: ").count(), 3, "{printed}");
    for assigned in [id, "etag", "revision", "applied-by", "create_time"] {
        assert!(!printed.contains(assigned), "{assigned} in {printed}");
    }
    let out = set.bench.home.path().join("out");
    let export = format!("export --all --dir {}", out.display());
    set.bench.headland(&export).await.ok().says(&["cache-policy-images.yaml", "distribution-site.yaml"]);
    set.bench.headland(&export).await.ok();

    set.bench.headland(&format!("distribution delete {id} --disable")).await.ok();
    for noun in ["cache-policy", "origin-request-policy"] {
        let policy = set.list(noun).await[0]["id"].as_str().expect("an id").to_owned();
        set.bench.headland(&format!("{noun} delete {policy}")).await.ok();
    }
    set.bench.headland(&format!("apply -f {} --set s --yes", out.display())).await.ok();
    let after = set.list("distribution").await[0].clone();
    assert_ne!(after["id"], before["id"]);
    let policy = |site: &Value| site["config"]["default_cache_behavior"]["cache_policy_id"].clone();
    assert_ne!(policy(&after), policy(&before), "the policy is a new one, too");
    // But for the new ids it is the same, and what is printed is the same to the letter.
    assert_eq!(
        set.bench.headland(&format!("export {}", after["id"].as_str().expect("an id"))).await.ok().stdout,
        printed
    );
    set.file("edited.yaml", "");
    let edited = printed.replace("*.css", "*.js");
    std::fs::write(out.join("distribution-site.yaml"), edited).expect("a file");
    set.bench.headland(&export).await.failed(1, "io").says(&["distribution-site.yaml", "--overwrite"]);
    set.bench.headland(&format!("{export} --overwrite")).await.ok();
    set.bench.headland("export EABCDEFGHIJKLM").await.failed(3, "not-found").says(&["EABCDEFGHIJKLM"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_edges_serve_what_was_applied() {
    let control_plane = ControlPlane::start().await;
    let edge = Edge::start("fra1", &[&control_plane]).await;
    let origin = fixed("applied").await;
    let address = origin.address();
    let (host, port) = (address.ip(), address.port());
    let text = format!(
        "{POLICY}  query_strings: {{mode: whitelist, names: [page]}}\n---\nkind: distribution\nconfig:\n  aliases: \
         [www.example.com]\n  origins: [{{id: o, custom: {{domain_name: {host}, http_port: {port}}}}}]\n  default_cache_behavior: \
         {{target_origin_id: o, cache_policy: images}}\n"
    );
    let file = control_plane.file("site.yaml", &text);
    control_plane.headland(&format!("apply -f {} --yes --wait=60s", file.display())).await.ok();
    edge.get("www.example.com", "/a?page=1&x=1").await.miss(b"applied");
    edge.get("www.example.com", "/a?page=1&x=2").await.hit(b"applied");
    edge.get("www.example.com", "/a?page=2").await.miss(b"applied");
}

/// One file with a distribution, and then everything that it refers to.
async fn signed_site() -> String {
    let key = KeyFiles::ecdsa().await;
    let pem = std::fs::read_to_string(&key.public).expect("a key");
    let pem: String = pem.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "kind: distribution\nconfig:\n  caller_reference: site\n  geo_restriction: {{mode: blacklist, country_codes: [AQ]}}\n  origins: \
         [{{id: o, custom: {{domain_name: o.example.com}}, origin_shield: {{location: fra1}}}}]\n  default_cache_behavior:\n    \
         target_origin_id: o\n    viewer_protocol_policy: redirect-to-https\n    response_headers_policy: headers\n    \
         trusted_key_group_ids: [members]\n---\nkind: key-group\nconfig: {{name: members, public_key_ids: [key]}}\n---\nkind: \
         public-key\nconfig:\n  name: key\n  public_key_pem: |\n{pem}---\nkind: response-headers-policy\nconfig:\n  name: headers\n  \
         custom_headers: [{{name: X-A, value: '1', origin_override: true}}]\n  server_timing: {{sampling_rate: 12.5}}\n"
    )
}

const SIGNED: [&str; 4] =
    ["response-headers-policy headers", "public-key key", "key-group members", "distribution site"];

#[tokio::test(flavor = "multi_thread")]
async fn one_file_holds_a_distribution_and_all_that_it_uses() {
    let site = signed_site().await;
    let set = Set::start(&[("site.yaml", &site)]).await;
    let made = SIGNED.map(|thing| format!("create {thing} done"));
    assert_eq!(steps(&set.apply("--yes --set s").await.ok()), made);
    assert_eq!(
        set.apply("--dry-run --set s").await.ok().json(),
        json!([]),
        "the second run has nothing to do"
    );
    let before = set.list("distribution").await[0].clone();
    let id = before["id"].as_str().expect("an id").to_owned();
    let group = set.list("key-group").await[0].clone();
    assert_eq!(before["config"]["default_cache_behavior"]["trusted_key_group_ids"], json!([group["id"]]));
    assert_eq!(group["config"]["public_key_ids"], json!([set.list("public-key").await[0]["id"]]));

    // It comes with its key group, and that with its public key; so does the key group alone.
    let printed = set.bench.headland(&format!("export {id}")).await.ok().stdout;
    assert_eq!(printed.matches("kind: ").count(), SIGNED.len(), "{printed}");
    let alone = format!("export {}", group["id"].as_str().expect("an id"));
    assert_eq!(set.bench.headland(&alone).await.ok().stdout.matches("kind: ").count(), 2);

    set.remove("site.yaml");
    set.file("nothing.yaml", "");
    let gone = steps(&set.apply("--yes --set s --prune").await.ok());
    let order = [SIGNED[3], SIGNED[0], SIGNED[2], SIGNED[1]];
    assert_eq!(gone, order.map(|thing| format!("delete {thing} done")), "what refers goes first");

    let out = set.bench.file("printed.yaml", &printed);
    set.bench.headland(&format!("apply -f {} --set s --yes", out.display())).await.ok();
    let after = set.list("distribution").await[0].clone();
    assert_ne!(after["id"], before["id"]);
    // But for the new ids it is the same, and what is printed is the same to the letter.
    let again = format!("export {}", after["id"].as_str().expect("an id"));
    assert_eq!(set.bench.headland(&again).await.ok().stdout, printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_group_names_public_keys_that_are_there_or_in_the_files() {
    let group = "kind: key-group\nconfig:\n  name: g\n  public_key_ids: [nobody]\n";
    let set = Set::start(&[("g.yaml", group)]).await;
    let wrong = set.apply("--yes").await.failed(2, "spec-invalid");
    wrong.says(&["g.yaml:4:20: public_key_ids[0]: \"nobody\" is not the name of a public key"]);
    let id = "00000000-0000-4000-8000-000000000001";
    set.file("g.yaml", &group.replace("nobody", id));
    let wrong = set.apply("--yes").await.failed(2, "spec-invalid");
    wrong.says(&["g.yaml:4:20: public_key_ids[0]: \"00000000-", "is not the id of a public key"]);
    assert!(set.list("key-group").await.is_empty(), "something was done");
}
