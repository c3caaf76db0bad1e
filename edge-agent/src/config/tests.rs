//! Where settings come from, and that everything wrong with them is told at once.

use super::*;

fn machine() -> Machine {
    Machine { memory_bytes: 8 << 30, parallelism: 4, host_name: "edge-1".into() }
}

fn checked(layer: Layer) -> Settings {
    Settings::check(layer, &machine()).unwrap()
}

/// The settings that have problems.
fn wrong(layer: Layer) -> Vec<String> {
    Settings::check(layer, &machine()).unwrap_err().into_iter().map(|p| p.setting).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

#[test]
fn nothing_needs_to_be_set() {
    let settings = checked(Layer::default());
    assert_eq!(settings.cache.memory_bytes, 2 << 30, "a quarter of the memory");
    assert_eq!((settings.workers, settings.location.as_str()), (4, "default"));
    assert_eq!(settings.http, ["0.0.0.0:8080".parse().unwrap()]);
    assert_eq!(settings.control_planes, [Uri::from_static("http://127.0.0.1:7071")]);
    assert_eq!(settings.limits.header_timeout, Duration::from_secs(10));
    let small = Machine { memory_bytes: 64 << 20, ..machine() };
    let cache = Settings::check(Layer::default(), &small).unwrap().cache;
    assert_eq!(
        (cache.memory_bytes, cache.object_bytes_max, cache.background_fill_percent),
        (16 << 20, 50 << 30, 50)
    );
}

#[test]
fn flags_win_over_the_file() {
    let file =
        from_yaml("location: fra1\nhttp: ['127.0.0.1:1', '[::1]:1']\ncache: {memory: {bytes: 1GiB}}\n");
    let flags = Layer { location: some("fra2"), ..Layer::default() };
    let settings = checked(flags.over(file.unwrap()));
    assert_eq!(settings.location, "fra2");
    assert_eq!((settings.http.len(), settings.cache.memory_bytes), (2, 1 << 30));
}

#[test]
fn every_problem_is_told_at_once() {
    let layer = Layer {
        location: some(""),
        http: Some(vec!["0.0.0.0:1".into(), "localhost".into()]),
        admin: some("8079"),
        viewer_url: some("edge.example"),
        control_planes: Some(vec!["https://cp".into(), "cp:7071".into(), "http://cp/path".into()]),
        cache_memory_bytes: some("lots"),
        cache_object_bytes_max: some("0"),
        cache_background_fill_percent: some("101"),
        origin_client_certificates: some(""),
        workers: some("0"),
        drain_timeout: some("30"),
        limits_idle_timeout: some("2h"),
        limits_connections_max: some("-1"),
        log_level: some("info,=,"),
        log_format: some("xml"),
        ..Layer::default()
    };
    let mut wrong = wrong(layer);
    wrong.sort();
    assert_eq!(
        wrong,
        [
            "admin",
            "cache.background_fill_percent",
            "cache.memory.bytes",
            "cache.object_bytes_max",
            "control_planes[0]",
            "control_planes[1]",
            "control_planes[2]",
            "drain_timeout",
            "http[1]",
            "limits.connections_max",
            "limits.idle_timeout",
            "location",
            "log.format",
            "log.level",
            "origin.client_certificates",
            "viewer_url",
            "workers",
        ]
    );
}

#[test]
fn lists_have_limits() {
    assert_eq!(wrong(Layer { http: Some(vec![]), ..Layer::default() }), ["http"]);
    let many = vec!["http://cp:1".to_owned(); 17];
    assert_eq!(wrong(Layer { control_planes: Some(many), ..Layer::default() }), ["control_planes"]);
}

#[test]
fn a_disk_cache_needs_a_directory_and_a_size() {
    let layer = |path: Option<&str>, bytes: Option<&str>| Layer {
        cache_disk_path: path.map(str::to_owned),
        cache_disk_bytes: bytes.map(str::to_owned),
        ..Layer::default()
    };
    assert_eq!(checked(layer(None, None)).cache.disk, None);
    let disk = checked(layer(Some("/d"), Some("10GiB"))).cache.disk.expect("a disk");
    assert_eq!((disk.path, disk.bytes), ("/d".into(), 10 << 30));
    assert_eq!(wrong(layer(Some("/d"), None)), ["cache.disk.bytes"]);
    assert_eq!(wrong(layer(None, Some("10GiB"))), ["cache.disk.path"]);
    assert_eq!(wrong(layer(Some(""), Some("1"))), ["cache.disk.bytes", "cache.disk.path"]);
}

#[test]
fn who_is_believed_is_named_by_network_and_address() {
    let file = "http: ['0.0.0.0:80', '0.0.0.0:81']\nhttp_proxy_protocol: ['0.0.0.0:81']\nhttp_behind_tls: ['0.0.0.0:80']\n\
                trusted_proxies: [10.0.0.0/8, '2001:db8::1']\ngeo: {database: /geo/city.mmdb}\n";
    let settings = checked(from_yaml(file).unwrap());
    let entrance = |address: &str| settings.entrance(&address.parse().unwrap());
    assert_eq!(entrance("0.0.0.0:80"), Entrance { proxy_protocol: false, behind_tls: true });
    assert_eq!(entrance("0.0.0.0:81"), Entrance { proxy_protocol: true, behind_tls: false });
    assert!(settings.trusted_proxies.contain("10.1.2.3".parse().unwrap()));
    assert_eq!(settings.geo, GeoSettings { database: Some("/geo/city.mmdb".into()), asn_database: None });
    let list = |texts: &[&str]| Some(texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
    let layer = Layer {
        http_proxy_protocol: list(&["0.0.0.0:8080", "0.0.0.0:81"]),
        http_behind_tls: list(&["x"]),
        geo_database: some(""),
        ..Layer::default()
    };
    assert_eq!(
        wrong(layer),
        ["http_proxy_protocol[1]", "http_behind_tls[0]", "trusted_proxies", "geo.database"]
    );
    let proxies = |texts: &[&str]| Layer { trusted_proxies: list(texts), ..Layer::default() };
    assert_eq!(wrong(proxies(&["10.0.0.1/8", "::/129"])), ["trusted_proxies[0]", "trusted_proxies[1]"]);
    assert_eq!(wrong(proxies(&["10.0.0.1"; 65])), ["trusted_proxies"]);
}

#[test]
fn a_file_names_nothing_unknown_and_errors_say_where() {
    for (text, expected) in [
        ("location: a\nlokation: b\n", "lokation"),
        ("cache:\n  memory:\n    size: 1\n", "size"),
        ("http: 1.2.3.4:5\n", "line 1"),
        ("location: [a", "line"),
    ] {
        let error = from_yaml(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for empty in ["", "# nothing\n", "{}\n"] {
        assert_eq!(from_yaml(empty), Ok(Layer::default()), "{empty:?}");
    }
}

#[test]
fn numbers_need_no_quotes() {
    let layer =
        from_yaml("workers: 3\nlocation: 7\ncache: {memory: {bytes: 4194304}, object_bytes_max: 1KiB}\n");
    let settings = checked(layer.unwrap());
    assert_eq!((settings.workers, settings.location.as_str()), (3, "7"));
    assert_eq!((settings.cache.memory_bytes, settings.cache.object_bytes_max), (4 << 20, 1024));
}

#[test]
fn what_is_printed_sets_the_same() {
    let layer = Layer {
        location: some("7"),
        viewer_url: some("http://edge.example"),
        cache_memory_bytes: some("100MB"),
        drain_timeout: some("1500ms"),
        log_format: some("json"),
        ..Layer::default()
    };
    for settings in [checked(layer), checked(Layer::default())] {
        let yaml = settings.to_yaml();
        assert_eq!(checked(from_yaml(&yaml).unwrap()), settings, "{yaml}");
    }
}

#[test]
fn the_viewer_url_is_made_from_where_the_edge_listens() {
    let (everywhere, nowhere) = (checked(Layer::default()), "");
    for (bound, host_name, url) in [
        ("0.0.0.0:8080", "edge-1", "http://edge-1:8080"),
        ("[::]:80", nowhere, "http://127.0.0.1:80"),
        ("192.0.2.7:81", "edge-1", "http://192.0.2.7:81"),
        ("[2001:db8::1]:81", "edge-1", "http://[2001:db8::1]:81"),
    ] {
        assert_eq!(everywhere.viewer_url(bound.parse().unwrap(), host_name), url);
    }
    let named = checked(Layer { viewer_url: some("http://cdn.example"), ..Layer::default() });
    assert_eq!(named.viewer_url("0.0.0.0:1".parse().unwrap(), "edge-1"), "http://cdn.example");
}

#[test]
fn the_command_line_tells_file_and_flag_problems_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.yaml");
    fs::write(&path, "locaton: fra1\n").unwrap();
    let args = |workers: &str| {
        let config = path.display();
        [
            "headland-edge-agent",
            &format!("--config={config}"),
            &format!("--workers={workers}"),
            "--print-config",
        ]
        .map(OsString::from)
    };
    let error = from_command_line(args("none")).unwrap_err().to_string();
    assert!(error.contains("locaton") && error.contains("workers"), "{error}");
    fs::write(&path, "location: fra1\n").unwrap();
    let Asked::Print(yaml) = from_command_line(args("2")).unwrap() else { panic!("asked to print") };
    assert!(yaml.contains("fra1") && yaml.contains("workers: 2"), "{yaml}");
    let usage = from_command_line(["headland-edge-agent", "--nonsense"].map(OsString::from));
    assert!(matches!(usage, Err(ConfigError::Usage(_))));
}
