//! What needs no control plane: settings, help, completions.

use std::{fs, process::Stdio};

use tempfile::TempDir;

use super::harness::{Run, command, run};

async fn headland(home: &TempDir, line: &str) -> Run {
    let args: Vec<_> = line.split_whitespace().collect();
    run(command(home, &args)).await
}

fn home_with(settings: &str) -> TempDir {
    let home = TempDir::new().expect("a directory");
    fs::create_dir_all(home.path().join(".config/headland")).expect("a directory");
    fs::write(home.path().join(".config/headland/config.toml"), settings).expect("a file");
    home
}

#[tokio::test]
async fn the_usual_settings_file_counts_and_flags_win() {
    let home = home_with("endpoint = 'http://file:1'\noutput = 'json'\n");
    let printed = headland(&home, "--print-config").await.ok().stdout;
    assert!(
        printed.contains("endpoint = \"http://file:1\"  # ") && printed.contains("config.toml"),
        "{printed}"
    );
    let printed = headland(&home, "--print-config --endpoint http://flag:1").await.ok().stdout;
    assert!(printed.contains("\"http://flag:1\"  # flag --endpoint"), "{printed}");
    let mut with_env = command(&home, &["version"]);
    with_env.env("HEADLAND_OUTPUT", "yaml");
    assert_eq!(run(with_env).await.ok().stdout, format!("client: \"{}\"\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(headland(&home, "version").await.ok().field("client"), env!("CARGO_PKG_VERSION"));

    let elsewhere = home.path().join("other.toml");
    fs::write(&elsewhere, "output = 'table'\n").unwrap();
    let table = headland(&home, &format!("version --config {}", elsewhere.display())).await.ok().stdout;
    assert_eq!(table, format!("headland  {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn every_wrong_setting_is_named_with_its_file() {
    let home = home_with("endpiont = 'http://x'\noutput = 'xml'\n");
    let path = home.path().join(".config/headland/config.toml");
    let mut wrong = command(&home, &["distribution", "list"]);
    wrong.env("HEADLAND_ENDPOINT", "nowhere");
    run(wrong).await.failed(2, "settings-invalid").says(&[
        &format!("{}: endpiont: is not a setting", path.display()),
        &format!("{}: output: \"xml\"", path.display()),
        "HEADLAND_ENDPOINT: \"nowhere\"",
        "3 things are wrong",
    ]);
    let missing = headland(&home, "version --config /nowhere.toml").await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    missing.says(&["/nowhere.toml"]);
}

#[tokio::test]
async fn help_is_data_and_wrong_usage_is_not() {
    let home = TempDir::new().unwrap();
    let help = headland(&home, "distribution create --help").await.ok();
    assert!(help.stdout.contains("--s3-bucket") && help.stderr.is_empty(), "{help:?}");
    assert!(headland(&home, "--version").await.ok().stdout.starts_with("headland "));
    for line in ["distribution create", "distribution frobnicate", "", "-o xml version"] {
        let wrong = headland(&home, line).await;
        assert_eq!(wrong.code, Some(2), "{line}: {wrong:?}");
        assert!(wrong.stdout.is_empty() && !wrong.stderr.is_empty(), "{line}: {wrong:?}");
        assert!(!wrong.stderr.contains('\x1b'), "no colour where no terminal is: {wrong:?}");
    }
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    let home = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = headland(&home, &format!("completions {shell}")).await.ok().stdout;
        assert!(script.contains("distribution") && script.contains("s3-bucket"), "{shell}");
    }
    // What a real shell makes of it.
    let bash = tokio::process::Command::new("bash")
        .args(["-n", "-c", &headland(&home, "completions bash").await.stdout])
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(bash.status.success(), "{bash:?}");
}
