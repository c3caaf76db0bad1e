//! Configs as the AWS CLI prints them, imported, and served as CloudFront documents.

use http::{Method, Request, header};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    harness::{Bench, Run},
    signing::KeyFiles,
};
use crate::network::{
    control_plane::ControlPlane,
    edge::Edge,
    origin::{full, scripted},
    server::Server,
    viewer::{self, Answer},
};

fn fixture(name: &str) -> String {
    format!("{}/tests/it/import/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// An origin that says what it was asked, with some of the headers.
async fn echo(name: &'static str) -> Server {
    scripted(move |request: Request<Incoming>| {
        let header =
            |name: &str| request.headers().get(name).map_or("-", |v| v.to_str().expect("text")).to_owned();
        let seen =
            ["host", "cookie", "origin", "x-origin-verify"].map(|name| format!("{name}={}", header(name)));
        let text = format!("{name} {} {} {}", request.method(), request.uri(), seen.join(" "));
        std::future::ready(http::Response::new(full(text)))
    })
    .await
}

/// An origin with a status and a body of its own for each path.
async fn answering(answer: fn(&str) -> (u16, &'static str)) -> Server {
    scripted(move |request: Request<Incoming>| {
        let (status, body) = answer(request.uri().path());
        let response = http::Response::builder().status(status).body(full(body)).expect("a response");
        std::future::ready(response)
    })
    .await
}

/// A network that an imported distribution is served by, behind what ends TLS.
struct Network {
    control_plane: ControlPlane,
    edge: Edge,
}

impl Network {
    async fn start() -> Self {
        let control_plane = ControlPlane::start().await;
        let mut edge =
            Edge::prepare("fra1", &[&control_plane]).with_env("HEADLAND_TRUSTED_PROXIES", "127.0.0.0/8");
        edge.run();
        edge.live(&control_plane).await;
        Self { control_plane, edge }
    }

    /// Imports files with origins elsewhere, and waits until the distribution is served. Its domain name, and the report.
    async fn import(&self, files: &str, origins: &[(&str, &Server)]) -> (String, Run) {
        let origins: String =
            origins.iter().map(|(id, at)| format!(" --origin {id}=http://{}", at.address())).collect();
        let run =
            self.control_plane.headland(&format!("import cloudfront {files}{origins} -o json")).await.ok();
        let listed = self.control_plane.json("distribution list").await;
        let id = listed[0]["id"].as_str().expect("an id");
        self.control_plane.headland(&format!("distribution wait {id} --timeout 60s")).await.ok();
        (listed[0]["domain_name"].as_str().expect("a name").to_owned(), run)
    }

    async fn get(&self, host: &str, path: &str) -> Answer {
        self.ask(Method::GET, host, path, &[]).await
    }

    /// By https, unless a header says otherwise.
    async fn ask(&self, method: Method, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = viewer::request(method, host, path, "");
        request.headers_mut().insert("x-forwarded-proto", header::HeaderValue::from_static("https"));
        for (name, value) in headers {
            let name: header::HeaderName = name.parse().expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let response = viewer::send(self.edge.http, request).await.expect("an answer");
        viewer::whole(response).await.expect("all of it")
    }
}

fn body(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).expect("text")
}

/// What the report says of a field.
#[track_caller]
fn told(run: &Run, path: &str, outcome: &str, note: &str) {
    let report = run.json();
    let entries = report.as_array().expect("a list");
    let of = |entry: &&Value| entry["path"].as_str().is_some_and(|found| found.ends_with(path));
    let entry = entries.iter().find(of).unwrap_or_else(|| panic!("no {path} in {report:#}"));
    assert_eq!(entry["outcome"], outcome, "{entry}");
    assert!(entry["note"].as_str().expect("text").contains(note), "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_in_a_bucket_is_served() {
    let (network, origin) = (Network::start().await, echo("site").await);
    let (host, report) = network.import(&fixture("s3-site.json"), &[("site-bucket", &origin)]).await;
    told(&report, "DefaultRootObject", "exact", "");
    told(&report, "OriginAccessControlId", "differs", "always signed");
    told(&report, "ViewerCertificate", "not-supported", "edges serve HTTP");
    told(&report, "ViewerProtocolPolicy", "differs", "trusted proxy");
    told(&report, "OriginRequestPolicyId", "exact", "");
    let root = network.get(&host, "/").await;
    assert!(body(&root).starts_with("site GET /index.html "), "{root:?}");
    let first = body(&network.get(&host, "/a?x=1").await);
    network.get("www.site.example", "/a?x=2").await.hit(first.as_bytes());
    let cross = network
        .ask(Method::GET, &host, "/font", &[("origin", "https://app.example"), ("cookie", "a=b")])
        .await;
    assert!(body(&cross).contains("cookie=- origin=https://app.example"), "CORS-S3Origin: {cross:?}");
    let redirected = network.ask(Method::GET, &host, "/a", &[("x-forwarded-proto", "http")]).await;
    assert_eq!(
        (redirected.status.as_u16(), redirected.header("location")),
        (301, &*format!("https://{host}/a"))
    );
    let refused = network.ask(Method::POST, &host, "/a", &[]).await;
    assert_eq!(refused.status, 403, "GET and HEAD alone are allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_never_cached() {
    let (network, origin) = (Network::start().await, echo("api").await);
    let (host, report) = network.import(&fixture("api.json"), &[("api", &origin)]).await;
    told(&report, "PriceClass", "not-supported", "every edge");
    for _ in 0..2 {
        let answer = network.ask(Method::GET, &host, "/users?page=2", &[("cookie", "session=1")]).await;
        assert_eq!(answer.header("x-cache"), "Miss from headland");
        let seen = body(&answer);
        assert!(seen.starts_with("api GET /users?page=2 "), "{seen}");
        assert!(seen.contains("cookie=session=1") && seen.contains("x-origin-verify=3f9b2c"), "{seen}");
        assert!(!seen.contains(&host), "all but the Host is forwarded: {seen}");
    }
    let posted = network.ask(Method::POST, "api.site.example", "/users", &[]).await;
    assert!(body(&posted).starts_with("api POST /users "), "{posted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_origin_stands_in_for_another() {
    let network = Network::start().await;
    let primary =
        answering(|path| if path.starts_with("/cart") { (200, "cart") } else { (503, "down") }).await;
    let (standby, media) = (echo("standby").await, echo("media").await);
    let files = format!("{} --policies {}", fixture("failover.json"), fixture("failover-policy.json"));
    let origins = [("primary", &primary), ("standby", &standby), ("media", &media)];
    let (host, report) = network.import(&files, &origins).await;
    told(&report, "OriginShield", "differs", "your own edges whose location is \"eu-central-1\"");
    told(&report, "HttpVersion", "differs", "no HTTP/3");
    told(&report, "StatusCodes", "exact", "");
    told(&report, "CacheBehaviors.Items[1].ForwardedValues.Headers", "differs", "Managed-AllViewer");
    told(&report, "S3OriginConfig.OriginAccessIdentity", "differs", "always signed");

    // The key has `page`, `currency` and Accept-Language; all of the query is forwarded.
    let first = body(&network.get(&host, "/shoes?page=1&utm=a").await);
    assert!(first.starts_with("standby GET /shoes?page=1&utm=a "), "{first}");
    network.get(&host, "/shoes?page=1&utm=b").await.hit(first.as_bytes());
    for (path, headers) in [
        ("/shoes?page=2&utm=a", vec![]),
        ("/shoes?page=1&utm=a", vec![("cookie", "currency=EUR; other=1")]),
        ("/shoes?page=1&utm=a", vec![("accept-language", "de")]),
    ] {
        let other = network.ask(Method::GET, &host, path, &headers).await;
        assert_eq!(other.header("x-cache"), "Miss from headland", "{path} {headers:?}");
        let cookie = if headers.iter().any(|(name, _)| *name == "cookie") { "currency=EUR" } else { "-" };
        assert!(body(&other).contains(&format!("cookie={cookie} origin")), "{other:?}");
    }
    let small = body(&network.get(&host, "/media/a.jpg?w=1&x=1").await);
    assert!(small.starts_with("media GET /public/media/a.jpg?w=1 "), "{small}");
    network.get(&host, "/media/a.jpg?x=2&w=1").await.hit(small.as_bytes());
    assert_ne!(body(&network.get(&host, "/media/a.jpg?w=2").await), small);
    for _ in 0..2 {
        network.get(&host, "/cart/items").await.miss(b"cart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_members_may_see_is_not_opened_to_everyone() {
    let (network, origin) = (Network::start().await, echo("films").await);
    let files = format!("{} {}", fixture("signed-media.json"), fixture("signed-media-key-group.json"));
    let (host, report) = network.import(&files, &[("films", &origin)]).await;
    told(&report, "DefaultCacheBehavior.TrustedKeyGroups", "not-supported", "disabled until you enable it");
    told(&report, "$.KeyGroup.KeyGroupConfig", "not-supported", "nothing is made of it");
    told(&report, "KeyGroupConfig.Items[0]", "not-supported", "get-public-key --id K2JCJMDEHXQW5F");
    told(&report, "Logging", "not-supported", "no access log");
    assert_eq!(network.get(&host, "/trailers/a.mp4").await.status, 403, "it is disabled");
}

/// What `aws cloudfront get-public-key` prints of a key.
fn printed(key: &KeyFiles) -> String {
    let text = std::fs::read_to_string(fixture("signed-media-public-key.json")).expect("a fixture");
    let mut printed: Value = serde_json::from_str(&text).expect("JSON");
    let pem = std::fs::read_to_string(&key.public).expect("a key");
    printed["PublicKey"]["PublicKeyConfig"]["EncodedKey"] = json!(pem);
    printed.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_sign_with_the_keys_they_had() {
    let (network, origin) = (Network::start().await, echo("films").await);
    let key = KeyFiles::rsa().await;
    let public = network.control_plane.file("public-key.json", &printed(&key));
    let files = format!(
        "{} {} {}",
        fixture("signed-media.json"),
        fixture("signed-media-key-group.json"),
        public.display()
    );
    let (host, report) = network.import(&files, &[("films", &origin)]).await;
    told(&report, "DefaultCacheBehavior.TrustedKeyGroups", "exact", "");
    told(&report, "EncodedKey", "differs", "sign with the new id");
    told(&report, "GeoRestriction", "differs", "an edge without one restricts nobody");
    told(&report, "ResponseHeadersPolicyId", "exact", "");
    let distribution = network.control_plane.json("distribution list").await[0]["config"].clone();
    assert_eq!(
        distribution["geo_restriction"],
        json!({"mode": "whitelist", "country_codes": ["AT", "CH", "DE"]})
    );

    assert_eq!(network.get(&host, "/film.mp4").await.status, 403, "it is not signed");
    let id = network.control_plane.json("public-key list").await[0]["id"].clone();
    let sign = |id: String| {
        let line = format!("sign url https://{host}/film.mp4 --expires 1h --key-pair-id {id} --private-key ");
        line + &key.private.display().to_string()
    };
    let signed = |run: Run| {
        let url = run.stdout.trim().to_owned();
        url.strip_prefix(&format!("https://{host}")).expect("the same host").to_owned()
    };
    let line = sign(id.as_str().expect("an id").to_owned());
    let path = signed(network.control_plane.headland(&line).await.ok());
    let answer = network.ask(Method::GET, &host, &path, &[("origin", "https://a.example")]).await;
    assert!(body(&answer).starts_with("films GET /film.mp4 "), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), "*", "SimpleCORS: {answer:?}");
    let path = signed(network.control_plane.headland(&sign("K2JCJMDEHXQW5F".into())).await.ok());
    assert_eq!(network.get(&host, &path).await.status, 403, "the id is another");
    let open = network.get(&host, "/trailers/a.mp4").await;
    assert!(body(&open).starts_with("films GET /trailers/a.mp4 "), "{open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_policies_that_are_there_are_left_alone() {
    let (bench, key) = (Bench::start().await, KeyFiles::ecdsa().await);
    let public = bench.file("public-key.json", &printed(&key)).display().to_string();
    let (group, policy) = (fixture("signed-media-key-group.json"), fixture("spa-policy.json"));
    // Whatever the order of the files, what is referred to comes first.
    let line = format!("import cloudfront {} {group} {public} {policy}", fixture("signed-media.json"));
    let created = bench.headland(&line).await.ok();
    let order = [
        "response-headers-policy spa-api",
        "public-key members-2025",
        "key-group members",
        "distribution media-2025-03",
    ];
    let at = order.map(|made| {
        created.stderr.find(&format!("created {made} (")).unwrap_or_else(|| panic!("{made}: {created:?}"))
    });
    assert!(at.is_sorted(), "{created:?}");
    let again = bench.headland(&line).await.ok();
    again.says(&order.map(|made| made.to_owned() + " is there already").each_ref().map(String::as_str));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_answers_for_paths_that_are_no_files() {
    let network = Network::start().await;
    let app =
        answering(|path| if path == "/index.html" { (200, "the app") } else { (404, "no such key") }).await;
    let backend = echo("backend").await;
    let files = format!("{} --policies {}", fixture("spa.json"), fixture("spa-policy.json"));
    let (host, report) = network.import(&files, &[("app", &app), ("backend", &backend)]).await;
    told(&report, "OriginProtocolPolicy", "differs", "trusted proxy");
    told(&report, "DefaultCacheBehavior.ResponseHeadersPolicyId", "exact", "");
    told(&report, "FunctionAssociations", "not-supported", "not run");
    told(&report, "CustomErrorResponses.Items[1].ResponseCode", "exact", "");
    for path in ["/", "/users/7"] {
        let page = network.get(&host, path).await;
        assert_eq!((page.status.as_u16(), body(&page).as_str()), (200, "the app"), "{path}: {page:?}");
        let headers = ["x-frame-options", "x-content-type-options", "strict-transport-security"];
        let seen = headers.map(|name| page.header(name));
        assert_eq!(seen, ["SAMEORIGIN", "nosniff", "max-age=31536000"], "SecurityHeadersPolicy: {page:?}");
    }
    for _ in 0..2 {
        let cross = [("origin", "https://www.site.example")];
        let answer = network.ask(Method::GET, "app.site.example", "/api/users/7", &cross).await;
        let seen = ["access-control-allow-origin", "x-served-for"].map(|name| answer.header(name));
        assert_eq!(seen, ["https://www.site.example", "spa"], "{answer:?}");
        assert!(body(&answer).starts_with("backend GET /api/users/7 "), "{answer:?}");
        assert_eq!(answer.header("x-cache"), "Miss from headland");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_written_by_import_can_be_applied() {
    let bench = Bench::start().await;
    let dir = bench.home.path().join("site").display().to_string();
    let files = format!("{} --policies {}", fixture("failover.json"), fixture("failover-policy.json"));
    bench
        .headland(&format!("import cloudfront {files} --dry-run"))
        .await
        .ok()
        .says(&["fields mean the same"]);
    assert_eq!(bench.headland("distribution list -o json").await.ok().json(), json!([]));
    let written = bench.headland(&format!("import cloudfront {files} --dir {dir}")).await.ok();
    written.says(&["cache-policy-shop-media.yaml", "origin-request-policy-forward-query-strings.yaml"]);
    bench.headland(&format!("apply -f {dir} --yes")).await.ok();
    bench.headland(&format!("apply -f {dir} --dry-run")).await.ok();
    let site = &bench.headland("distribution list -o json").await.ok().json()[0]["config"];
    assert_eq!(
        site["origins"][2]["s3"],
        json!({"bucket": "shop-media", "region": "us-west-2", "signing": "always"})
    );
    // What is there and not the same is not touched.
    let again = bench.headland(&format!("import cloudfront {files}")).await;
    assert_eq!(again.code, Some(4), "{again:#?}");
    again.says(&["another one is there", "headland apply --dry-run"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_twice_makes_nothing_twice() {
    let bench = Bench::start().await;
    let line = format!("import cloudfront {}", fixture("api.json"));
    bench.headland(&line).await.ok().says(&["created distribution terraform-20250611103000123400000001 ("]);
    bench.headland(&line).await.ok().says(&["is there already"]);
    assert_eq!(
        bench.headland("distribution list -o json").await.ok().json().as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_named_and_nothing_is_made() {
    let bench = Bench::start().await;
    let text = std::fs::read_to_string(fixture("api.json")).expect("a fixture");
    let wrong = text
        .replace("\"HTTPPort\": 80", "\"HTTPPort\": \"eighty\"")
        .replace("\"Quantity\": 1,", "\"Quantity\": 9,");
    let file = bench.file("wrong.json", &wrong);
    let refused =
        bench.headland(&format!("import cloudfront {}", file.display())).await.failed(2, "spec-invalid");
    refused.says(&[
        "$.Distribution.DistributionConfig.Origins.Items[0].CustomOriginConfig.HTTPPort: \"eighty\" is not a whole number",
        "$.Distribution.DistributionConfig.Origins.Quantity: is 9",
    ]);
    let file = bench.file("torn.json", &text[..text.len() / 2]);
    bench
        .headland(&format!("import cloudfront {}", file.display()))
        .await
        .failed(2, "spec-invalid")
        .says(&["torn.json:"]);
    bench
        .headland(&format!("import cloudfront {}", fixture("failover.json")))
        .await
        .failed(2, "spec-invalid")
        .says(&[
            "CacheBehaviors.Items[0].CachePolicyId",
            "aws cloudfront get-cache-policy --id 5c8a1f8e-6c7b-4f53-9d2e-2f4f7f0d1a11",
        ]);
    let host = text
        .replace("b689b0a8-53d0-40ab-baf2-68738e2966ac", "")
        .replace("\"Comment\": \"API\"", &format!("\"Comment\": \"{}\"", "x".repeat(129)));
    let file = bench.file("long.json", &host);
    let refused = bench.headland(&format!("import cloudfront {} --dry-run -o json", file.display())).await;
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    refused.says(&["error[spec-invalid]", "comment: has 129 characters; at most 128"]);
    let elsewhere = format!("import cloudfront {} --origin web=http://127.0.0.1:1", fixture("api.json"));
    bench
        .headland(&elsewhere)
        .await
        .failed(2, "spec-invalid")
        .says(&["--origin: $: \"web\" is not the id of an origin"]);
    assert_eq!(bench.headland("distribution list -o json").await.ok().json(), json!([]));
}
