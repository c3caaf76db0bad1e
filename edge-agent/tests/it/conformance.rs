//! docs/conformance.md says which test shows which requirement: the tests exist, and the totals are those of the tables.

use std::{collections::BTreeMap, fs, path::Path};

/// Covered, does not apply, open.
type Totals = [usize; 3];

const STATES: [&str; 3] = ["covered", "does not apply", "open"];

/// What the document says.
#[derive(Default)]
struct Read<'d> {
    /// The totals at its top, by RFC.
    told: BTreeMap<&'d str, Totals>,
    /// Those of its tables.
    counted: BTreeMap<&'d str, Totals>,
    problems: Vec<String>,
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of a table's row; none if it is no row, or the line under a table's head.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inside.split(" | ").map(str::trim).collect())
}

/// What stands between backticks and names a test: file and function.
fn tests_named(text: &str) -> Vec<(String, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|code| code.rsplit_once(".rs::"))
        .map(|(path, name)| (format!("{path}.rs"), name))
        .collect()
}

/// Whether a source has a test function of this name.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let is_test = |at: usize| {
        let mut above =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    };
    (0..lines.len()).any(|at| declares(lines[at]) && is_test(at))
}

fn read(document: &str) -> Read<'_> {
    let mut found = Read::default();
    let mut rfc = "";
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            rfc = if heading.starts_with("RFC ") { heading } else { "" };
        }
        let Some(cells) = cells(line) else { continue };
        match cells[..] {
            [name, covered, other, open] if rfc.is_empty() => {
                if let (Ok(covered), Ok(other), Ok(open)) = (covered.parse(), other.parse(), open.parse()) {
                    found.told.insert(name, [covered, other, open]);
                }
            }
            ["section", ..] => {}
            [section, requirement, state, evidence] => {
                let row = format!("{rfc}, {section}, {requirement:?}");
                match STATES.iter().position(|known| *known == state) {
                    Some(state) => found.counted.entry(rfc).or_default()[state] += 1,
                    None => found.problems.push(format!("{row}: what is {state:?}?")),
                }
                if evidence.is_empty() || (state == STATES[0] && tests_named(evidence).is_empty()) {
                    found.problems.push(format!("{row}: names no test, or gives no reason"));
                }
            }
            _ => found.problems.push(format!("{rfc}: not four cells: {line}")),
        }
    }
    found
}

#[test]
fn every_requirement_names_a_test_that_exists_or_says_why_not() {
    let document = file("../docs/conformance.md");
    let Read { told, mut counted, mut problems } = read(&document);
    let sum = |totals: Totals, more: &Totals| [0, 1, 2].map(|state| totals[state] + more[state]);
    let all = counted.values().fold(Totals::default(), sum);
    counted.insert("all", all);
    assert_eq!(told, counted, "the totals at the top of docs/conformance.md are not those of its tables");
    problems.extend(missing_tests(&document, ""));
    assert!(problems.is_empty(), "docs/conformance.md:\n{}", problems.join("\n"));
}

/// The tests that a document names and that are not there. Its paths are relative to `folder`, below this package.
fn missing_tests(document: &str, folder: &str) -> Vec<String> {
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    let mut missing = Vec::new();
    for (path, name) in tests_named(document) {
        let source = sources.entry(path.clone()).or_insert_with(|| file(&format!("{folder}{path}")));
        if !has_test(source, name) {
            missing.push(format!("there is no test {name} in {path}"));
        }
    }
    missing
}

#[test]
fn every_capability_of_cloudfronts_has_its_row_and_what_is_done_names_its_tests() {
    let document = file("../docs/cloudfront-compatibility.md");
    let mut problems = missing_tests(&document, "../");
    let rows: Vec<Vec<&str>> =
        document.lines().filter_map(cells).filter(|cells| cells[0].parse::<usize>().is_ok()).collect();
    for (i, cells) in rows.iter().enumerate() {
        match cells[..] {
            [number, _, state, evidence] => {
                let done = matches!(state, "exactly" | "differs");
                if number != (i + 1).to_string() || !(done || state == "no") {
                    problems.push(format!("row {number}, state {state:?}"));
                }
                if evidence.is_empty() || done == tests_named(evidence).is_empty() {
                    problems
                        .push(format!("row {number} names no test for what is done, or one for what is not"));
                }
            }
            _ => problems.push(format!("not four cells: {cells:?}")),
        }
    }
    assert_eq!(rows.len(), 56);
    assert!(problems.is_empty(), "docs/cloudfront-compatibility.md:\n{}", problems.join("\n"));
}

#[test]
fn only_tests_are_taken_for_tests() {
    let source =
        "fn helper() {}\n    #[test]\n    /// Why.\n    fn shown() {}\n#[tokio::test]\nasync fn later() {}";
    assert!(has_test(source, "shown") && has_test(source, "later"));
    assert!(!has_test(source, "helper") && !has_test(source, "show"));
}
