//! Origins and origin groups.

use std::num::{NonZeroU16, NonZeroU32};

use serde_json::{Value, json};

use super::{
    Context,
    edge_headers::HTTPS,
    fields::{
        Table, boolean, items, number, numbers, object, objects, put_seconds, put_text, text, texts,
        unsupported,
    },
    report::Place,
    s3,
};
use crate::spec::{
    CustomHeaderSpec, CustomOriginSpec, OriginGroupSpec, OriginKind, OriginShieldSpec, OriginSpec,
    ProtocolPolicy, S3OriginSpec, Signing,
};

/// What is read of an origin before it is known what it is.
#[derive(Debug, Default)]
struct Draft {
    spec: OriginSpec,
    domain: String,
    custom: Option<CustomOriginSpec>,
    is_bucket: bool,
    is_signed: bool,
}

const ORIGIN: &Table<Draft> = &[
    ("Id", |draft, value, place| put_text(&mut draft.spec.id, value, place)),
    ("DomainName", |draft, value, place| {
        if let Some(domain) = text(value, place) {
            domain.clone_into(&mut draft.domain);
        }
    }),
    ("OriginPath", |draft, value, place| put_text(&mut draft.spec.origin_path, value, place)),
    ("CustomHeaders", |draft, value, place| {
        draft.spec.custom_headers = objects(CUSTOM_HEADER, value, place);
    }),
    ("ConnectionAttempts", |draft, value, place| {
        draft.spec.connection_attempts = number::<u32>(value, place).and_then(NonZeroU32::new);
        place.exact();
    }),
    ("ConnectionTimeout", |draft, value, place| {
        put_seconds(&mut draft.spec.connection_timeout, value, place)
    }),
    ("ResponseCompletionTimeout", |draft, value, place| {
        put_seconds(&mut draft.spec.response_completion_timeout, value, place);
    }),
    ("S3OriginConfig", |draft, value, place| {
        draft.is_bucket = true;
        object(S3, draft, value, place);
    }),
    ("CustomOriginConfig", |draft, value, place| object(CUSTOM, draft, value, place)),
    ("VpcOriginConfig", |_, value, place| {
        unsupported(
            value,
            &[],
            "an edge reaches what its own network reaches; say where with --origin ID=URL",
            place,
        );
    }),
    ("OriginAccessControlId", |draft, value, place| signed(draft, value, place)),
    ("OriginShield", origin_shield),
];

/// Origin Shield, which may be off.
#[derive(Debug, Default)]
struct Shield {
    is_on: bool,
    region: String,
}

const SHIELD: &Table<Shield> = &[
    ("Enabled", |shield, value, place| shield.is_on = boolean(value, place).unwrap_or_default()),
    ("OriginShieldRegion", |shield, value, place| {
        text(value, place).unwrap_or_default().clone_into(&mut shield.region);
    }),
];

fn origin_shield(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    let mut shield = Shield::default();
    object(SHIELD, &mut shield, value, place);
    if !shield.is_on {
        return;
    }
    if shield.region.is_empty() {
        return place.field("OriginShieldRegion").problem("is missing");
    }
    place.differs(format!(
        "the shield is your own edges whose location is {:?}; while there are none, every edge asks the origin itself",
        shield.region
    ));
    draft.spec.origin_shield = Some(OriginShieldSpec { location: shield.region });
}

fn signed(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    if text(value, place).is_some_and(|id| !id.is_empty()) {
        draft.is_signed = true;
        place.differs(
            "requests are always signed, with credentials that each edge finds itself; the bucket's policy must allow those",
        );
    }
}

const CUSTOM_HEADER: &Table<CustomHeaderSpec> = &[
    ("HeaderName", |header, value, place| put_text(&mut header.name, value, place)),
    ("HeaderValue", |header, value, place| put_text(&mut header.value, value, place)),
];

const S3: &Table<Draft> = &[
    ("OriginAccessIdentity", signed),
    ("OriginReadTimeout", |draft, value, place| put_seconds(&mut draft.spec.response_timeout, value, place)),
];

const CUSTOM: &Table<Draft> = &[
    ("HTTPPort", |draft, value, place| {
        custom(draft).http_port = number::<u16>(value, place).and_then(NonZeroU16::new);
        place.exact();
    }),
    ("HTTPSPort", |draft, value, place| {
        custom(draft).https_port = number::<u16>(value, place).and_then(NonZeroU16::new);
        place.exact();
    }),
    ("OriginProtocolPolicy", origin_protocol_policy),
    ("OriginSslProtocols", |_, value, place| {
        let protocols = texts(value, place);
        if protocols.iter().any(|protocol| protocol != "TLSv1.2") {
            place.differs("TLS 1.2 and 1.3, never what is older");
        }
    }),
    ("OriginReadTimeout", |draft, value, place| put_seconds(&mut draft.spec.response_timeout, value, place)),
    ("OriginKeepaliveTimeout", |draft, value, place| {
        put_seconds(&mut draft.spec.keepalive_timeout, value, place)
    }),
    ("IpAddressType", |_, value, place| {
        unsupported(
            value,
            &[json!("ipv4"), json!("dualstack")],
            "every address that the name has is tried",
            place,
        );
    }),
    ("OriginHttpVersion", |_, value, place| {
        unsupported(
            value,
            &[json!("http1.1")],
            "the origin is asked by HTTP/1.1, which it has to speak anyway; http2 of the origin says when it is asked by HTTP/2",
            place,
        );
    }),
    ("OriginMtlsConfig", |_, value, place| {
        let note = "it names a certificate that is kept in AWS, so none is shown; put one on the edges, and its name into \
                    tls.client_certificate";
        unsupported(value, &[], note, place);
    }),
];

fn custom(draft: &mut Draft) -> &mut CustomOriginSpec {
    draft.custom.get_or_insert_default()
}

fn origin_protocol_policy(draft: &mut Draft, value: &Value, place: &mut Place<'_>) {
    let policy = match text(value, place) {
        Some("http-only") => ProtocolPolicy::HttpOnly,
        Some("https-only") => ProtocolPolicy::HttpsOnly,
        Some("match-viewer") => {
            custom(draft).protocol_policy = Some(ProtocolPolicy::MatchViewer);
            return place.differs(HTTPS);
        }
        Some(other) => {
            return place.problem(format!("{other:?} is not http-only, https-only or match-viewer"));
        }
        None => return,
    };
    custom(draft).protocol_policy = Some(policy);
    place.exact();
}

/// All origins of a distribution.
pub(super) fn origins(value: &Value, context: &mut Context, place: &mut Place<'_>) -> Vec<OriginSpec> {
    let mut origins = Vec::new();
    for (i, item) in items(value, place).iter().enumerate() {
        let mut place = place.below(&format!(".Items[{i}]"));
        let mut draft = Draft::default();
        object(ORIGIN, &mut draft, item, &mut place);
        origins.push(finish(draft, context, &mut place));
    }
    origins
}

fn finish(draft: Draft, context: &mut Context, place: &mut Place<'_>) -> OriginSpec {
    let Draft { mut spec, domain, custom, is_bucket, is_signed } = draft;
    if let Some(elsewhere) = context.origins.get(&spec.id) {
        context.origins_found.push(spec.id.clone());
        if !elsewhere.origin_path.is_empty() {
            spec.origin_path.clone_from(&elsewhere.origin_path);
        }
        spec.kind.clone_from(&elsewhere.kind);
        place.field("DomainName").differs("it is asked where --origin says");
        return spec;
    }
    let mut place = place.field("DomainName");
    spec.kind = match (is_bucket, custom) {
        (true, _) => bucket(&domain, is_signed, &mut place).map(OriginKind::S3),
        (false, Some(custom)) => {
            if is_signed {
                place.unsupported("requests to HTTP servers are not signed; the origin will refuse them");
            } else {
                place.exact();
            }
            Some(OriginKind::Custom(CustomOriginSpec { domain_name: domain, ..custom }))
        }
        (false, None) => {
            place.problem(
                "has neither S3OriginConfig nor CustomOriginConfig; say where it is with --origin ID=URL",
            );
            None
        }
    };
    spec
}

fn bucket(domain: &str, is_signed: bool, place: &mut Place<'_>) -> Option<S3OriginSpec> {
    let Some(bucket) = s3::bucket(domain) else {
        place.problem(format!(
            "{domain:?} is not the host name of a bucket; say where it is with --origin ID=URL"
        ));
        return None;
    };
    match bucket.region {
        Some(_) => place.exact(),
        None => place.differs("the name does not say the region; us-east-1 is assumed"),
    }
    Some(S3OriginSpec {
        bucket: bucket.name.to_owned(),
        region: bucket.region.unwrap_or_default().to_owned(),
        signing: Some(if is_signed { Signing::Always } else { Signing::Never }),
        ..S3OriginSpec::default()
    })
}

/// The origin groups of a distribution.
pub(super) fn groups(value: &Value, place: &mut Place<'_>) -> Vec<OriginGroupSpec> {
    objects(GROUP, value, place)
}

const GROUP: &Table<OriginGroupSpec> = &[
    ("Id", |group, value, place| put_text(&mut group.id, value, place)),
    ("FailoverCriteria", |group, value, place| object(CRITERIA, group, value, place)),
    ("Members", |group, value, place| {
        group.member_origin_ids = objects(MEMBER, value, place).into_iter().map(|member| member.0).collect();
    }),
    ("SelectionCriteria", |_, value, place| {
        unsupported(value, &[json!("default")], "members are tried in their order", place);
    }),
];

const CRITERIA: &Table<OriginGroupSpec> = &[("StatusCodes", |group, value, place| {
    group.failover_status_codes = numbers(value, place);
    place.exact();
})];

/// The id of a member.
#[derive(Debug, Default)]
struct Member(String);

const MEMBER: &Table<Member> = &[("OriginId", |member, value, place| put_text(&mut member.0, value, place))];
