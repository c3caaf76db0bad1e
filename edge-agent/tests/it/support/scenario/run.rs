//! Running a scenario.

use std::{
    collections::VecDeque,
    io::Write,
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use headland_edge_agent::clock::Clock;
use headland_proto::v1;

use super::{
    Scenario, Step,
    step::{Answer, Seen},
};
use crate::support::{
    dates,
    edge::{self, Edge},
    origin::{Origin, Received},
    viewer::{Response, Viewer},
};

/// Longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the origin is to do next.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    last: Option<Answer>,
    /// The clock, and how far to move it before the answer.
    delay: Option<(Clock, u64)>,
}

struct Running {
    edge: Edge,
    origin: Origin,
    script: Arc<Mutex<Script>>,
    config: v1::DistributionConfig,
    start: u64,
}

pub(super) fn run(scenario: Scenario) -> Result<(), String> {
    let script = Arc::<Mutex<Script>>::default();
    let origin = Origin::start({
        let script = Arc::clone(&script);
        move |request, stream| answer(&script, request, stream)
    });
    let mut config = edge::config(origin.address);
    scenario.adjust.iter().for_each(|adjust| adjust(&mut config));
    let edge = Edge::start(config.clone());
    let start = edge.clock.now().unix_seconds();
    let running = Running { edge, origin, script, config, start };
    for (i, step) in scenario.steps.iter().enumerate() {
        let request = format!("{} {} {:?}", step.method, step.path, step.headers);
        running
            .step(step)
            .map_err(|problem| format!("{}\n  step {} ({request}):\n    {problem}", scenario.name, i + 1))?;
    }
    Ok(())
}

impl Running {
    fn step(&self, step: &Step) -> Result<(), String> {
        self.edge.clock.advance(Duration::from_secs(step.after));
        let (start, now) = (self.start, self.edge.clock.now().unix_seconds());
        let before = self.origin.requests();
        self.prepare(step, now);
        if step.is_down {
            self.edge.update(unreachable(&self.config));
        }
        let told = self.explain(step, now);
        let response = self.ask(step, now)?;
        if step.in_background {
            wait(|| self.origin.requests() >= before + step.answers.len())
                .ok_or("the origin was never asked in the background")?;
        }
        if step.is_down {
            self.edge.update(self.config.clone());
        }
        let asked = self.origin.received().split_off(before);
        let seen = Seen { response, asked, dates: Box::new(move |text| dates::fill_in(text, start, now)) };
        let mut problems: Vec<String> = Vec::new();
        if seen.asked.len() != step.answers.len() && !step.asking_is_optional {
            problems.push(format!(
                "the origin was asked {} time(s), not {}",
                seen.asked.len(),
                step.answers.len()
            ));
        }
        problems.extend(told.and_then(|told| differs(&told, &seen.response)));
        problems.extend(step.checks.iter().filter_map(|check| check(&seen).err()));
        if problems.is_empty() {
            return Ok(());
        }
        problems.push(format!("viewer got: {} {:?}", seen.response.status, seen.response.headers));
        problems.extend(seen.asked.iter().map(|r| format!("origin got: {} {:?}", r.line, r.headers)));
        Err(problems.join("\n    "))
    }

    /// Tells the origin what it will answer.
    fn prepare(&self, step: &Step, now: u64) {
        let fill_in = |text: &str| dates::fill_in(text, self.start, now);
        let filled = |answer: &Answer| match answer {
            Answer::Whole { status, head, body } => {
                let has_date = head.lines().any(|line| line.starts_with("date:") || line == "no-date");
                let date = if has_date { "" } else { "date: {now}\n" };
                let lines: Vec<&str> = head.lines().filter(|line| *line != "no-date").collect();
                let head = fill_in(&format!("{date}{}", lines.join("\n")));
                Answer::Whole { status: status.clone(), head, body: body.clone() }
            }
            Answer::Bytes(bytes) => Answer::Bytes(fill_in(bytes)),
        };
        let mut script = self.script.lock().expect("lock");
        script.answers = step.answers.iter().map(filled).collect();
        script.last = None;
        script.delay = (step.delay > 0).then(|| (self.edge.clock.clone(), step.delay));
    }

    /// What the edge says it would do; `None` where that cannot be told beforehand.
    fn explain(&self, step: &Step, now: u64) -> Option<v1::Explanation> {
        // Every fetch under way holds the fills, as the workers and what they share do: what it brings is stored when it ends.
        wait(|| Arc::strong_count(&self.edge.shared.fills) == edge::WORKERS + 1).expect("every fetch ends");
        let (path, query) = match step.path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (step.path.as_str(), None),
        };
        let mut headers: Vec<v1::HeaderField> = Vec::new();
        for line in &step.headers {
            let line = dates::fill_in(line, self.start, now);
            let (name, value) = line.split_once(':')?;
            headers.push(v1::HeaderField { name: name.into(), value: value.trim().into() });
        }
        if !step.content.is_empty() {
            let value = step.content.len().to_string();
            headers.push(v1::HeaderField { name: "content-length".into(), value });
        }
        let request = v1::ExplainRequest {
            edge_id: String::new(),
            method: step.method.clone(),
            host: edge::HOST.into(),
            path: path.into(),
            query,
            headers,
            ..Default::default()
        };
        let told = headland_edge_agent::explain::explain(&self.edge.shared, &request);
        (step.until.is_none() && told.verdict() != v1::explanation::Verdict::Unspecified).then_some(told)
    }

    /// The viewer's part: once, or until the body is as it should be.
    fn ask(&self, step: &Step, now: u64) -> Result<Response, String> {
        let began = Instant::now();
        let headers: Vec<String> =
            step.headers.iter().map(|line| dates::fill_in(line, self.start, now)).collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        loop {
            let mut viewer = Viewer::connect(self.edge.address);
            viewer.send(&step.method, &step.path, &headers, step.content.as_bytes());
            let response = viewer
                .final_response(step.method == "HEAD")
                .ok_or("the edge closed the connection without a response")?;
            match &step.until {
                Some(body) if response.body != body.as_bytes() && began.elapsed() < PATIENCE => {
                    thread::yield_now();
                }
                _ => return Ok(response),
            }
        }
    }
}

/// How what the edge did differs from what it said it would do: a hit in all that Cache-Status says, anything else in why it went
/// to the origin.
fn differs(told: &v1::Explanation, response: &Response) -> Option<String> {
    let own = response.headers.iter().rev().find(|(name, _)| name == "cache-status");
    let did =
        own.map(|(_, line)| line.as_str()).filter(|line| line.starts_with("headland-test")).unwrap_or("");
    let is_error_page = response.header("x-cache") == Some("Error from headland");
    if is_error_page && told.verdict() != v1::explanation::Verdict::Refused {
        // How an origin fails is not known beforehand.
        return None;
    }
    let said = told.cache_status.as_str();
    let in_short = |line: &str| line.split("; ").take(2).collect::<Vec<_>>().join("; ");
    let same = match said.contains("; hit") {
        true => {
            said == did
                && (told.status == 0
                    || !matches!(response.status, 200..=203)
                    || told.status == u32::from(response.status))
        }
        false => in_short(said) == in_short(did),
    };
    (!same).then(|| format!("it said it would do {said:?} ({}), and did {did:?}", told.reason))
}

/// The same distribution with an origin that refuses every connection: nobody listens on port 1.
fn unreachable(config: &v1::DistributionConfig) -> v1::DistributionConfig {
    let mut config = config.clone();
    if let Some(v1::origin::Kind::Custom(custom)) = &mut config.origins[0].kind {
        custom.http_port = 1;
    }
    config
}

fn wait(mut done: impl FnMut() -> bool) -> Option<()> {
    let began = Instant::now();
    while !done() {
        if began.elapsed() > PATIENCE {
            return None;
        }
        thread::yield_now();
    }
    Some(())
}

/// The origin's part: the next answer, or the last one again. Returns whether the connection goes on.
fn answer(script: &Mutex<Script>, request: &Received, stream: &mut TcpStream) -> bool {
    let answer = {
        let mut script = script.lock().expect("lock");
        if let Some((clock, seconds)) = script.delay.take() {
            clock.advance(Duration::from_secs(seconds));
        }
        if let Some(next) = script.answers.pop_front() {
            script.last = Some(next);
        }
        script.last.clone()
    };
    let (bytes, goes_on) = match answer {
        Some(Answer::Whole { status, head, body }) => (whole(request, &status, &head, &body), true),
        Some(Answer::Bytes(bytes)) => (bytes, false),
        None => (whole(request, "200 OK", "", "the origin should not have been asked"), true),
    };
    stream.write_all(bytes.as_bytes()).is_ok() && goes_on
}

fn whole(request: &Received, status: &str, head: &str, body: &str) -> String {
    let framed = head.lines().any(|line| line.to_ascii_lowercase().starts_with("content-length:"));
    let has_content = !status.starts_with("304") && !status.starts_with("204");
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for line in head.lines().filter(|line| !line.is_empty()) {
        text += &format!("{line}\r\n");
    }
    if has_content && !framed {
        text += &format!("content-length: {}\r\n", body.len());
    }
    text += "\r\n";
    if has_content && !request.line.starts_with("HEAD ") {
        text += body;
    }
    text
}
