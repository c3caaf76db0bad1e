//! Which keys each commit asks about and writes.

use headland_proto::model::resources::Kind;

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
    let checked = DistributionConfig::check(&wire, &Default::default()).unwrap();
    let domain: HostName = "dabc.cdn.localhost".parse().unwrap();
    let (plan, record) =
        create(&ID.parse().unwrap(), &domain, &wire, (&checked, &Used::default()), SystemTime::UNIX_EPOCH);
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
    let (plan, after) = update(&ID.parse().unwrap(), (&before, Revision(5)), &wire, &Used::default(), now);
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
    let (plan, after) =
        update(&ID.parse().unwrap(), (&before, Revision(5)), &wire, &Used::default(), SystemTime::UNIX_EPOCH);
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

const POLICY: &str = "11111111-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-2222-4333-8444-555555555555";
const MANAGED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

/// A config that refers to these cache policies.
fn using(policies: &[&str]) -> v1::DistributionConfig {
    let behavior = |id: &&str| v1::CacheBehavior { cache_policy_id: (*id).into(), ..Default::default() };
    v1::DistributionConfig { cache_behaviors: policies.iter().map(behavior).collect(), ..config(&[]) }
}

/// They were last changed at revision 3.
fn used(policies: &[&str]) -> Used {
    let one = |id: &&str| (Kind::CachePolicy, id.parse().unwrap(), Revision(3));
    Used { versions: policies.iter().map(one).collect(), ..Used::default() }
}

#[test]
fn what_a_distribution_refers_to_is_held_and_written_down() {
    let before = DistributionRecord { config: Some(using(&[POLICY, MANAGED])), ..record(&[]) };
    let update = |policies: &[&str], used: &Used| {
        update(&ID.parse().unwrap(), (&before, Revision(5)), &using(policies), used, SystemTime::UNIX_EPOCH).0
    };
    let itself = ["@distributions/EABCDEFGHIJKLM=5", "+distributions/EABCDEFGHIJKLM"];
    let held = |id: &str| format!("@distribution-resources/cache-policies/{id}=3");
    let (use_of, used_key) = (|id: &str| format!("uses/{id}/{ID}"), |id: &str| format!("+used/{id}"));
    check(&update(&[POLICY], &used(&[POLICY])), &[itself[0], itself[1], &held(POLICY)]);
    check(
        &update(&[OTHER, POLICY], &used(&[OTHER, POLICY])),
        &[
            itself[0],
            itself[1],
            &held(POLICY),
            &held(OTHER),
            &format!("+{}", use_of(OTHER)),
            &used_key(OTHER),
        ],
    );
    let ends = format!("-{}", use_of(POLICY));
    check(&update(&[MANAGED], &used(&[])), &[itself[0], itself[1], &ends]);
    let deleted = delete(&ID.parse().unwrap(), &before, Revision(5));
    assert!(deleted.writes.contains(&Write::Delete { key: use_of(POLICY) }));
}
