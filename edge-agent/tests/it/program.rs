//! The program: its exit codes, what it prints, and how it stops.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headland-edge-agent"));
    // The environment of whoever runs the tests sets nothing.
    command.env_clear();
    command
}

fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

#[test]
fn wrong_settings_are_all_told_and_nothing_is_started() {
    let output = run(&["--workers=0", "--location="]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("workers") && said.contains("location"), "{said}");
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

#[test]
fn settings_come_from_flags_over_environment_over_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("edge.yaml");
    std::fs::write(&file, "location: file\nworkers: 3\ndrain_timeout: 7s\n").unwrap();
    let output = program()
        .env("HEADLAND_CONFIG", &file)
        .env("HEADLAND_LOCATION", "environment")
        .env("HEADLAND_WORKERS", "5")
        .env("HEADLAND_CONTROL_PLANES", "http://one:1,http://two:2")
        .args(["--location=flag", "--print-config"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for line in ["location: flag", "workers: 5", "drain_timeout: 7s", "http://two:2"] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
}

#[test]
fn a_start_that_fails_has_its_own_exit_code() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let data_dir = format!("--data-dir={}", dir.path().display());
    let output = run(&[&data_dir, "--http=127.0.0.1:0", &format!("--admin={address}")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("failed to listen on {address}: ")), "{said}");
}

#[test]
fn a_signal_stops_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = program()
        .arg(format!("--data-dir={}", dir.path().display()))
        .args([
            "--http=127.0.0.1:0",
            "--admin=127.0.0.1:0",
            "--control-plane=http://127.0.0.1:1",
            "--log-format=json",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut told = Vec::new();
    for line in lines {
        if line.contains("\"started\"") {
            // The agent is told by another program, as in life.
            // The shell's own: a small Debian has no program of this name.
            assert!(
                Command::new("sh")
                    .args(["-c", r#"kill "$@""#, "sh"])
                    .arg(child.id().to_string())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        told.push(line);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{told:#?}");
    assert!(told.last().unwrap().contains("\"stopped\""), "{told:#?}");
}
