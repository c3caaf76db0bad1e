//! Geographic restriction: from which countries viewers may come.

use std::fmt;

use super::violation::Checker;
use crate::{limits::COUNTRIES_MAX, v1};

/// A country, by its code of ISO 3166-1 alpha-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Two capital letters, whether or not they are assigned: databases of addresses know places that ISO 3166 does not.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let code = <[u8; 2]>::try_from(text.as_bytes()).ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Never empty: it was made of ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether ISO 3166 has given it to a country or territory.
    #[must_use]
    pub fn is_assigned(&self) -> bool {
        ASSIGNED.split_ascii_whitespace().any(|code| code == self.as_str())
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// From which countries viewers may come (CloudFront guide, "Restrict the geographic distribution of your content").
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GeoRestriction {
    /// From all.
    #[default]
    None,
    /// Only from these, sorted.
    Whitelist(Vec<CountryCode>),
    /// From all but these, sorted.
    Blacklist(Vec<CountryCode>),
}

impl GeoRestriction {
    /// Whether it matters where a viewer is.
    #[must_use]
    pub fn restricts(&self) -> bool {
        *self != Self::None
    }

    /// Whether a viewer in this country is served. One whose country nobody knows is.
    #[must_use]
    pub fn allows(&self, country: Option<CountryCode>) -> bool {
        match (self, country) {
            (Self::None, _) | (_, None) => true,
            (Self::Whitelist(countries), Some(country)) => countries.binary_search(&country).is_ok(),
            (Self::Blacklist(countries), Some(country)) => countries.binary_search(&country).is_err(),
        }
    }
}

pub(super) fn check(wire: Option<&v1::GeoRestriction>, c: &mut Checker<'_>) -> GeoRestriction {
    use v1::geo_restriction::Mode;
    let Some(wire) = wire else { return GeoRestriction::None };
    let mode = Mode::try_from(wire.mode);
    if mode.is_err() {
        c.field("mode").violation("is unknown; use NONE, WHITELIST or BLACKLIST");
    }
    let mut codes = c.field("country_codes");
    codes.count_max(wire.country_codes.len(), COUNTRIES_MAX);
    let mut countries = Vec::new();
    for (i, text) in wire.country_codes.iter().enumerate().take(2 * COUNTRIES_MAX) {
        let mut c = codes.index(i);
        match CountryCode::new(text).filter(CountryCode::is_assigned) {
            None => c.violation(format!(
                "{text:?} is not a code of ISO 3166-1 alpha-2; write two capital letters: DE"
            )),
            Some(country) if countries.contains(&country) => {
                c.violation(format!("{country} is listed twice"))
            }
            Some(country) => countries.push(country),
        }
    }
    countries.sort_unstable();
    let lists = matches!(mode, Ok(Mode::Whitelist | Mode::Blacklist));
    codes.ensure(lists || wire.country_codes.is_empty() || mode.is_err(), || {
        "must be empty unless mode is WHITELIST or BLACKLIST".into()
    });
    codes.ensure(!lists || !wire.country_codes.is_empty(), || {
        "must name at least one country with mode WHITELIST or BLACKLIST; use NONE instead".into()
    });
    match mode {
        Ok(Mode::Whitelist) => GeoRestriction::Whitelist(countries),
        Ok(Mode::Blacklist) => GeoRestriction::Blacklist(countries),
        Ok(Mode::Unspecified | Mode::None) | Err(_) => GeoRestriction::None,
    }
}

/// Every code that is officially assigned (ISO 3166-1).
const ASSIGNED: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH \
    CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN \
    GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI \
    LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM \
    PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD \
    TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::violation::Violations;

    fn check(mode: i32, codes: &[&str], fields: &[&str]) -> GeoRestriction {
        let country_codes = codes.iter().map(|code| (*code).to_owned()).collect();
        let wire = v1::GeoRestriction { mode, country_codes };
        let mut found = Violations::default();
        let restriction = super::check(Some(&wire), &mut Checker::new(&mut found));
        let named: Vec<&str> = found.list().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(named, fields, "{found}");
        restriction
    }

    #[test]
    fn the_codes_are_those_of_iso_3166() {
        let codes: Vec<&str> = ASSIGNED.split_ascii_whitespace().collect();
        assert_eq!(codes.len(), COUNTRIES_MAX);
        assert!(codes.is_sorted_by(|a, b| a < b));
        assert!(codes.iter().all(|code| CountryCode::new(code).is_some_and(|code| code.is_assigned())));
        for text in ["", "D", "DEU", "de", "D1", "\u{c4}"] {
            assert_eq!(CountryCode::new(text), None, "{text}");
        }
        assert!(CountryCode::new("XK").is_some_and(|code| !code.is_assigned()));
    }

    #[test]
    fn a_viewer_is_served_by_where_it_is() {
        let country = CountryCode::new;
        let (whitelist, blacklist) = (check(2, &["FR", "DE"], &[]), check(3, &["FR", "DE"], &[]));
        for (code, listed) in [("DE", true), ("FR", true), ("US", false), ("XK", false)] {
            assert_eq!(whitelist.allows(country(code)), listed, "{code}");
            assert_eq!(blacklist.allows(country(code)), !listed, "{code}");
        }
        assert!(whitelist.allows(None) && blacklist.allows(None), "who is nowhere is served");
        assert!(whitelist.restricts() && blacklist.restricts());
        for mode in [0, 1] {
            let none = check(mode, &[], &[]);
            assert!(none.allows(country("DE")) && !none.restricts());
        }
    }

    #[test]
    fn what_is_no_country_is_refused() {
        check(2, &["DE", "de", "XK", "DE"], &["country_codes[1]", "country_codes[2]", "country_codes[3]"]);
        check(2, &[], &["country_codes"]);
        check(3, &[], &["country_codes"]);
        check(1, &["DE"], &["country_codes"]);
        check(9, &["DE"], &["mode"]);
        let many = vec!["DE"; COUNTRIES_MAX + 1];
        let wire =
            v1::GeoRestriction { mode: 2, country_codes: many.iter().map(|c| (*c).to_owned()).collect() };
        let mut found = Violations::default();
        super::check(Some(&wire), &mut Checker::new(&mut found));
        assert_eq!(found.list()[0].to_string(), "country_codes: has 250 entries; at most 249 are allowed");
    }
}
