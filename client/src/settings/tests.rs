//! Which source wins, and what is said about wrong ones.

use super::*;

const FILE: &str = "/home/u/.config/headland/config.toml";

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn file(text: &str) -> Option<(&Path, &str)> {
    Some((Path::new(FILE), text))
}

#[test]
fn flags_before_environment_before_file_before_defaults() {
    let flags = Flags { endpoint: Some("http://flag".into()), ..Flags::default() };
    let vars = env(&[("HEADLAND_ENDPOINT", "http://env"), ("HEADLAND_OUTPUT", "json")]);
    let text = "endpoint = 'http://file'\noutput = 'yaml'\ncall_timeout = '5s'\n";
    let settings = resolve(&flags, &vars, file(text)).expect("settings");
    assert_eq!(settings.endpoint, ("http://flag".into(), SetBy::Flag("--endpoint".into())));
    assert_eq!(settings.output, (Format::Json, SetBy::Environment("HEADLAND_OUTPUT".into())));
    assert_eq!(settings.call_timeout.0, SpecDuration(Duration::from_secs(5)));
    assert_eq!(settings.call_timeout.1, SetBy::File(FILE.into()));
    assert_eq!(settings.ca_certificate, (None, SetBy::Default));

    let settings = resolve(&Flags::default(), &env(&[]), None).expect("settings");
    assert_eq!(settings.endpoint, ("http://127.0.0.1:7070".into(), SetBy::Default));
}

#[test]
fn all_problems_are_named_at_once() {
    let vars = env(&[("HEADLAND_CALL_TIMEOUT", "soon"), ("HEADLAND_OUTPUT", "xml")]);
    let text = "endpiont = 'http://x'\nendpoint = 'x:7070'\noutput = true\ncall_timeout = 0\n";
    let problems = resolve(&Flags::default(), &vars, file(text)).expect_err("problems");
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for expected in [
        format!("{FILE}: endpiont: is not a setting; there are endpoint, output"),
        format!("{FILE}: endpoint: \"x:7070\" is not an endpoint"),
        format!("{FILE}: output: must be a text, not boolean"),
        format!("{FILE}: call_timeout: must be longer than 0 s"),
        "HEADLAND_CALL_TIMEOUT: \"soon\" is not a duration".into(),
        "HEADLAND_OUTPUT: \"xml\" is not an output format".into(),
    ] {
        assert!(problems.iter().any(|p| p.starts_with(&expected)), "{expected} in {problems:#?}");
    }
    assert_eq!(problems.len(), 6, "{problems:#?}");
}

#[test]
fn a_file_that_is_not_toml_is_named_with_its_line() {
    let problems =
        resolve(&Flags::default(), &env(&[]), file("output = 'json'\nendpoint http\n")).expect_err("problem");
    assert!(problems[0].to_string().starts_with(&format!("{FILE}:2: ")), "{problems:?}");
}

#[test]
fn the_usual_file_is_where_xdg_says() {
    let check = |pairs: &[(&str, &str)], path: Option<&str>| {
        assert_eq!(usual_path(&env(pairs)), path.map(PathBuf::from));
    };
    check(&[("HOME", "/home/u")], Some(FILE));
    check(&[("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/x")], Some("/x/headland/config.toml"));
    check(&[("HOME", "/home/u"), ("XDG_CONFIG_HOME", "x")], Some(FILE));
    check(&[], None);
}

#[test]
fn printed_settings_are_a_settings_file() {
    let flags = Flags { endpoint: Some("http://a\"b".into()), ..Flags::default() };
    let settings = resolve(&flags, &env(&[]), None).expect("settings");
    let printed = settings.to_toml();
    assert!(printed.contains("# flag --endpoint") && printed.contains("# default"), "{printed}");
    let again = resolve(&Flags::default(), &env(&[]), file(&printed)).expect("settings");
    assert_eq!(again.endpoint.0, settings.endpoint.0);
    assert_eq!(again.output.0, settings.output.0);
}
