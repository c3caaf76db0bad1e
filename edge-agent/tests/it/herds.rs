//! Herds and outages: how many of many viewers reach the origin, and who waits for it.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Barrier, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use headland_proto::v1;

use crate::support::{
    edge::{Edge, config, policy, seconds},
    origin::{Origin, Received, response},
    viewer::{Response, get},
};

const VIEWERS: usize = 60;
/// Longer than anything takes that goes right.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts those who have come, and lets all go on when they are enough.
#[derive(Default)]
struct Turnstile(Mutex<usize>, Condvar);

impl Turnstile {
    fn come(&self) {
        *self.0.lock().expect("lock") += 1;
        self.1.notify_all();
    }

    /// Waits until so many have come.
    fn wait_for(&self, enough: usize) {
        let come = self.0.lock().expect("lock");
        let (come, _) = self.1.wait_timeout_while(come, PATIENCE, |come| *come < enough).expect("lock");
        assert!(*come >= enough, "only {come} of {enough} came");
    }
}

/// An origin whose answers `hold` may hold back; the first request, which fills the cache, is answered at once.
fn origin(
    answer: impl Fn(&Received) -> String + Send + Sync + 'static,
    hold: impl Fn(&Received, usize) + Send + Sync + 'static,
) -> Origin {
    let asked = Mutex::new(0);
    Origin::start(move |request: &Received, stream: &mut TcpStream| {
        let number = {
            let mut asked = asked.lock().expect("lock");
            *asked += 1;
            *asked
        };
        hold(request, number);
        stream.write_all(answer(request).as_bytes()).is_ok()
    })
}

/// Many GETs of one path at once, the nth with the headers that `headers` says.
fn at_once(
    edge: SocketAddr,
    come: &Arc<Turnstile>,
    headers: impl Fn(usize) -> String,
) -> Vec<thread::JoinHandle<Response>> {
    let start = Arc::new(Barrier::new(VIEWERS));
    let viewer = |n| {
        let (start, come, header) = (Arc::clone(&start), Arc::clone(come), headers(n));
        thread::spawn(move || {
            start.wait();
            come.come();
            let lines: &[&str] = if header.is_empty() { &[] } else { &[&header] };
            get(edge, "/a", lines)
        })
    };
    (0..VIEWERS).map(viewer).collect()
}

fn all(viewers: Vec<thread::JoinHandle<Response>>) -> Vec<Response> {
    viewers.into_iter().map(|v| v.join().expect("viewer")).collect()
}

fn answer(request: &Received, head: &str) -> String {
    match request.header("if-none-match") {
        Some(_) => format!("HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n{head}\r\n\r\n"),
        None => response("200 OK", &format!("etag: \"e\"\n{head}"), "one"),
    }
}

#[test]
fn an_expired_object_is_validated_once_for_all() {
    let come = Arc::<Turnstile>::default();
    let origin = origin(|request| answer(request, "cache-control: max-age=60"), {
        let come = Arc::clone(&come);
        move |_, number| {
            if number > 1 {
                come.wait_for(VIEWERS);
            }
        }
    });
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/a", &[]);
    edge.clock.advance(Duration::from_secs(70));
    let responses = all(at_once(edge.address, &come, |_| String::new()));
    assert!(responses.iter().all(|r| r.status == 200 && r.text() == "one"));
    assert_eq!(origin.requests(), 2, "the fill and one validation");
}

#[test]
fn while_it_is_revalidated_nobody_waits() {
    let done = Arc::<Turnstile>::default();
    let origin =
        origin(|request| answer(request, "cache-control: max-age=60, stale-while-revalidate=600"), {
            let done = Arc::clone(&done);
            move |_, number| {
                if number > 1 {
                    done.wait_for(VIEWERS);
                }
            }
        });
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/a", &[]);
    edge.clock.advance(Duration::from_secs(70));
    // The origin answers only when all have been served.
    for response in all(at_once(edge.address, &Arc::default(), |_| String::new())) {
        assert_eq!(response.text(), "one");
        assert!(
            response.header("cache-status").is_some_and(|s| s.contains("; hit; ttl=-10")),
            "{response:?}"
        );
        done.come();
    }
    assert!(origin.requests() <= 2, "the fill and one validation");
}

#[test]
fn what_cannot_be_shared_is_fetched_by_all_at_the_same_time() {
    for head in ["cache-control: private", "cache-control: no-cache", "cache-control: no-store"] {
        // The origin answers none before all have come to it.
        let there = Arc::<Turnstile>::default();
        let origin = origin(move |request| answer(request, head), {
            let there = Arc::clone(&there);
            move |_, number| {
                if number > 1 {
                    there.come();
                    there.wait_for(VIEWERS);
                }
            }
        });
        let mut config = config(origin.address);
        config.origins[0].response_timeout = seconds(30);
        let edge = Edge::start(config);
        // It is known from now on.
        get(edge.address, "/a", &[]);
        let responses = all(at_once(edge.address, &Arc::default(), |_| String::new()));
        assert!(responses.iter().all(|r| r.status == 200 && r.text() == "one"), "{head}");
        assert_eq!(origin.requests(), VIEWERS + 1, "{head}");
    }
}

#[test]
fn of_several_variants_each_is_fetched_once() {
    let come = Arc::<Turnstile>::default();
    let origin = origin(
        |request| {
            let language = request.header("accept-language").unwrap_or_default();
            response("200 OK", "cache-control: max-age=60\nvary: accept-language", language)
        },
        {
            let come = Arc::clone(&come);
            move |_, _| come.wait_for(VIEWERS)
        },
    );
    let edge = Edge::start(config(origin.address));
    let language = |n: usize| ["de", "en", "fr"][n % 3];
    let viewers = at_once(edge.address, &come, |n| format!("accept-language: {}", language(n)));
    for (n, response) in all(viewers).into_iter().enumerate() {
        assert_eq!(response.text(), language(n));
    }
    assert_eq!(origin.requests(), 3);
}

/// An origin that answers until it is told to fall silent for ever.
fn falls_silent(head: &'static str) -> (Origin, Arc<Mutex<bool>>) {
    let silent = Arc::new(Mutex::new(false));
    let origin = Origin::start({
        let silent = Arc::clone(&silent);
        move |request, stream| {
            if *silent.lock().expect("lock") {
                thread::sleep(PATIENCE);
                return false;
            }
            stream.write_all(answer(request, head).as_bytes()).is_ok()
        }
    });
    (origin, silent)
}

#[test]
fn while_the_origin_is_silent_one_viewer_at_a_time_finds_out() {
    for cloudfront in [false, true] {
        let (origin, silent) = falls_silent("cache-control: max-age=60");
        let mut config = config(origin.address);
        if cloudfront {
            policy(&mut config).semantics = v1::cache_policy_config::Semantics::Cloudfront.into();
        }
        let edge = Edge::start(config);
        for path in ["/a", "/b", "/c"] {
            get(edge.address, path, &[]);
        }
        edge.clock.advance(Duration::from_secs(70));
        *silent.lock().expect("lock") = true;
        for round in 1..=2 {
            for path in ["/a", "/b", "/c", "/a", "/b", "/c"] {
                let response = get(edge.address, path, &[]);
                assert_eq!((response.status, response.text()), (200, "one"), "{response:?}");
            }
            assert_eq!(origin.requests(), 3 + round, "cloudfront: {cloudfront}");
            // The fetch goes on when its viewer has been served.
            let started = Instant::now();
            while edge.shared.metrics.traffic().origin_errors < round as u64 {
                assert!(started.elapsed() < PATIENCE, "the fetch has not ended");
                thread::yield_now();
            }
            // Longer than the window in which nobody asks, and than an object is held after a failure.
            edge.clock.advance(Duration::from_secs(11));
        }
        *silent.lock().expect("lock") = false;
        assert_eq!(get(edge.address, "/b", &[]).header("x-cache"), Some("RefreshHit from headland"));
        assert_eq!(get(edge.address, "/c", &[]).header("x-cache"), Some("RefreshHit from headland"));
    }
}

#[test]
fn where_nothing_stale_may_stand_in_the_failure_is_told() {
    let (origin, silent) = falls_silent("cache-control: max-age=60, must-revalidate");
    let edge = Edge::start(config(origin.address));
    get(edge.address, "/a", &[]);
    edge.clock.advance(Duration::from_secs(70));
    *silent.lock().expect("lock") = true;
    for _ in 0..2 {
        assert_eq!(get(edge.address, "/a", &[]).status, 504);
    }
}
