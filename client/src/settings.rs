//! The command's own settings: flags, before `HEADLAND_*`, before the file, before the defaults.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use headland::{
    error::{Error, ErrorKind, Violation},
    spec::SpecDuration,
};

use crate::output::Format;

const ENDPOINT_DEFAULT: &str = "http://127.0.0.1:7070";
const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Largest settings file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

const KEYS: &[&str] = &["endpoint", "output", "call_timeout", "ca_certificate"];

/// What flags set.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Flags {
    /// Where the control plane is: http://host:port or https://host:port [env: HEADLAND_ENDPOINT] [default:
    /// http://127.0.0.1:7070]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// How results are written [env: HEADLAND_OUTPUT] [default: table]
    #[arg(long, short, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// Longest time for one call to the control plane, such as 30s [env: HEADLAND_CALL_TIMEOUT] [default: 30s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) call_timeout: Option<SpecDuration>,
    /// File of certificates (PEM) that sign the control plane's, instead of those the system trusts [env:
    /// HEADLAND_CA_CERTIFICATE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_certificate: Option<PathBuf>,
    /// File with settings, instead of ~/.config/headland/config.toml [env: HEADLAND_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetBy {
    Flag(String),
    Environment(String),
    File(PathBuf),
    Default,
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The settings in effect, each with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) endpoint: (String, SetBy),
    pub(crate) output: (Format, SetBy),
    pub(crate) call_timeout: (SpecDuration, SetBy),
    pub(crate) ca_certificate: (Option<PathBuf>, SetBy),
}

impl Settings {
    /// Reads the environment and the file, and resolves them with the flags.
    pub(crate) fn of_process(flags: &Flags) -> Result<Self, Error> {
        let env: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.to_string_lossy().into_owned())))
            .filter(|(_, v)| !v.is_empty())
            .collect();
        let file = read_file(flags.config.as_deref(), &env)?;
        resolve(flags, &env, file.as_ref().map(|(p, t)| (p.as_path(), t.as_str()))).map_err(|problems| {
            Error::new(
                ErrorKind::Settings,
                format!("understand the settings: {} wrong", things(problems.len())),
            )
            .with_violations(problems)
            .with_hint("headland --print-config shows the settings in effect and where each comes from")
        })
    }

    /// As a settings file, with where each setting comes from.
    pub(crate) fn to_toml(&self) -> String {
        let line = |key: &str, value: Option<&str>, from: &SetBy| {
            let value =
                value.map_or_else(|| format!("# {key} ="), |v| format!("{key} = {}", toml::Value::from(v)));
            format!("{value}  # {from}")
        };
        let certificate = self.ca_certificate.0.as_ref().map(|p| p.to_string_lossy());
        [
            line("endpoint", Some(&self.endpoint.0), &self.endpoint.1),
            line("output", Some(self.output.0.as_str()), &self.output.1),
            line("call_timeout", Some(&self.call_timeout.0.to_string()), &self.call_timeout.1),
            line("ca_certificate", certificate.as_deref(), &self.ca_certificate.1),
        ]
        .join("\n")
    }
}

fn things(n: usize) -> String {
    if n == 1 { "one thing is".into() } else { format!("{n} things are") }
}

/// The file that was asked for, or the usual one if it is there.
fn read_file(
    flag: Option<&Path>,
    env: &BTreeMap<String, String>,
) -> Result<Option<(PathBuf, String)>, Error> {
    let asked = flag.map(Path::to_owned).or_else(|| env.get("HEADLAND_CONFIG").map(PathBuf::from));
    let Some(path) = asked.clone().or_else(|| usual_path(env)) else {
        return Ok(None);
    };
    let failed =
        |why: String| Error::new(ErrorKind::Settings, format!("read settings {}: {why}", path.display()));
    match std::fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && asked.is_none() => return Ok(None),
        Ok(meta) if meta.len() > FILE_BYTES_MAX => {
            return Err(failed(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        _ => {}
    }
    let text = std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?;
    Ok(Some((path, text)))
}

/// XDG Base Directory Specification: a relative XDG_CONFIG_HOME is to be ignored.
fn usual_path(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let base = env
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| env.get("HOME").map(|home| Path::new(home).join(".config")))?;
    Some(base.join("headland/config.toml"))
}

/// The settings in effect, or everything that is wrong in any of their sources.
pub(crate) fn resolve(
    flags: &Flags,
    env: &BTreeMap<String, String>,
    file: Option<(&Path, &str)>,
) -> Result<Settings, Vec<Violation>> {
    let mut sources = Sources { env, file: None, problems: Vec::new() };
    if let Some((path, text)) = file {
        sources.read_table(path, text);
    }
    let settings = Settings {
        endpoint: sources
            .pick("endpoint", flags.endpoint.clone(), parse_endpoint, || ENDPOINT_DEFAULT.to_owned()),
        output: sources.pick("output", flags.output, |t| t.parse(), || Format::Table),
        call_timeout: sources
            .pick("call_timeout", flags.call_timeout, parse_timeout, || SpecDuration(CALL_TIMEOUT_DEFAULT)),
        ca_certificate: sources.pick(
            "ca_certificate",
            flags.ca_certificate.clone().map(Some),
            |t| Ok(Some(PathBuf::from(t))),
            || None,
        ),
    };
    if sources.problems.is_empty() { Ok(settings) } else { Err(sources.problems) }
}

fn parse_endpoint(text: &str) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not an endpoint: write http://host:port or https://host:port"))
    }
}

fn parse_timeout(text: &str) -> Result<SpecDuration, String> {
    match text.parse::<SpecDuration>() {
        Ok(duration) if duration.0.is_zero() => Err("must be longer than 0 s".into()),
        other => other.map_err(|e| e.to_string()),
    }
}

struct Sources<'s> {
    env: &'s BTreeMap<String, String>,
    file: Option<(PathBuf, toml::Table)>,
    problems: Vec<Violation>,
}

impl Sources<'_> {
    fn problem(&mut self, place: Option<&Path>, field: &str, description: impl Into<String>) {
        self.problems.push(Violation {
            field: field.to_owned(),
            description: description.into(),
            place: place.map(|p| p.display().to_string()),
        });
    }

    fn read_table(&mut self, path: &Path, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |s| 1 + text[..s.start].matches('\n').count());
                let place = PathBuf::from(format!("{}:{line}", path.display()));
                self.problem(Some(&place), "", error.message());
                return;
            }
        };
        for key in table.keys().filter(|k| !KEYS.contains(&k.as_str())) {
            let known = KEYS.join(", ");
            self.problem(Some(path), key, format!("is not a setting; there are {known}"));
        }
        self.file = Some((path.to_owned(), table));
    }

    /// The value of one setting. Every source is checked, also those that do not win.
    fn pick<T>(
        &mut self,
        key: &str,
        flag: Option<T>,
        parse: impl Fn(&str) -> Result<T, String>,
        default: impl FnOnce() -> T,
    ) -> (T, SetBy) {
        let variable = format!("HEADLAND_{}", key.to_ascii_uppercase());
        let from_env = self.env.get(&variable).cloned().and_then(|text| match parse(&text) {
            Ok(value) => Some((value, SetBy::Environment(variable.clone()))),
            Err(why) => {
                self.problem(None, &variable, why);
                None
            }
        });
        let from_file = self.in_file(key, parse);
        let from_flag = flag.map(|value| (value, SetBy::Flag(format!("--{}", key.replace('_', "-")))));
        from_flag.or(from_env).or(from_file).unwrap_or_else(|| (default(), SetBy::Default))
    }

    fn in_file<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<(T, SetBy)> {
        let (path, table) = self.file.as_ref()?;
        let path = path.clone();
        let parsed = match table.get(key)? {
            toml::Value::String(text) => parse(text),
            toml::Value::Integer(number) => parse(&number.to_string()),
            other => Err(format!("must be a text, not {}", other.type_str())),
        };
        match parsed {
            Ok(value) => Some((value, SetBy::File(path))),
            Err(why) => {
                self.problem(Some(&path), key, why);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
