//! Response headers policies, to and from the wire.

use headland_proto::v1;

use super::{NotRepresentable, from_wire_duration, optional, to_wire_duration};
use crate::spec::{
    ContentSecurityPolicySpec, CorsSpec, CustomResponseHeaderSpec, FrameOptionsSpec, OverrideSpec,
    ReferrerPolicySpec, ResponseHeadersPolicySpec, SecurityHeadersSpec, ServerTimingSpec,
    StrictTransportSecuritySpec, XssProtectionSpec,
};

impl From<&ResponseHeadersPolicySpec> for v1::ResponseHeadersPolicyConfig {
    fn from(spec: &ResponseHeadersPolicySpec) -> Self {
        Self {
            name: spec.name.clone(),
            comment: spec.comment.clone(),
            cors: spec.cors.as_ref().map(Into::into),
            security_headers: spec.security_headers.as_ref().map(Into::into),
            custom_headers: spec.custom_headers.iter().map(Into::into).collect(),
            removed_headers: spec.removed_headers.clone(),
            server_timing: spec.server_timing.as_ref().map(Into::into),
            tags: spec.tags.clone(),
        }
    }
}

impl TryFrom<&v1::ResponseHeadersPolicyConfig> for ResponseHeadersPolicySpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::ResponseHeadersPolicyConfig) -> Result<Self, NotRepresentable> {
        Ok(Self {
            name: wire.name.clone(),
            comment: wire.comment.clone(),
            cors: optional("cors", wire.cors.as_ref())?,
            security_headers: optional("security_headers", wire.security_headers.as_ref())?,
            custom_headers: wire.custom_headers.iter().map(Into::into).collect(),
            removed_headers: wire.removed_headers.clone(),
            server_timing: wire.server_timing.as_ref().map(Into::into),
            tags: wire.tags.clone(),
        })
    }
}

impl From<&CorsSpec> for v1::Cors {
    fn from(spec: &CorsSpec) -> Self {
        Self {
            allow_origins: spec.allow_origins.clone(),
            allow_headers: spec.allow_headers.clone(),
            allow_methods: spec.allow_methods.clone(),
            allow_credentials: spec.allow_credentials,
            expose_headers: spec.expose_headers.clone(),
            max_age: to_wire_duration(spec.max_age),
            origin_override: spec.origin_override,
        }
    }
}

impl TryFrom<&v1::Cors> for CorsSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::Cors) -> Result<Self, NotRepresentable> {
        Ok(Self {
            allow_origins: wire.allow_origins.clone(),
            allow_headers: wire.allow_headers.clone(),
            allow_methods: wire.allow_methods.clone(),
            allow_credentials: wire.allow_credentials,
            expose_headers: wire.expose_headers.clone(),
            max_age: from_wire_duration("max_age", wire.max_age.as_ref())?,
            origin_override: wire.origin_override,
        })
    }
}

impl From<&SecurityHeadersSpec> for v1::SecurityHeaders {
    fn from(spec: &SecurityHeadersSpec) -> Self {
        Self {
            xss_protection: spec.xss_protection.as_ref().map(Into::into),
            frame_options: spec.frame_options.as_ref().map(Into::into),
            referrer_policy: spec.referrer_policy.as_ref().map(Into::into),
            content_security_policy: spec.content_security_policy.as_ref().map(Into::into),
            content_type_options: spec.content_type_options.as_ref().map(Into::into),
            strict_transport_security: spec.strict_transport_security.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<&v1::SecurityHeaders> for SecurityHeadersSpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::SecurityHeaders) -> Result<Self, NotRepresentable> {
        Ok(Self {
            xss_protection: wire.xss_protection.as_ref().map(Into::into),
            frame_options: wire.frame_options.as_ref().map(Into::into),
            referrer_policy: wire.referrer_policy.as_ref().map(Into::into),
            content_security_policy: wire.content_security_policy.as_ref().map(Into::into),
            content_type_options: wire.content_type_options.as_ref().map(Into::into),
            strict_transport_security: optional(
                "strict_transport_security",
                wire.strict_transport_security.as_ref(),
            )?,
        })
    }
}

impl From<&StrictTransportSecuritySpec> for v1::StrictTransportSecurity {
    fn from(spec: &StrictTransportSecuritySpec) -> Self {
        Self {
            origin_override: spec.origin_override,
            max_age: to_wire_duration(spec.max_age),
            include_subdomains: spec.include_subdomains,
            preload: spec.preload,
        }
    }
}

impl TryFrom<&v1::StrictTransportSecurity> for StrictTransportSecuritySpec {
    type Error = NotRepresentable;

    fn try_from(wire: &v1::StrictTransportSecurity) -> Result<Self, NotRepresentable> {
        Ok(Self {
            origin_override: wire.origin_override,
            max_age: from_wire_duration("max_age", wire.max_age.as_ref())?,
            include_subdomains: wire.include_subdomains,
            preload: wire.preload,
        })
    }
}

/// Both ways, for what has the same fields.
macro_rules! same_fields {
    ($Spec:ident, $Wire:ident: $($field:ident),+) => {
        impl From<&$Spec> for v1::$Wire {
            fn from(spec: &$Spec) -> Self {
                Self { $($field: spec.$field.clone()),+ }
            }
        }

        impl From<&v1::$Wire> for $Spec {
            fn from(wire: &v1::$Wire) -> Self {
                Self { $($field: wire.$field.clone()),+ }
            }
        }
    };
}

same_fields!(XssProtectionSpec, XssProtection: origin_override, protection, mode_block, report_uri);
same_fields!(FrameOptionsSpec, FrameOptions: origin_override, frame_option);
same_fields!(ReferrerPolicySpec, ReferrerPolicy: origin_override, referrer_policy);
same_fields!(ContentSecurityPolicySpec, ContentSecurityPolicy: origin_override, content_security_policy);
same_fields!(OverrideSpec, ContentTypeOptions: origin_override);
same_fields!(CustomResponseHeaderSpec, CustomResponseHeader: name, value, origin_override);
same_fields!(ServerTimingSpec, ServerTiming: sampling_rate);

#[cfg(test)]
mod tests {
    use headland_proto::{model, v1};

    use crate::spec::ResponseHeadersPolicySpec;

    #[test]
    fn every_managed_policy_is_the_same_there_and_back() {
        let policies = model::managed::of_kind(model::Kind::ResponseHeadersPolicy);
        let mut seen = 0;
        for policy in policies {
            let Some(v1::resource_config::Kind::ResponseHeadersPolicy(wire)) = &policy.config.kind else {
                panic!("{policy:?}")
            };
            let spec = ResponseHeadersPolicySpec::try_from(wire).expect("representable");
            assert_eq!(v1::ResponseHeadersPolicyConfig::from(&spec), *wire);
            seen += 1;
        }
        assert_eq!(seen, 5);
    }

    #[test]
    fn a_policy_with_everything_is_the_same_there_and_back() {
        let text = "
name: everything
comment: all of it
cors:
  allow_origins: ['https://*.example.com']
  allow_headers: [x-a]
  allow_methods: [GET]
  allow_credentials: true
  expose_headers: [x-b]
  max_age: 10m
  origin_override: true
security_headers:
  xss_protection: {origin_override: true, protection: true, report_uri: /report}
  frame_options: {frame_option: DENY}
  referrer_policy: {referrer_policy: no-referrer}
  content_security_policy: {content_security_policy: default-src 'self'}
  content_type_options: {origin_override: true}
  strict_transport_security: {max_age: 1h, include_subdomains: true, preload: true}
custom_headers: [{name: x-c, value: d, origin_override: true}]
removed_headers: [server]
server_timing: {sampling_rate: 0.5}
";
        let source =
            crate::spec::Source::<ResponseHeadersPolicySpec>::parse("policy.yaml", text).expect("parses");
        let wire = v1::ResponseHeadersPolicyConfig::from(source.spec());
        assert_eq!(ResponseHeadersPolicySpec::try_from(&wire).expect("representable"), *source.spec());
        let config =
            v1::ResourceConfig { kind: Some(v1::resource_config::Kind::ResponseHeadersPolicy(wire)) };
        model::Resource::try_from(&config).expect("is valid");
    }
}
