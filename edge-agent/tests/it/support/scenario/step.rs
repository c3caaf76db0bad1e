//! One step of a scenario: a request, the origin's answers to it, and what is expected.

use std::ops::RangeInclusive;

use crate::support::{origin::Received, viewer::Response};

/// What came of a step.
pub(crate) struct Seen {
    pub(super) response: Response,
    /// What reached the origin.
    pub(super) asked: Vec<Received>,
    /// Fills in dates.
    pub(super) dates: Box<dyn Fn(&str) -> String>,
}

/// What an origin does with a request.
#[derive(Clone)]
pub(super) enum Answer {
    /// Status line after the version, header lines, body.
    Whole { status: String, head: String, body: String },
    /// These bytes, and the connection is closed.
    Bytes(String),
}

type Check = Box<dyn Fn(&Seen) -> Result<(), String>>;

/// One step of a scenario.
pub(crate) struct Step {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<String>,
    pub(super) content: String,
    pub(super) after: u64,
    pub(super) answers: Vec<Answer>,
    pub(super) delay: u64,
    pub(super) asking_is_optional: bool,
    pub(super) is_down: bool,
    pub(super) in_background: bool,
    pub(super) until: Option<String>,
    pub(super) checks: Vec<Check>,
}

/// A request with this method for `/a`.
pub(crate) fn ask(method: &str) -> Step {
    Step {
        method: method.into(),
        path: "/a".into(),
        headers: Vec::new(),
        content: String::new(),
        after: 0,
        answers: Vec::new(),
        delay: 0,
        asking_is_optional: false,
        is_down: false,
        in_background: false,
        until: None,
        checks: Vec::new(),
    }
}

pub(crate) fn get() -> Step {
    ask("GET")
}

pub(crate) fn head() -> Step {
    ask("HEAD")
}

/// A GET that the origin answers, and the viewer gets that answer.
pub(crate) fn fetch(head: &str, body: &str) -> Step {
    get().origin(head, body).gives(200, body)
}

/// A GET that is answered with this body without asking the origin.
pub(crate) fn cached(body: &str) -> Step {
    get().gives(200, body)
}

/// A GET that the origin answers with 304, and the viewer gets this body.
pub(crate) fn not_modified(head: &str, body: &str) -> Step {
    get().origin_status("304 Not Modified", head, "").gives(200, body)
}

/// The request.
impl Step {
    pub(crate) fn path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    /// A header line of the request.
    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push(line.into());
        self
    }

    pub(crate) fn content(mut self, content: &str) -> Self {
        self.content = content.into();
        self
    }

    /// Seconds that pass before the request.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.after = seconds;
        self
    }

    /// Asks again and again until this is the body.
    pub(crate) fn until(mut self, body: &str) -> Self {
        self.until = Some(body.into());
        self
    }
}

/// The origin.
impl Step {
    /// The origin answers 200 with these header lines (Date is added unless they have one, or the line `no-date`).
    pub(crate) fn origin(self, head: &str, body: &str) -> Self {
        self.origin_status("200 OK", head, body)
    }

    /// The origin answers with this status. Several answers: for one request each, in order.
    pub(crate) fn origin_status(mut self, status: &str, head: &str, body: &str) -> Self {
        self.answers.push(Answer::Whole { status: status.into(), head: head.into(), body: body.into() });
        self
    }

    /// The origin answers with exactly these bytes and closes.
    pub(crate) fn origin_bytes(mut self, bytes: &str) -> Self {
        self.answers.push(Answer::Bytes(bytes.into()));
        self
    }

    /// Seconds that the origin takes to answer.
    pub(crate) fn delay(mut self, seconds: u64) -> Self {
        self.delay = seconds;
        self
    }

    /// The origin may be asked, but need not.
    pub(crate) fn or_cached(mut self) -> Self {
        self.asking_is_optional = true;
        self
    }

    /// Nobody listens at the origin's address.
    pub(crate) fn down(mut self) -> Self {
        self.is_down = true;
        self
    }

    /// The origin is asked, perhaps after the viewer has its response.
    pub(crate) fn in_background(mut self) -> Self {
        self.in_background = true;
        self
    }
}

/// What reached the origin: the last request of this step.
impl Step {
    fn origin_saw(self, check: impl Fn(&Received, &Seen) -> Result<(), String> + 'static) -> Self {
        self.check(move |seen| match seen.asked.last() {
            Some(request) => check(request, seen),
            None => Err("the origin was not asked".into()),
        })
    }

    /// A header reached the origin with this value.
    pub(crate) fn sent(self, line: &str) -> Self {
        let (name, value) = split(line);
        self.origin_saw(move |request, seen| {
            let (expected, got) = ((seen.dates)(&value), joined(&request.headers, &name));
            ensure(got.as_deref() == Some(&expected), || {
                format!("the origin got {name}: {got:?}, not {expected:?}")
            })
        })
    }

    /// A header reached the origin, and its value holds this.
    pub(crate) fn sent_with(self, line: &str) -> Self {
        let (name, part) = split(line);
        self.origin_saw(move |request, _| {
            let got = joined(&request.headers, &name);
            ensure(got.as_ref().is_some_and(|value| value.contains(&part)), || {
                format!("the origin got {name}: {got:?} without {part:?}")
            })
        })
    }

    /// No such header reached the origin.
    pub(crate) fn unsent(self, name: &str) -> Self {
        let name = name.to_owned();
        self.origin_saw(move |request, _| {
            let got = joined(&request.headers, &name);
            ensure(got.is_none(), || format!("the origin got {name}: {got:?}"))
        })
    }

    /// The method that the origin was asked with.
    pub(crate) fn asked_with(self, method: &str) -> Self {
        let method = method.to_owned();
        self.origin_saw(move |request, _| {
            ensure(request.line.starts_with(&format!("{method} ")), || {
                format!("the origin was asked with {:?}, not {method}", request.line)
            })
        })
    }
}

/// What reached the viewer.
impl Step {
    pub(crate) fn check(mut self, check: impl Fn(&Seen) -> Result<(), String> + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Something about the response that has no word of its own here.
    pub(crate) fn response(self, what: &'static str, test: impl Fn(&Response) -> bool + 'static) -> Self {
        self.check(move |seen| ensure(test(&seen.response), || what.into()))
    }

    pub(crate) fn gives(self, status: u16, body: &str) -> Self {
        let body = body.to_owned();
        self.status(status..=status).check(move |seen| {
            let got = String::from_utf8_lossy(&seen.response.body);
            ensure(seen.response.complete && got == body, || format!("the body is {got:?}, not {body:?}"))
        })
    }

    pub(crate) fn status(self, statuses: RangeInclusive<u16>) -> Self {
        self.check(move |seen| {
            let got = seen.response.status;
            ensure(statuses.contains(&got), || format!("the status is {got}, not {statuses:?}"))
        })
    }

    /// A header with exactly this value (several lines are one list).
    pub(crate) fn has(self, line: &str) -> Self {
        let (name, value) = split(line);
        self.check(move |seen| {
            let (expected, got) = ((seen.dates)(&value), joined(&seen.response.headers, &name));
            ensure(got.as_deref() == Some(&expected), || format!("{name} is {got:?}, not {expected:?}"))
        })
    }

    /// A header with any value.
    pub(crate) fn has_some(self, name: &'static str) -> Self {
        self.check(move |seen| ensure(seen.response.header(name).is_some(), || format!("{name} is missing")))
    }

    pub(crate) fn lacks(self, name: &str) -> Self {
        let name = name.to_owned();
        self.check(move |seen| {
            let got = joined(&seen.response.headers, &name);
            ensure(got.is_none(), || format!("{name} is there: {got:?}"))
        })
    }

    /// Age, once, in seconds; one more if it was rounded up.
    pub(crate) fn age(self, seconds: u64) -> Self {
        self.check(move |seen| {
            let got = joined(&seen.response.headers, "age");
            let age: Option<u64> = got.as_ref().and_then(|value| value.parse().ok());
            ensure(age == Some(seconds) || age == Some(seconds + 1), || {
                format!("age is {got:?}, not {seconds}")
            })
        })
    }

    /// `X-Cache: <result> from headland`.
    pub(crate) fn x_cache(self, result: &'static str) -> Self {
        self.has(&format!("x-cache: {result} from headland"))
    }

    /// Our member of Cache-Status, the last one, has these parameters.
    pub(crate) fn cache_status(self, parameters: &'static [&'static str]) -> Self {
        self.check(move |seen| {
            let got = our_status(seen)?;
            ensure(parameters.iter().all(|p| got.iter().any(|g| g == p)), || {
                format!("cache-status has {got:?}, not all of {parameters:?}")
            })
        })
    }

    /// The `ttl` of our member of Cache-Status: seconds left, one less if it was rounded down.
    pub(crate) fn ttl(self, seconds: i64) -> Self {
        self.check(move |seen| {
            let got = our_status(seen)?;
            let is_ttl = |p: &String| *p == format!("ttl={seconds}") || *p == format!("ttl={}", seconds - 1);
            ensure(got.iter().any(is_ttl), || format!("cache-status has {got:?}, not ttl={seconds}"))
        })
    }

    /// Our member of Cache-Status has none of these parameters, whatever their values.
    pub(crate) fn cache_status_lacks(self, names: &'static [&'static str]) -> Self {
        self.check(move |seen| {
            let got = our_status(seen)?;
            let is_named =
                |parameter: &String| names.iter().any(|name| parameter.split('=').next() == Some(*name));
            ensure(!got.iter().any(is_named), || format!("cache-status has {got:?}, some of {names:?}"))
        })
    }
}

/// The parameters of our member of Cache-Status (RFC 9211 section 2: each cache appends its own at the end).
fn our_status(seen: &Seen) -> Result<Vec<String>, String> {
    let whole = joined(&seen.response.headers, "cache-status").ok_or("cache-status is missing")?;
    let last = whole.rsplit(',').next().unwrap_or_default();
    let mut parts = last.split(';').map(|part| part.trim().to_owned());
    let name = parts.next().unwrap_or_default();
    ensure(name.starts_with("headland"), || format!("the last member of cache-status is {whole:?}"))?;
    Ok(parts.collect())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn split(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect("a header line");
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

/// All lines of a header as one list.
fn joined(headers: &[(String, String)], name: &str) -> Option<String> {
    let values: Vec<&str> = headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
