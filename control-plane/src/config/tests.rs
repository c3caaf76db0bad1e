//! Which source wins, and everything that is wrong at once.

use clap::Parser;

use super::*;

/// The configuration from these flags and this file.
fn load(args: &[&str], yaml: &str) -> Result<Config, Problems> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, yaml).unwrap();
    let all = ["headland-control-plane", "--config", path.to_str().unwrap()];
    Config::load(Flags::try_parse_from(all.iter().chain(args)).unwrap())
}

/// The settings that problems are reported for.
fn check_problems(args: &[&str], yaml: &str, expected: &[&str]) {
    let problems = load(args, yaml).expect_err("problems");
    let named: Vec<&str> = problems.0.iter().map(|p| p.split(": ").next().unwrap()).collect();
    assert_eq!(named, expected, "{problems}");
}

#[test]
fn without_a_word_everything_has_a_default() {
    let config = load(&[], "").unwrap();
    assert_eq!(config.settings, Settings::new("cdn.localhost".parse().unwrap()));
    assert_eq!(config.api.to_string(), "127.0.0.1:7070");
    assert_eq!(config.sync.to_string(), "127.0.0.1:7071");
    assert_eq!(config.admin.to_string(), "127.0.0.1:7072");
    assert!(matches!(&config.store, StoreConfig::Embedded(p) if p.as_os_str() == STORE_PATH_DEFAULT));
    assert_eq!((config.log_level.as_str(), config.log_format), ("info", LogFormat::Text));
}

#[test]
fn a_flag_wins_over_the_file() {
    let yaml = "cdn_domain: file.test\napi: 127.0.0.1:1\nlog: {format: json}\nreport_interval_seconds: 0.5\n";
    let config = load(&["--api", "127.0.0.1:2"], yaml).unwrap();
    assert_eq!(config.api.port(), 2);
    assert_eq!(config.settings.cdn_domain.as_str(), "file.test");
    assert_eq!(config.settings.report_interval, Duration::from_millis(500));
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn a_flag_that_chooses_a_store_replaces_the_files_choice() {
    let embedded = "store: {embedded: {path: /tmp/s}}";
    let config = load(&["--etcd-endpoints", "http://a:1,http://b:2"], embedded).unwrap();
    match &config.store {
        StoreConfig::Etcd(options) => assert_eq!(options.endpoints, ["http://a:1", "http://b:2"]),
        other => panic!("{other:?}"),
    }
    let etcd = "store: {etcd: {endpoints: ['http://a:1'], prefix: p/}}";
    let config = load(&["--store-path", "/tmp/t"], etcd).unwrap();
    assert!(matches!(&config.store, StoreConfig::Embedded(p) if p.as_os_str() == "/tmp/t"));
    let config = load(&["--etcd-prefix", "q/"], etcd).unwrap();
    assert!(
        matches!(&config.store, StoreConfig::Etcd(o) if o.prefix == "q/" && o.endpoints == ["http://a:1"])
    );
}

#[test]
fn the_password_is_read_from_its_file_and_never_printed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    fs::write(&path, "s3cret\n").unwrap();
    let yaml = format!(
        "store: {{etcd: {{endpoints: ['http://a:1'], username: u, password_file: {}}}}}",
        path.display()
    );
    let config = load(&[], &yaml).unwrap();
    assert!(matches!(&config.store, StoreConfig::Etcd(o) if o.password.as_deref() == Some("s3cret")));
    assert!(!config.to_yaml().contains("s3cret"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let yaml = "
cdn_domain: not a name
api: localhost
report_interval_seconds: 0
store:
  etcd: {endpoints: ['https://a:1', 'b:2'], prefix: p, username: u}
log: {level: 'x=y=z', format: xml}
";
    let expected = [
        "cdn_domain",
        "api",
        "report_interval_seconds",
        "store.etcd.endpoints",
        "store.etcd.endpoints",
        "store.etcd.prefix",
        "store.etcd",
        "log.level",
        "log.format",
    ];
    check_problems(&[], yaml, &expected);
    check_problems(&["--store-path", "s", "--etcd-endpoints", "http://a:1"], "", &["store"]);
    check_problems(
        &["--etcd-endpoints", "https://a:1", "--etcd-cert-file", "c"],
        "",
        &["store.etcd.tls", "store.etcd.tls.ca_file"],
    );
    check_problems(&["--etcd-username", "u"], "", &["store.etcd.endpoints", "store.etcd"]);
}

#[test]
fn what_the_file_should_not_hold_is_refused_with_its_place() {
    let problems = load(&[], "cdn_domain: a.test\nlisten: x\n").unwrap_err().to_string();
    assert!(problems.contains("listen") && problems.contains('2'), "{problems}");
    let missing = Flags::try_parse_from(["x", "--config", "/nowhere/at/all.yaml"]).unwrap();
    assert!(Config::load(missing).unwrap_err().to_string().contains("/nowhere/at/all.yaml"));
}

#[test]
fn what_is_printed_can_be_read_again() {
    for args in
        [&["--log-format", "json"][..], &["--etcd-endpoints", "https://a:1", "--etcd-ca-file", "ca.pem"]]
    {
        let printed = load(args, "").unwrap().to_yaml();
        let again = load(&[], &printed).unwrap();
        assert_eq!(again.to_yaml(), printed);
        assert!(printed.contains("cdn_domain: cdn.localhost"), "{printed}");
    }
}

#[test]
fn the_flags_are_sound() {
    use clap::CommandFactory;
    Flags::command().debug_assert();
}
