//! What lies in deploy/ is what real validators and the programs themselves accept.

use std::path::Path;

use tokio::process::Command;

use crate::network::{program::ours, wait::within};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[tokio::test]
async fn everything_in_deploy_passes_its_validators() {
    let programs = ours("headland-edge-agent");
    ours("headland-control-plane");
    let mut check = Command::new(root().join("scripts/check-deploy.sh"));
    check.arg(programs.parent().unwrap()).kill_on_drop(true);
    let output = within("the check", check.output()).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.lines().count() >= 5, "it checked something: {out}");
}

#[tokio::test]
async fn the_programs_take_the_settings_in_deploy_config() {
    for (program, file, line) in [
        ("headland-control-plane", "control-plane.yaml", "cdn_domain: cdn.example.net"),
        ("headland-edge-agent", "edge-agent.yaml", "location: fra1"),
    ] {
        let mut command = Command::new(ours(program));
        command
            .env_clear()
            .arg("--config")
            .arg(root().join("deploy/config").join(file))
            .arg("--print-config");
        let output = within(program, command.output()).await.unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains(line), "{program}: {printed}");
        // What is printed is a file that says the same.
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.yaml");
        std::fs::write(&copy, &printed).unwrap();
        let mut again = Command::new(ours(program));
        again.env_clear().arg("--config").arg(&copy).arg("--print-config");
        let again = within(program, again.output()).await.unwrap();
        assert_eq!(String::from_utf8(again.stdout).unwrap(), printed, "{program}");
    }
}

#[tokio::test]
async fn the_command_takes_a_settings_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "endpoint = \"http://control-plane.example.net:7070\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_headland"));
    command.env_clear().env("HOME", folder.path()).arg("--config").arg(&file).arg("--print-config");
    let output = within("headland", command.output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("control-plane.example.net"), "{printed}");
}
