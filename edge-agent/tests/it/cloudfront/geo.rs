//! Geographic restriction, and what the edge does with the database it goes by.

use std::{
    fs,
    path::{Path, PathBuf},
};

use headland_edge_agent::geo::Locations;
use headland_proto::v1::{CustomErrorResponse, GeoRestriction, geo_restriction::Mode};
use tempfile::TempDir;

use crate::support::{
    edge::{Edge, Options, config, trusting},
    mmdb::{Value, database, maxmind},
    origin::Origin,
    viewer::{Viewer, get},
};

/// Addresses that a test's database knows: the first of each network.
const GERMAN: &str = "x-forwarded-for: 192.0.2.1";
const GERMAN_6: &str = "x-forwarded-for: 2001:db8::1";
const FRENCH: &str = "x-forwarded-for: 198.51.100.1";
const NOWHERE: &str = "x-forwarded-for: 203.0.113.1";

fn of_maxmind() -> Vec<u8> {
    database(&[
        ("192.0.2.0/24", maxmind("DE", "Germany")),
        ("2001:db8::/32", maxmind("DE", "Germany")),
        ("198.51.100.0/24", maxmind("FR", "France")),
    ])
}

fn flat() -> Vec<u8> {
    let record = |code| vec![("country_code", Value::Text(code)), ("city", Value::Text("x"))];
    database(&[
        ("192.0.2.0/24", record("DE")),
        ("2001:db8::/32", record("DE")),
        ("198.51.100.0/24", record("FR")),
    ])
}

/// A folder with a database in it.
fn folder(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("geo.mmdb");
    fs::write(&path, bytes).expect("database");
    (folder, path)
}

/// An edge with this database and restriction, behind a proxy.
fn edge(path: &Path, mode: Mode, countries: &[&str], page: Option<&str>) -> (Edge, Origin) {
    let origin = Origin::fixed("cache-control: max-age=60", "hello");
    let mut config = config(origin.address);
    let country_codes = countries.iter().map(|code| (*code).to_owned()).collect();
    config.geo_restriction = Some(GeoRestriction { mode: mode.into(), country_codes });
    config.custom_error_responses.extend(page.map(|path| CustomErrorResponse {
        error_code: 403,
        response_page_path: path.into(),
        ..Default::default()
    }));
    let locations = Locations::open(Some(path.to_owned()), None);
    let options = Options { reception: trusting(&["127.0.0.0/8"]), locations, ..Options::default() };
    (Edge::start_with(config, options), origin)
}

fn statuses(edge: &Edge) -> [u16; 4] {
    [GERMAN, GERMAN_6, FRENCH, NOWHERE].map(|from| get(edge.address, "/a", &[from]).status)
}

#[test]
fn viewers_are_served_by_where_they_are() {
    for bytes in [of_maxmind(), flat()] {
        let (_folder, path) = folder(&bytes);
        let (only, _origin) = edge(&path, Mode::Whitelist, &["DE", "AT"], None);
        assert_eq!(statuses(&only), [200, 200, 403, 200]);
        let (but, _origin) = edge(&path, Mode::Blacklist, &["DE", "AT"], None);
        assert_eq!(statuses(&but), [403, 403, 200, 200]);
        let (none, _origin) = edge(&path, Mode::None, &[], None);
        assert_eq!(statuses(&none), [200; 4]);
    }
}

#[test]
fn what_is_stored_for_one_country_is_not_for_the_next() {
    let (_folder, path) = folder(&of_maxmind());
    let (edge, origin) = edge(&path, Mode::Whitelist, &["DE"], None);
    let mut viewer = Viewer::connect(edge.address);
    for _ in 0..2 {
        assert_eq!(viewer.request("GET", "/a", &[GERMAN]).status, 200);
        let refused = viewer.request("GET", "/a", &[FRENCH]);
        assert_eq!((refused.status, refused.header("cache-control")), (403, Some("no-store")));
        assert!(refused.text().contains("country"), "{}", refused.text());
    }
    assert_eq!(origin.requests(), 1);
}

#[test]
fn whoever_is_refused_gets_the_page_for_it() {
    let (_folder, path) = folder(&of_maxmind());
    let (edge, origin) = edge(&path, Mode::Whitelist, &["DE"], Some("/errors/403.html"));
    for _ in 0..2 {
        let page = get(edge.address, "/a", &[FRENCH]);
        assert_eq!((page.status, page.text()), (403, "hello"));
        assert_eq!(page.header("x-cache"), Some("Error from headland"));
    }
    let asked: Vec<String> = origin.received().iter().map(|r| r.path().to_owned()).collect();
    assert_eq!(asked, ["/errors/403.html"]);
    assert_eq!(get(edge.address, "/errors/403.html", &[FRENCH]).status, 403, "as an error only");
}

#[test]
fn a_stranger_cannot_say_where_it_is() {
    let (_folder, path) = folder(&of_maxmind());
    let (edge, _origin) = edge(&path, Mode::Blacklist, &["DE"], None);
    let through_another = "x-forwarded-for: 198.51.100.1, 192.0.2.1, 127.0.0.9";
    assert_eq!(get(edge.address, "/a", &[through_another]).status, 403, "the one that is not trusted counts");
    assert_eq!(get(edge.address, "/a", &["x-forwarded-for: 192.0.2.1, 198.51.100.1"]).status, 200);
}

/// A restriction is by what the database is now.
#[test]
fn a_database_that_changes_is_read_again() {
    let (folder, path) = folder(&of_maxmind());
    let (edge, _origin) = edge(&path, Mode::Whitelist, &["DE"], None);
    assert_eq!(statuses(&edge), [200, 200, 403, 200]);
    // Replaced, as a careful program does it.
    let next = folder.path().join("next");
    fs::write(&next, database(&[("198.51.100.0/24", maxmind("DE", "Germany"))])).expect("database");
    fs::rename(&next, &path).expect("rename");
    edge.shared.locations.refresh();
    assert_eq!(statuses(&edge), [200; 4]);
    // Written over.
    fs::write(&path, database(&[("192.0.2.0/24", maxmind("FR", "France"))])).expect("database");
    edge.shared.locations.refresh();
    assert_eq!(statuses(&edge), [403, 200, 200, 200]);
}

#[test]
fn a_broken_database_leaves_the_last_good_one_in_force() {
    let (_folder, path) = folder(&of_maxmind());
    let (edge, _origin) = edge(&path, Mode::Whitelist, &["DE"], None);
    let figures = || edge.shared.locations.figures().next().expect("a database").1;
    let whole = fs::read(&path).expect("database");
    let mut flipped = whole.clone();
    flipped[..40].fill(0xff);
    let broken = [&b""[..], b"no database", &whole[..whole.len() / 2], &whole[whole.len() / 2..], &flipped];
    for (before, bytes) in broken.into_iter().enumerate() {
        fs::write(&path, bytes).expect("database");
        edge.shared.locations.refresh();
        edge.shared.locations.refresh();
        assert_eq!(statuses(&edge), [200, 200, 403, 200], "{} bytes", bytes.len());
        let figures = figures();
        assert_eq!((figures.loaded, figures.failures), (true, before as u64 + 1), "told once of each");
    }
    fs::remove_file(&path).expect("removed");
    edge.shared.locations.refresh();
    assert_eq!(statuses(&edge), [200, 200, 403, 200], "nor does it matter that it is gone");
    fs::write(&path, database(&[])).expect("database");
    edge.shared.locations.refresh();
    assert_eq!(statuses(&edge), [200; 4]);
    assert_eq!(figures().built, 1_700_000_000);
}

#[test]
fn without_a_database_nobody_is_anywhere() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("geo.mmdb");
    let (edge, _origin) = edge(&path, Mode::Whitelist, &["DE"], None);
    assert_eq!(statuses(&edge), [200; 4]);
    let figures = || edge.shared.locations.figures().next().expect("a database").1;
    assert_eq!((figures().loaded, figures().failures), (false, 1));
    fs::write(&path, of_maxmind()).expect("database");
    edge.shared.locations.refresh();
    assert_eq!(statuses(&edge), [200, 200, 403, 200], "it may come later");
}

/// Against a real database of the ip-location-db project, where `scripts/bootstrap.sh test` could fetch one.
#[test]
fn a_real_database_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/geo/package");
    let path = root.join("iptoasn-country.mmdb");
    if !path.exists() {
        eprintln!("there is no {}: not tested", path.display());
        return;
    }
    let locations = Locations::open(Some(path), None);
    let figures = locations.figures().next().expect("a database").1;
    assert_eq!((figures.loaded, figures.failures), (true, 0));
    // Addresses of the registries of Europe and of the Asian and Pacific countries, at their seats.
    for (address, country) in [("193.0.6.139", "NL"), ("2001:67c:2e8::1", "NL"), ("203.119.101.61", "AU")] {
        let found = locations.country(address.parse().expect("address"));
        assert_eq!(found.map(|code| code.to_string()).as_deref(), Some(country), "{address}");
    }
    for nowhere in ["127.0.0.1", "10.0.0.1", "::1", "2001:db8::1"] {
        assert_eq!(locations.country(nowhere.parse().expect("address")), None, "{nowhere}");
    }
}
