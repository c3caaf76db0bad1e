//! The help is complete, and what it shows works.

use clap::Arg;

use super::*;

fn each_command(check: &mut impl FnMut(&str, &clap::Command)) {
    fn walk(path: &str, command: &clap::Command, check: &mut impl FnMut(&str, &clap::Command)) {
        check(path, command);
        for sub in command.get_subcommands() {
            walk(&format!("{path} {}", sub.get_name()), sub, check);
        }
    }
    walk("headland", &Cli::command(), check);
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_flag_has_help() {
    let mut seen = 0;
    each_command(&mut |path, command| {
        assert!(command.get_about().is_some(), "{path} has no help");
        let nameless = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
        for arg in command.get_arguments().filter(nameless) {
            assert!(arg.get_help().is_some(), "{path} {} has no help", arg.get_id());
            seen += 1;
        }
    });
    assert!(seen > 40, "only {seen} flags were looked at");
}

#[test]
fn every_command_that_does_something_has_an_example_and_every_example_parses() {
    each_command(&mut |path, command| {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<_> = help.lines().filter_map(|l| l.strip_prefix("  ")).collect();
        if !command.has_subcommands() {
            assert!(!examples.is_empty(), "{path} has no example");
        }
        for example in examples {
            assert!(example.starts_with("headland "), "{path}: {example:?} is no example");
            let line = example.split(" | ").next().expect("the first part");
            let parsed = Cli::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{example}: {}", parsed.expect_err("checked"));
        }
    });
}

/// Words of a shell line; single quotes hold one together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("never empty").push(c),
        }
    }
    words
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for line in [
        "headland distribution create",
        "headland distribution create --origin http://a --s3-bucket b",
        "headland distribution create -f x.yaml --comment y",
        "headland distribution create -f x.yaml --origin http://a",
        "headland distribution create --origin http://a --enabled --disabled",
        "headland distribution create --origin http://a --debug-headers --no-debug-headers",
        "headland distribution create --origin http://a --default-ttl soon",
        "headland distribution create --origin http://a --wait 5m",
        "headland distribution update E1 -f x.yaml --disabled",
        "headland distribution update",
        "headland distribution get",
        "headland distribution get E1 E2",
        "headland apply",
        "headland apply -f site --prune",
        "headland export",
        "headland export E1 --all",
        "headland export E1 --overwrite",
        "headland import cloudfront",
    ] {
        assert!(Cli::try_parse_from(words(line)).is_err(), "{line}");
    }
}
