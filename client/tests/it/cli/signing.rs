//! Signed URLs and cookies from end to end: keys by openssl, resources by the command, signatures by the command, by the AWS CLI and by
//! botocore, and edges that verify them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use http::Method;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

use super::harness::Bench;
use crate::network::{
    control_plane::{ControlPlane, Distribution},
    edge::Edge,
    origin::{full, scripted},
    program::installed,
    viewer,
    wait::until,
};

async fn output(program: &Path, args: &[&str], stdin: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}; run scripts/bootstrap.sh test", program.display()));
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(stdin).await.expect("it reads");
    drop(pipe);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

async fn text(program: &Path, args: &[&str]) -> String {
    String::from_utf8(output(program, args, b"").await).expect("text").trim().to_owned()
}

/// A key pair in two files.
pub(super) struct KeyFiles {
    pub(super) private: PathBuf,
    pub(super) public: PathBuf,
    _folder: TempDir,
}

impl KeyFiles {
    /// `command` is what makes the private key, but for its file.
    async fn make(command: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (private, public) = (folder.path().join("private.pem"), folder.path().join("public.pem"));
        let words: Vec<&str> = command.split(' ').collect();
        let (first, rest) = words.split_first().expect("a command");
        let args = [&[*first, "-out", path(&private)], rest].concat();
        let openssl = Path::new("openssl");
        output(openssl, &args, b"").await;
        output(openssl, &["pkey", "-in", path(&private), "-pubout", "-out", path(&public)], b"").await;
        Self { private, public, _folder: folder }
    }

    /// As the AWS CLI wants it: PKCS #1.
    pub(super) async fn rsa() -> Self {
        Self::make("genrsa -traditional 2048").await
    }

    pub(super) async fn ecdsa() -> Self {
        Self::make("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256").await
    }

    /// What openssl says of a signature over a text.
    async fn verifies(&self, hash: &str, signed: &[u8], signature: &[u8]) {
        let file = self.public.with_extension("signature");
        std::fs::write(&file, signature).expect("a file");
        let args = ["dgst", hash, "-verify", path(&self.public), "-signature", path(&file)];
        let said = output(Path::new("openssl"), &args, signed).await;
        assert_eq!(String::from_utf8_lossy(&said).trim(), "Verified OK");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// CloudFront's base64, by openssl and hand.
async fn decoded(text: &str) -> Vec<u8> {
    let text = text.replace('-', "+").replace('_', "=").replace('~', "/");
    output(Path::new("openssl"), &["base64", "-d", "-A"], text.as_bytes()).await
}

/// A parameter of a URL.
fn parameter<'u>(url: &'u str, name: &str) -> &'u str {
    let (_, query) = url.split_once('?').expect("a query");
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {url}"))
}

/// An origin whose objects say by which URL they were asked for.
async fn origin() -> crate::network::server::Server {
    scripted(|request| {
        let body = full(request.uri().to_string());
        let response = http::Response::builder().header("cache-control", "max-age=600");
        std::future::ready(response.body(body).expect("a response"))
    })
    .await
}

/// A network whose one distribution trusts one group.
struct Network {
    control_plane: ControlPlane,
    edge: Edge,
    distribution: Distribution,
    group: String,
    _origin: crate::network::server::Server,
}

impl Network {
    async fn start(keys: &[&KeyFiles]) -> (Self, Vec<String>) {
        let control_plane = ControlPlane::start().await;
        let edge = Edge::start("fra1", &[&control_plane]).await;
        let origin = origin().await;
        let mut ids = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let line = format!("public-key create --name key-{i} --pem {}", key.public.display());
            let created = control_plane.json(&line).await;
            ids.push(created["id"].as_str().expect("an id").to_owned());
        }
        let flags: Vec<String> = ids.iter().map(|id| format!("--key {id}")).collect();
        let created = control_plane.json(&format!("key-group create --name g {}", flags.join(" "))).await;
        let group = created["id"].as_str().expect("an id").to_owned();
        let spec = format!(
            "origins: [{{id: o, custom: {{domain_name: 127.0.0.1, http_port: {}}}}}]\n\
             default_cache_behavior:\n  target_origin_id: o\n  cache_policy: {{query_strings: {{mode: all}}}}\n  \
             trusted_key_groups: [{group}]\n",
            origin.address().port()
        );
        let file = control_plane.file("site.yaml", &spec);
        let distribution = control_plane.deploy(&format!("-f {}", file.display())).await;
        (Self { control_plane, edge, distribution, group, _origin: origin }, ids)
    }

    /// A URL of the distribution, as signers write it.
    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.distribution.domain_name)
    }

    /// Status and body, or the code of the refusal.
    async fn get(&self, url: &str, cookies: &str) -> (u16, String) {
        let rest = url.strip_prefix("https://").expect("an https URL");
        let (host, _) = rest.split_once('/').expect("a path");
        let mut request = viewer::request(Method::GET, host, &rest[host.len()..], "");
        if !cookies.is_empty() {
            request.headers_mut().insert("cookie", cookies.parse().expect("a header"));
        }
        let response = viewer::send(self.edge.http, request).await.expect("an answer");
        let answer = viewer::whole(response).await.expect("the whole answer");
        (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
    }

    #[track_caller]
    fn served(got: (u16, String), path: &str) {
        assert_eq!(got, (200, path.to_owned()));
    }

    #[track_caller]
    fn refused(got: &(u16, String), code: &str) {
        assert!(got.0 == 403 && got.1.contains(&format!("({code})")), "{got:?}, not {code}");
    }

    async fn sign(&self, line: &str, key: &KeyFiles, id: &str) -> String {
        let with = format!("--private-key {} --key-pair-id {id}", key.private.display());
        self.control_plane.headland(&format!("sign {line} {with}")).await.ok().stdout.trim().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_signs_is_served_and_nothing_else() {
    let (rsa, ecdsa) = (KeyFiles::rsa().await, KeyFiles::ecdsa().await);
    let (network, ids) = Network::start(&[&rsa, &ecdsa]).await;
    let plain = network.url("/film.mp4?size=large");
    Network::refused(&network.get(&plain, "").await, "signature-missing");
    for (key, id) in [(&rsa, &ids[0]), (&ecdsa, &ids[1])] {
        for hash in ["sha256", "sha1"] {
            let line = format!("url {plain} --expires 1h --hash-algorithm {hash}");
            let canned = network.sign(&line, key, id).await;
            assert!(canned.starts_with(&format!("{plain}&Expires=")), "{canned}");
            Network::served(network.get(&canned, "").await, "/film.mp4?size=large");
            Network::refused(&network.get(&format!("{canned}&x"), "").await, "signature-invalid");
            let custom = network.sign(&format!("{line} --ip 127.0.0.0/8 --starts 2026-01-01"), key, id).await;
            assert!(custom.contains("&Policy="), "{custom}");
            Network::served(network.get(&custom, "").await, "/film.mp4?size=large");
            let elsewhere = network.sign(&format!("{line} --ip 192.0.2.0/24"), key, id).await;
            Network::refused(&network.get(&elsewhere, "").await, "signature-address");
        }
    }
    let cookies = network
        .sign(&format!("cookies --resource {} --expires 1h", network.url("/course/*")), &ecdsa, &ids[1])
        .await;
    let header = cookies.lines().collect::<Vec<_>>().join("; ");
    Network::served(network.get(&network.url("/course/1?x"), &header).await, "/course/1?x");
    Network::refused(&network.get(&network.url("/other"), &header).await, "signature-resource");
    let one = network.sign(&format!("cookies {} --expires 1h", network.url("/one")), &rsa, &ids[0]).await;
    assert!(one.starts_with("CloudFront-Expires="), "{one}");
    let header = one.lines().collect::<Vec<_>>().join("; ");
    Network::served(network.get(&network.url("/one"), &header).await, "/one");
    let told = network
        .control_plane
        .json(&format!("explain {}", network.url("/one").replace("https:", "http:")))
        .await;
    assert_eq!(
        (&told["reason"], &told["behavior"]["trusted_key_group_ids"][0]),
        (&"signature-missing".into(), &network.group.as_str().into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_aws_cli_and_botocore_sign_is_served() {
    let key = KeyFiles::rsa().await;
    let (network, ids) = Network::start(&[&key]).await;
    let hint = "run scripts/bootstrap.sh test, which installs it into .tools/venv";
    let (aws, python) = (installed("aws", hint), installed("python", hint));
    let private = format!("file://{}", key.private.display());
    let until = "2099-12-31";
    for path in ["/a.mp4", "/a.mp4?size=large&license=yes"] {
        let url = network.url(path);
        let sign = ["cloudfront", "sign", "--key-pair-id", &ids[0], "--private-key", &private];
        let common = [&sign[..], &["--url", &url, "--date-less-than", until]].concat();
        let canned = text(&aws, &common).await;
        assert!(canned.contains("Expires="), "{canned}");
        Network::served(network.get(&canned, "").await, path);
        Network::refused(&network.get(&canned.replace("/a.mp4", "/b.mp4"), "").await, "signature-invalid");
        let custom =
            [&common[..], &["--date-greater-than", "2026-01-01", "--ip-address", "127.0.0.0/8"]].concat();
        let custom = text(&aws, &custom).await;
        assert!(custom.contains("Policy="), "{custom}");
        Network::served(network.get(&custom, "").await, path);
        Network::refused(&network.get(&custom.replace("/a.mp4", "/b.mp4"), "").await, "signature-resource");
    }
    // As applications use it, with a policy for many objects.
    let program = r"
import datetime, sys, rsa
from botocore.signers import CloudFrontSigner
key = rsa.PrivateKey.load_pkcs1(open(sys.argv[1], 'rb').read())
signer = CloudFrontSigner(sys.argv[2], lambda message: rsa.sign(message, key, 'SHA-1'))
until = datetime.datetime(2099, 12, 31, tzinfo=datetime.timezone.utc)
policy = signer.build_policy(sys.argv[3], until)
print(signer.generate_presigned_url(sys.argv[4], policy=policy))
";
    let (set, object) = (network.url("/set/*"), network.url("/set/a?x=1"));
    let args = ["-c", program, path(&key.private), &ids[0], &set, &object];
    let signed = text(&python, &args).await;
    Network::served(network.get(&signed, "").await, "/set/a?x=1");
    Network::refused(&network.get(&signed.replace("/set/", "/sets/"), "").await, "signature-resource");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_leaves_its_group_counts_no_longer_at_the_edges() {
    let (old, new) = (KeyFiles::rsa().await, KeyFiles::ecdsa().await);
    let (network, ids) = Network::start(&[&old]).await;
    let line = format!("url {} --expires 1h", network.url("/a"));
    let by_old = network.sign(&line, &old, &ids[0]).await;
    Network::served(network.get(&by_old, "").await, "/a");

    let plane = &network.control_plane;
    let created = plane.json(&format!("public-key create --name new --pem {}", new.public.display())).await;
    let new_id = created["id"].as_str().expect("an id");
    let by_new = network.sign(&line, &new, new_id).await;
    Network::refused(&network.get(&by_new, "").await, "signature-key-unknown");
    let both = plane.file("group.yaml", &format!("name: g\npublic_key_ids: [{}, {new_id}]\n", ids[0]));
    plane.headland(&format!("key-group update {} -f {}", network.group, both.display())).await.ok();
    until("the edge knows the new key", async || (network.get(&by_new, "").await.0 == 200).then_some(()))
        .await;
    Network::served(network.get(&by_old, "").await, "/a");

    plane
        .headland(&format!("public-key delete {}", ids[0]))
        .await
        .failed(4, "in-use")
        .says(&[&network.group]);
    let alone = plane.file("group.yaml", &format!("name: g\npublic_key_ids: [{new_id}]\n"));
    plane.headland(&format!("key-group update {} -f {}", network.group, alone.display())).await.ok();
    until("the edge forgets the old key", async || (network.get(&by_old, "").await.0 == 403).then_some(()))
        .await;
    Network::refused(&network.get(&by_old, "").await, "signature-key-unknown");
    Network::served(network.get(&by_new, "").await, "/a");
    plane.headland(&format!("public-key delete {}", ids[0])).await.ok();
    plane
        .headland(&format!("key-group delete {}", network.group))
        .await
        .failed(4, "in-use")
        .says(&[&network.distribution.id]);
    let after = plane.json(&format!("distribution get {}", network.distribution.id)).await;
    assert_eq!(after["status"]["state"], "Deployed", "it has not changed itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_what_the_command_signs() {
    let bench = Bench::start().await;
    let url = "https://cdn.example.com/horizon.jpg?size=large&license=yes";
    for key in [
        KeyFiles::rsa().await,
        KeyFiles::ecdsa().await,
        KeyFiles::make("ecparam -genkey -name prime256v1").await,
    ] {
        for (hash, flag) in [("sha256", "-sha256"), ("sha1", "-sha1")] {
            let common = format!(
                "--private-key {} --key-pair-id K2JCJMDEHXQW5F --hash-algorithm {hash}",
                key.private.display()
            );
            let line = format!("sign url {url} --expires @4102444800 {common}");
            let canned = bench.headland(&line).await.ok().stdout;
            let canned = canned.trim();
            let policy = format!(
                r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":4102444800}}}}}}]}}"#
            );
            key.verifies(flag, policy.as_bytes(), &decoded(parameter(canned, "Signature")).await).await;
            assert_eq!(
                canned.ends_with("&Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256"),
                hash == "sha256"
            );

            let own = bench.file(
                "policy.json",
                r#"{"Statement":{"Condition":{"DateLessThan":{"AWS:EpochTime":4102444800}}}}"#,
            );
            let line = format!("sign cookies --policy {} {common} -o json", own.display());
            let cookies = bench.headland(&line).await.ok();
            let policy = decoded(&cookies.field("CloudFront-Policy")).await;
            assert_eq!(policy, std::fs::read(&own).expect("the file"), "it is signed as it is");
            key.verifies(flag, &policy, &decoded(&cookies.field("CloudFront-Signature")).await).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_groups_live_from_create_to_delete() {
    let bench = Bench::start().await;
    let (rsa, large) = (KeyFiles::rsa().await, KeyFiles::make("genrsa 3072").await);
    let line = format!("public-key create --name web --comment ours --pem {} -o json", rsa.public.display());
    let created = bench.headland(&line).await.ok();
    let id = created.field("id");
    assert_eq!(created.json()["config"]["comment"], "ours");
    assert!(created.json().get("managed").is_none(), "there are no managed ones: {created:#?}");
    let refused = bench
        .headland(&format!("public-key create --name large --pem {}", large.public.display()))
        .await
        .failed(2, "invalid-argument");
    refused.says(&["public_key_pem", "2048"]);
    let private = format!("public-key create --name oops --pem {}", rsa.private.display());
    bench.headland(&private).await.failed(2, "invalid-argument").says(&["private key"]);

    let printed = bench.headland(&format!("public-key get {id} -o yaml")).await.ok().stdout;
    let renamed = printed.replace("ours", "of the web team");
    bench.headland_with_stdin(&format!("public-key update {id} -f -"), &renamed).await.ok();
    let listed = bench.headland("public-key list").await.ok().stdout;
    assert!(
        listed.contains(&id) && listed.contains("of the web team") && !listed.contains("TYPE"),
        "{listed}"
    );

    let group =
        bench.headland(&format!("key-group create --name g --key {id} -o json")).await.ok().field("id");
    assert_eq!(
        bench.headland("key-group list -o json").await.ok().json()[0]["config"]["public_key_ids"][0],
        id.as_str()
    );
    bench.headland(&format!("public-key delete {id}")).await.failed(4, "in-use").says(&[&group]);
    let file = bench.file("group.yaml", "name: by-name\npublic_key_ids:\n- web\n- other\n");
    let by_name = format!("key-group create -f {}", file.display());
    let unknown = bench.headland(&by_name).await.failed(2, "invalid-argument");
    unknown.says(&["group.yaml:4:", "public_key_ids[1]", "other"]);
    let file = bench.file("group.yaml", "name: by-name\npublic_key_ids: [web]\n");
    let named = bench.headland(&format!("{by_name} -o json")).await.ok();
    assert_eq!(named.json()["config"]["public_key_ids"][0], id.as_str());
    let named = named.field("id");
    bench.headland(&format!("key-group update {named} -f {}", file.display())).await.ok();
    bench.headland(&format!("key-group delete {named}")).await.ok();
    bench
        .headland("key-group create --name h --key other")
        .await
        .failed(2, "invalid-argument")
        .says(&["other"]);
    let missing =
        bench.headland("key-group create --name h --key 00000000-0000-4000-8000-000000000000").await;
    missing.failed(2, "invalid-argument").says(&["public_key_ids[0]"]);
    let file = bench.file("site.yaml", "origins: [{id: o, custom: {domain_name: o.example.com}}]\ndefault_cache_behavior:\n  target_origin_id: o\n  trusted_key_group_ids: [x]\n");
    bench
        .headland(&format!("distribution create -f {}", file.display()))
        .await
        .failed(2, "invalid-argument")
        .says(&["site.yaml:4:", "trusted_key_group_ids[0]"]);
    bench.headland(&format!("key-group delete {group}")).await.ok();
    bench.headland(&format!("public-key delete {id}")).await.ok();
    bench.headland(&format!("public-key get {id}")).await.failed(3, "not-found").says(&[&id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_signed_is_said_before_it_is() {
    let bench = Bench::start().await;
    let (key, large) = (KeyFiles::ecdsa().await, KeyFiles::make("genrsa 3072").await);
    let private = key.private.display();
    let with = format!("--private-key {private} --key-pair-id k");
    for (line, word) in [
        (format!("sign url cdn.example.com/a --expires 1h {with}"), "https://"),
        (format!("sign url https://a/b?Policy=x --expires 1h {with}"), "Hash-Algorithm"),
        (format!("sign url https://a/b --expires @5 {with}"), "over already"),
        (format!("sign url https://a/b --expires 1h --starts 2h {with}"), "before it begins"),
        (
            format!(
                "sign url https://a/b --expires 1h --private-key {} --key-pair-id k",
                large.private.display()
            ),
            "2048",
        ),
        (
            format!(
                "sign url https://a/b --expires 1h --private-key {} --key-pair-id k",
                key.public.display()
            ),
            "openssl genpkey",
        ),
        (format!("sign url https://a/b --expires 1h --private-key {private} --key-pair-id a&b"), "a&b"),
    ] {
        bench.headland(&line).await.failed(2, "usage").says(&[word]);
    }
    for line in [
        format!("sign url https://a/b {with}"),
        format!("sign url https://a/b --expires 1767225600 {with}"),
        format!("sign cookies --expires 1h {with}"),
    ] {
        let refused = bench.headland(&line).await;
        assert_eq!(refused.code, Some(2), "{refused:#?}");
    }
}
