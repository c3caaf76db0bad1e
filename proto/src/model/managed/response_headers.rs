//! The managed response headers policies.

use super::{Managed, YEAR, owned};
use crate::v1::{
    ContentTypeOptions, Cors, FrameOptions, ReferrerPolicy, ResourceConfig, ResponseHeadersPolicyConfig,
    SecurityHeaders, StrictTransportSecurity, XssProtection, resource_config::Kind as Wire,
};

pub(super) fn policies() -> Vec<Managed> {
    let policy = |id, name: &str, comment: &str, cors: Option<Cors>, is_secure: bool| Managed {
        id,
        config: ResourceConfig {
            kind: Some(Wire::ResponseHeadersPolicy(ResponseHeadersPolicyConfig {
                name: name.into(),
                comment: comment.into(),
                cors,
                security_headers: is_secure.then(security),
                ..Default::default()
            })),
        },
    };
    vec![
        policy(
            "60669652-455b-4ae9-85a4-c4c02393f86c",
            "Managed-SimpleCORS",
            "All origins may read, with simple requests",
            Some(simple()),
            false,
        ),
        policy(
            "5cc3b908-e619-4b99-88e5-2cf7f45965bd",
            "Managed-CORS-With-Preflight",
            "All origins may read, and send what they like",
            Some(with_preflight()),
            false,
        ),
        policy(
            "67f7725c-6f97-4210-82d7-5512b31e9d03",
            "Managed-SecurityHeadersPolicy",
            "What browsers should insist on",
            None,
            true,
        ),
        policy(
            "e61eb60c-9c35-4d20-a928-2b84e02af89c",
            "Managed-CORS-and-SecurityHeadersPolicy",
            "SimpleCORS, and what browsers should insist on",
            Some(simple()),
            true,
        ),
        policy(
            "eaab4381-ed33-4a86-88ca-d9558dc6cd63",
            "Managed-CORS-with-preflight-and-SecurityHeadersPolicy",
            "CORS-With-Preflight, and what browsers should insist on",
            Some(with_preflight()),
            true,
        ),
    ]
}

fn simple() -> Cors {
    Cors { allow_origins: owned(&["*"]), allow_methods: owned(&["GET", "HEAD"]), ..Default::default() }
}

fn with_preflight() -> Cors {
    let any = || owned(&["*"]);
    let (allow_methods, expose_headers) = (owned(&["ALL"]), any());
    Cors { allow_origins: any(), allow_headers: any(), allow_methods, expose_headers, ..Default::default() }
}

fn security() -> SecurityHeaders {
    SecurityHeaders {
        xss_protection: Some(XssProtection { protection: true, mode_block: true, ..Default::default() }),
        frame_options: Some(FrameOptions { frame_option: "SAMEORIGIN".into(), origin_override: false }),
        referrer_policy: Some(ReferrerPolicy {
            referrer_policy: "strict-origin-when-cross-origin".into(),
            origin_override: false,
        }),
        content_security_policy: None,
        content_type_options: Some(ContentTypeOptions { origin_override: true }),
        strict_transport_security: Some(StrictTransportSecurity {
            max_age: Some(prost_types::Duration { seconds: YEAR, nanos: 0 }),
            ..Default::default()
        }),
    }
}
