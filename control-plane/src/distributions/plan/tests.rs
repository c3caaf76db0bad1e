//! Which keys each commit asks about and writes.

use super::*;

const ID: &str = "EABCDEFGHIJKLM";

fn config(aliases: &[&str]) -> v1::DistributionConfig {
    v1::DistributionConfig {
        caller_reference: "abc".into(),
        aliases: aliases.iter().map(ToString::to_string).collect(),
        origins: vec![v1::Origin {
            id: "o".into(),
            kind: Some(v1::origin::Kind::Custom(v1::CustomOrigin {
                domain_name: "origin.example.com".into(),
                ..Default::default()
            })),
            ..Default::default()
        }],
        default_cache_behavior: Some(v1::CacheBehavior {
            target_origin_id: "o".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn record(aliases: &[&str]) -> DistributionRecord {
    DistributionRecord {
        id: ID.into(),
        domain_name: "dabc.cdn.localhost".into(),
        create_time: Some(SystemTime::UNIX_EPOCH.into()),
        update_time: Some(SystemTime::UNIX_EPOCH.into()),
        config: Some(config(aliases)),
    }
}

const REFERENCE: &str = "caller-references/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Preconditions and writes in short: "?key" must be absent, "@key" unchanged; "+key" is put, "-key" deleted.
fn check(plan: &Plan, expected: &[&str]) {
    let preconditions = plan.preconditions.iter().map(|p| match p {
        Precondition::Absent { key } => format!("?{key}"),
        Precondition::ModifiedAt { key, revision } => format!("@{key}={revision}"),
    });
    let writes = plan.writes.iter().map(|w| match w {
        Write::Put { key, .. } => format!("+{key}"),
        Write::Delete { key } => format!("-{key}"),
    });
    let mut actual: Vec<String> = preconditions.chain(writes).collect();
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    actual.sort();
    expected.sort();
    assert_eq!(actual, expected);
}

#[test]
fn creation_claims_everything_in_one_commit() {
    let wire = config(&["Img.example.com", "*.example.com"]);
    let checked = DistributionConfig::try_from(&wire).unwrap();
    let domain: HostName = "dabc.cdn.localhost".parse().unwrap();
    let (plan, record) = create(&ID.parse().unwrap(), &domain, &wire, &checked, SystemTime::UNIX_EPOCH);
    assert_eq!(record.config.as_ref(), Some(&wire));
    let reference_absent = format!("?{REFERENCE}");
    let reference_put = format!("+{REFERENCE}");
    check(
        &plan,
        &[
            "?distributions/EABCDEFGHIJKLM",
            "?hosts/*.example.com",
            "?hosts/dabc.cdn.localhost",
            "?hosts/img.example.com",
            &reference_absent,
            "+distributions/EABCDEFGHIJKLM",
            "+hosts/*.example.com",
            "+hosts/dabc.cdn.localhost",
            "+hosts/img.example.com",
            &reference_put,
        ],
    );
}

#[test]
fn an_update_touches_only_the_aliases_that_differ() {
    let before = record(&["stays.example.com", "goes.example.com"]);
    let wire = config(&["comes.example.com", "STAYS.example.com"]);
    let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9);
    let (plan, after) = update(&ID.parse().unwrap(), (&before, Revision(5)), &wire, now);
    assert_eq!(after.create_time, before.create_time);
    assert_eq!(after.update_time, Some(now.into()));
    assert_eq!(after.domain_name, before.domain_name);
    assert_eq!(plan.claims, ["comes.example.com".parse().unwrap()]);
    check(
        &plan,
        &[
            "@distributions/EABCDEFGHIJKLM=5",
            "?hosts/comes.example.com",
            "+distributions/EABCDEFGHIJKLM",
            "+hosts/comes.example.com",
            "-hosts/goes.example.com",
        ],
    );
}

#[test]
fn its_own_domain_name_as_an_alias_is_claimed_and_released_once() {
    let before = record(&[]);
    let wire = config(&["DABC.cdn.localhost"]);
    let (plan, after) = update(&ID.parse().unwrap(), (&before, Revision(5)), &wire, SystemTime::UNIX_EPOCH);
    check(&plan, &["@distributions/EABCDEFGHIJKLM=5", "+distributions/EABCDEFGHIJKLM"]);
    let reference = format!("-{REFERENCE}");
    check(
        &delete(&ID.parse().unwrap(), &after, Revision(6)),
        &[
            "@distributions/EABCDEFGHIJKLM=6",
            "-distributions/EABCDEFGHIJKLM",
            "-hosts/dabc.cdn.localhost",
            &reference,
        ],
    );
}

#[test]
fn deletion_releases_everything() {
    let plan = delete(&ID.parse().unwrap(), &record(&["*.example.com"]), Revision(5));
    let reference = format!("-{REFERENCE}");
    check(
        &plan,
        &[
            "@distributions/EABCDEFGHIJKLM=5",
            "-distributions/EABCDEFGHIJKLM",
            "-hosts/dabc.cdn.localhost",
            "-hosts/*.example.com",
            &reference,
        ],
    );
}

#[test]
fn the_digest_tells_contents_apart() {
    assert_eq!(digest(&config(&["a.example.com"])), digest(&config(&["a.example.com"])));
    assert_ne!(digest(&config(&["a.example.com"])), digest(&config(&["b.example.com"])));
}
