//! Where viewers are, and which networks they belong to: databases in MaxMind's format, read again when their files change.
//!
//! Two layouts are understood: MaxMind's own (`country.iso_code`, `city.names.en`), and the flat one of the ip-location-db project
//! (`country_code`, `city`). What cannot be read is not known; a viewer is served whether or not it is known where it is.

mod database;

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use headland_proto::model::CountryCode;
use maxminddb::{LookupResult, PathElement, PathElement::Key};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use self::database::Database;
pub use self::database::Figures;

/// Between two looks at whether a database has changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of where addresses are. By default nothing.
#[derive(Debug, Default)]
pub struct Locations {
    places: Option<Database>,
    networks: Option<Database>,
}

impl Locations {
    /// Reads these files, as far as that is possible: see [`Locations::refresh`].
    #[must_use]
    pub fn open(places: Option<PathBuf>, networks: Option<PathBuf>) -> Self {
        let locations = Self { places: places.map(Database::new), networks: networks.map(Database::new) };
        locations.refresh();
        locations
    }

    /// Reads those files again that have changed. One that is not there or cannot be used leaves what was read before in force, is told
    /// of in the log, and counted.
    pub fn refresh(&self) {
        self.databases().for_each(Database::refresh);
    }

    /// What is to be seen of each database from outside: of places, and of networks.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, Figures)> {
        let named = [("location", &self.places), ("asn", &self.networks)];
        named.into_iter().filter_map(|(name, database)| Some((name, database.as_ref()?.figures())))
    }

    fn databases(&self) -> impl Iterator<Item = &Database> {
        self.places.iter().chain(&self.networks)
    }

    /// The country that an address is in.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Option<CountryCode> {
        self.place(address, |place| place.country())?
    }

    /// Looks an address up, for whatever is to be known of it. `None` if nothing is.
    pub(crate) fn place<T>(&self, address: IpAddr, tell: impl FnOnce(&Place<'_>) -> T) -> Option<T> {
        self.places.as_ref()?.look_up(address, |found| tell(&Place(found)))
    }

    /// The number of the network (autonomous system) that an address belongs to.
    pub(crate) fn network(&self, address: IpAddr) -> Option<u32> {
        self.networks
            .as_ref()?
            .look_up(address, |found| whole(found, &[&["autonomous_system_number"], &["asn"]]))?
    }
}

/// Looks for changes, for ever.
pub(crate) async fn watch(locations: Arc<Locations>) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while locations.databases().next().is_some() {
        ticks.tick().await;
        let locations = Arc::clone(&locations);
        if spawn_blocking(move || locations.refresh()).await.is_err() {
            tracing::error!("failed to look for new databases of addresses");
        }
    }
}

/// What a database says of an address.
pub(crate) struct Place<'r>(&'r LookupResult<'r, Vec<u8>>);

impl Place<'_> {
    pub(crate) fn country(&self) -> Option<CountryCode> {
        text(self.0, &[&["country", "iso_code"], &["country_code"]]).and_then(CountryCode::new)
    }

    pub(crate) fn country_name(&self) -> Option<&str> {
        text(self.0, &[&["country", "names", "en"], &["country_name"]])
    }

    pub(crate) fn region(&self) -> Option<&str> {
        self.subdivision("iso_code", &[])
    }

    pub(crate) fn region_name(&self) -> Option<&str> {
        self.subdivision("names", &["en"]).or_else(|| text(self.0, &[&["state1"]]))
    }

    pub(crate) fn city(&self) -> Option<&str> {
        text(self.0, &[&["city", "names", "en"], &["city"]])
    }

    pub(crate) fn latitude(&self) -> Option<f64> {
        figure(self.0, &[&["location", "latitude"], &["latitude"]])
    }

    pub(crate) fn longitude(&self) -> Option<f64> {
        figure(self.0, &[&["location", "longitude"], &["longitude"]])
    }

    pub(crate) fn metro_code(&self) -> Option<u32> {
        whole(self.0, &[&["location", "metro_code"]])
    }

    pub(crate) fn postal_code(&self) -> Option<&str> {
        text(self.0, &[&["postal", "code"], &["postcode"]])
    }

    pub(crate) fn time_zone(&self) -> Option<&str> {
        text(self.0, &[&["location", "time_zone"], &["timezone"]])
    }

    /// Of the largest subdivision of a country.
    fn subdivision(&self, key: &str, rest: &[&str]) -> Option<&str> {
        let path: Vec<PathElement<'_>> = [Key("subdivisions"), PathElement::Index(0), Key(key)]
            .into_iter()
            .chain(rest.iter().map(|key| Key(key)))
            .collect();
        self.0.decode_path(&path).ok().flatten().filter(|text: &&str| !text.is_empty())
    }
}

/// The text at the first of these paths that leads to one.
fn text<'r>(found: &LookupResult<'r, Vec<u8>>, paths: &[&[&str]]) -> Option<&'r str> {
    first(found, paths, |text: &&str| !text.is_empty())
}

/// The number at the first of these paths that leads to one.
fn figure(found: &LookupResult<'_, Vec<u8>>, paths: &[&[&str]]) -> Option<f64> {
    first(found, paths, |Figure(figure)| figure.is_finite()).map(|Figure(figure)| figure)
}

/// The same of one that counts something.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is compared with what it became"
)]
fn whole(found: &LookupResult<'_, Vec<u8>>, paths: &[&[&str]]) -> Option<u32> {
    let figure = figure(found, paths)?;
    Some(figure as u32).filter(|whole| *whole > 0 && f64::from(*whole).total_cmp(&figure).is_eq())
}

/// What stands at the first of these paths that leads to something sensible.
fn first<'r, T: Deserialize<'r>>(
    found: &LookupResult<'r, Vec<u8>>,
    paths: &[&[&str]],
    is_sensible: impl Fn(&T) -> bool,
) -> Option<T> {
    paths.iter().find_map(|path| {
        let path: Vec<PathElement<'_>> = path.iter().map(|key| Key(key)).collect();
        // A path that leads into a text, in place of a map, is another layout's.
        found.decode_path(&path).ok().flatten().filter(&is_sensible)
    })
}

/// A number of whatever width it was written in, or in words.
struct Figure(f64);

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FigureVisitor)
    }
}

struct FigureVisitor;

impl Visitor<'_> for FigureVisitor {
    type Value = Figure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Figure, E> {
        u32::try_from(number).map(|number| Figure(number.into())).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Figure, E> {
        i32::try_from(number).map(|number| Figure(number.into())).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Figure, E> {
        Ok(Figure(number))
    }

    fn visit_f32<E: Error>(self, number: f32) -> Result<Figure, E> {
        // Not the nearest number of the wider kind, which has digits that nobody wrote.
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Figure, E> {
        text.parse().map(Figure).map_err(E::custom)
    }
}
