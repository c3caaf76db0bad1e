//! `headland dev` as a process: what it says, what it serves, and how it ends.

pub(crate) mod process;

use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use tempfile::TempDir;

use self::process::{ANY_PORTS, Dev, dev_command};
use crate::{
    cli::harness::run,
    network::{
        bucket::{BUCKET, IMAGE, PUBLIC, S3},
        origin::{self, fixed},
        server,
        viewer::{self, request},
        wait::{until, within},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn without_arguments_it_serves_a_picture_from_a_bucket_of_its_own() {
    let mut dev = Dev::start(ANY_PORTS).await;
    let temporary = dev.temporary_folders();
    assert_eq!(temporary.len(), 1, "{temporary:?}");
    let address = dev.edges[0];
    viewer::get(address, &address.to_string(), "/image.jpg").await.miss(IMAGE);
    for host in ["127.0.0.1", "localhost", &format!("localhost:{}", address.port()), &dev.domain_name] {
        viewer::get(address, host, "/image.jpg").await.hit(IMAGE);
    }
    let edges = dev.headland("edge list -o json").await.ok().json();
    assert_eq!(edges[0]["liveness"], "live", "{edges}");
    let listed = dev.headland("distribution list -o json").await.ok().json();
    assert_eq!(listed[0]["id"], dev.id.as_str(), "{listed}");
    assert_eq!(listed[0]["config"]["debug_headers"], true, "{listed}");

    assert_eq!(dev.terminate().await.code(), Some(0));
    assert!(dev.temporary_folders().is_empty(), "{:?}", dev.temporary_folders());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_suggests_to_try_works() {
    let dev = Dev::start(ANY_PORTS).await;
    let mut tried = 0;
    for line in dev.greeting.lines().filter_map(|line| line.trim().strip_prefix("headland ")) {
        dev.headland(line).await.ok();
        tried += 1;
    }
    assert!(tried >= 3, "{}", dev.greeting);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_rfc_9111_says_nothing_is_kept_unasked_and_every_method_passes() {
    let origin = origin::scripted(|request: http::Request<hyper::body::Incoming>| async move {
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(origin::full(format!("{method} {}", String::from_utf8_lossy(&body))))
    })
    .await;
    let url = format!("http://{}", origin.address());
    let args = ["--origin", &url, "--semantics", "rfc9111", "--allow-all-methods"];
    let dev = Dev::start(&[&args[..], ANY_PORTS].concat()).await;
    let address = dev.edges[0];
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let sent = request(method.clone(), "localhost", "/form", "a body");
        let answer = viewer::whole(viewer::send(address, sent).await.unwrap()).await.unwrap();
        assert_eq!(answer.body, format!("{method} a body"), "{answer:?}");
    }
    // The default TTL is 0.
    for _ in 0..2 {
        viewer::get(address, "localhost", "/page").await.miss(b"GET ");
    }
    assert_eq!(origin.gets("/page"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_ttl_is_taken_and_other_methods_are_refused_unless_allowed() {
    let origin = fixed("hello").await;
    let url = format!("http://{}", origin.address());
    let args = ["--origin", &url, "--semantics", "rfc9111", "--default-ttl", "60"];
    let dev = Dev::start(&[&args[..], ANY_PORTS].concat()).await;
    viewer::get(dev.edges[0], "localhost", "/page").await.miss(b"hello");
    viewer::get(dev.edges[0], "localhost", "/page").await.hit(b"hello");
    let sent = request(Method::POST, "localhost", "/page", "a body");
    assert_eq!(viewer::send(dev.edges[0], sent).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_as_many_edges_as_asked_before_a_bucket_elsewhere() {
    let bucket = S3::start(PUBLIC).await;
    let (origin, endpoint) = (format!("s3://{BUCKET}"), format!("http://{}", bucket.server.address()));
    let args = ["--origin", &origin, "--s3-endpoint", &endpoint, "--edges", "2"];
    let dev = Dev::start(&[&args[..], ANY_PORTS].concat()).await;
    assert_eq!(dev.edges.len(), 2, "{}", dev.greeting);
    for (n, address) in dev.edges.iter().enumerate() {
        viewer::get(*address, "localhost", "/image.jpg").await.miss(IMAGE);
        viewer::get(*address, "localhost", "/image.jpg").await.hit(IMAGE);
        assert_eq!(bucket.server.gets("/image.jpg"), n + 1);
    }
    let edges = dev.headland("edge list -o json").await.ok().json();
    assert_eq!(edges.as_array().map(Vec::len), Some(2), "{edges}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_keeps_the_distribution() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().join("new").display().to_string();
    let args = [&["--data-dir", &data_dir][..], ANY_PORTS].concat();
    let mut first = Dev::start(&args).await;
    viewer::get(first.edges[0], "localhost", "/image.jpg").await.miss(IMAGE);
    assert!(first.temporary_folders().is_empty());
    assert_eq!(first.terminate().await.code(), Some(0));

    // Other flags change the distribution that is there.
    let second = Dev::start(&[&args[..], &["--default-ttl", "7s"]].concat()).await;
    assert_eq!((&second.id, &second.domain_name), (&first.id, &first.domain_name));
    viewer::get(second.edges[0], &second.domain_name, "/image.jpg").await.miss(IMAGE);
    let kept = second.headland(&format!("distribution get {} -o json", second.id)).await.ok().json();
    let policy = &kept["config"]["default_cache_behavior"]["cache_policy"];
    assert_eq!(policy["default_ttl"], "7s", "{kept}");
    let edges = second.headland("edge list -o json").await.ok().json();
    assert_eq!(edges.as_array().map(Vec::len), Some(1), "the edge kept its id: {edges}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_while_a_download_is_under_way() {
    let (parts, body) = tokio::sync::mpsc::channel(1);
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let origin = origin::scripted(move |_| {
        let body = body.lock().expect("lock").take().expect("asked once");
        std::future::ready(Response::new(origin::streamed(body)))
    })
    .await;
    let url = format!("http://{}", origin.address());
    let mut dev = Dev::start(&[&["--origin", &url][..], ANY_PORTS].concat()).await;
    let address = dev.edges[0];
    parts.send("first ".into()).await.unwrap();
    let response = within("the head", viewer::open(address, "localhost", "/film")).await.unwrap();
    dev.signal("TERM");
    until("it takes no more viewers", || async {
        viewer::try_get(address, "localhost", "/other").await.is_err().then_some(())
    })
    .await;
    parts.send("second".into()).await.unwrap();
    drop(parts);
    let film = within("the rest", viewer::whole(response)).await.unwrap();
    assert_eq!(film.body, "first second");
    assert_eq!(dev.ended().await.code(), Some(0));
}

/// A body that only this path has, of some length between none and 200 kB.
fn body_of(path: &str) -> String {
    let sum = path.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    path.repeat(sum % 200_000 / path.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_load_costs_no_byte_and_leaves_the_cache_warm() {
    let origin = origin::scripted(|request: http::Request<hyper::body::Incoming>| async move {
        Response::new(origin::full(body_of(request.uri().path())))
    })
    .await;
    let (url, folder) = (format!("http://{}", origin.address()), TempDir::new().unwrap());
    let data_dir = folder.path().display().to_string();
    let flags = ["--origin", &url, "--data-dir", &data_dir, "--cache-disk", "64MiB"];
    let flags = [&flags[..], ANY_PORTS].concat();
    let mut known: Vec<String> = Vec::new();
    for round in 0..3 {
        let mut dev = Dev::start(&flags).await;
        let address = dev.edges[0];
        if let Some(first) = known.first() {
            // The index is read while viewers are served already.
            until("what was on disk is known", || async {
                let told =
                    dev.headland(&format!("explain http://{address}{first} -o json")).await.ok().json();
                (told["verdict"] == "hit").then_some(())
            })
            .await;
        }
        for path in &known {
            let asked = origin.gets(path);
            assert_eq!(viewer::get(address, "localhost", path).await.body, body_of(path), "{path}");
            assert_eq!(origin.gets(path), asked, "{path} was on disk");
        }
        let fresh: Vec<String> = (0..40).map(|n| format!("/{round}-{n}")).collect();
        let on_disk = known.iter().chain(&fresh).map(|path| body_of(path).len() as u64).sum();
        for path in &fresh {
            assert_eq!(viewer::get(address, "localhost", path).await.body, body_of(path), "{path}");
        }
        until("it is on disk", || async { (stored_bytes(&folder) >= on_disk).then_some(()) }).await;
        known.extend(fresh);
        // Nobody knows how far these come.
        let load = (0..4).map(|of| {
            tokio::spawn(async move {
                for n in 0..1000 {
                    let path = format!("/load-{round}-{of}-{n}");
                    match viewer::try_get(address, "localhost", &path).await {
                        Ok(answer) => assert_eq!(answer.body, body_of(&path), "{path}"),
                        Err(_) => break,
                    }
                }
            })
        });
        let load: Vec<_> = load.collect();
        until("the load has begun", || async {
            (origin.gets(&format!("/load-{round}-0-10")) > 0).then_some(())
        })
        .await;
        dev.signal("KILL");
        assert_eq!(dev.ended().await.code(), None);
        for loader in load {
            loader.await.expect("what came was right");
        }
    }
}

/// Bytes of the disk cache's files.
fn stored_bytes(folder: &TempDir) -> u64 {
    let files = std::fs::read_dir(folder.path().join("edge-1/cache")).expect("a folder");
    files.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_do_it_says() {
    let home = TempDir::new().unwrap();
    let taken = server::listener().await;
    let taken = taken.local_addr().unwrap().to_string();
    for flags in [["--http", &taken, "--api", "127.0.0.1:0"], ["--http", "127.0.0.1:0", "--api", &taken]] {
        let failed = within("an end", run(dev_command(&home, &flags))).await;
        failed.failed(1, "io").says(&[&taken, "in use", "--http and --api"]);
    }
    for (flags, says) in [
        (vec!["--origin", "ftp://files.example.com"], "the scheme is unknown"),
        (vec!["--origin", "nonsense"], "write http://host[:port]"),
        (
            vec!["--origin", "http://a.example.com", "--s3-endpoint", "http://b.example.com"],
            "not an s3:// URL",
        ),
    ] {
        let flags = [&flags[..], ANY_PORTS].concat();
        let failed = within("an end", run(dev_command(&home, &flags))).await;
        assert_eq!(failed.code, Some(2), "{failed:?}");
        failed.says(&["error[usage]: failed to ", says]);
    }
    let flags = [&["--cache-disk", "1KiB"][..], ANY_PORTS].concat();
    let failed = within("an end", run(dev_command(&home, &flags))).await;
    failed.says(&["start edge 1", "cache.disk.bytes: must be at least"]);
    let flags = [&["--origin", "s3://No_Bucket"][..], ANY_PORTS].concat();
    let failed = within("an end", run(dev_command(&home, &flags))).await;
    assert_eq!(failed.code, Some(2), "{failed:?}");
    failed.says(&["bucket", "error[invalid-argument]"]);
}
