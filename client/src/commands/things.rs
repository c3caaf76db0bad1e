//! Whatever can be created, of any kind: what commands for whole sets read, compare, create, change and delete.

use std::collections::BTreeMap;

use headland::{
    client::Client,
    error::{Error, ErrorKind, Violation},
    model::Kind,
    spec::{
        CachePolicySpec, DistributionSpec, DocumentKind, KeyGroupSpec, Names, OriginRequestPolicySpec,
        PolicyDocument, PublicKeySpec, ResponseHeadersPolicySpec, Source, Spec,
    },
    v1,
};
use serde::Serialize;

use super::policy::Noun;

/// The tag by which `headland apply` knows what it made: its value names the set of files.
pub(super) const APPLIED_BY: &str = "headland:applied-by";

/// What an operator writes about one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Thing {
    CachePolicy(CachePolicySpec),
    OriginRequestPolicy(OriginRequestPolicySpec),
    ResponseHeadersPolicy(ResponseHeadersPolicySpec),
    PublicKey(PublicKeySpec),
    KeyGroup(KeyGroupSpec),
    Distribution(Box<DistributionSpec>),
}

/// A thing as a file says it: no more than its kind and what the operator asked for.
#[derive(Debug, Serialize)]
pub(super) struct Document<'t> {
    kind: DocumentKind,
    config: &'t Thing,
}

/// A thing that is there.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) id: String,
    pub(super) etag: String,
    /// What it refers to is named by its name.
    pub(super) thing: Thing,
}

/// Everything that was created, and the names of all that can be referred to.
#[derive(Debug, Default)]
pub(super) struct Everything {
    pub(super) existing: Vec<Existing>,
    pub(super) names: Names,
}

/// What was done with a distribution, for those who wait for it.
pub(super) struct Done {
    pub(super) id: String,
    pub(super) distribution: Option<v1::Distribution>,
}

/// One document of a file, and how to say where in it something is wrong.
pub(super) struct Read {
    pub(super) thing: Thing,
    pub(super) locate: Box<dyn Fn(Violation) -> Violation>,
}

impl Thing {
    /// Reads a document of a kind.
    pub(super) fn read(kind: DocumentKind, name: &str, text: &str) -> Result<Read, Error> {
        fn read<S: Spec + Clone + 'static>(
            name: &str,
            text: &str,
            thing: impl Fn(S) -> Thing,
        ) -> Result<Read, Error> {
            let source = Source::<S>::parse(name, text)?;
            Ok(Read { thing: thing(source.spec().clone()), locate: Box::new(move |v| source.locate(v)) })
        }
        match kind {
            DocumentKind::CachePolicy => read(name, text, Self::CachePolicy),
            DocumentKind::OriginRequestPolicy => read(name, text, Self::OriginRequestPolicy),
            DocumentKind::ResponseHeadersPolicy => read(name, text, Self::ResponseHeadersPolicy),
            DocumentKind::PublicKey => read(name, text, Self::PublicKey),
            DocumentKind::KeyGroup => read(name, text, Self::KeyGroup),
            DocumentKind::Distribution => read(name, text, |spec| Self::Distribution(Box::new(spec))),
        }
    }

    pub(super) fn kind(&self) -> DocumentKind {
        match self {
            Self::CachePolicy(_) => DocumentKind::CachePolicy,
            Self::OriginRequestPolicy(_) => DocumentKind::OriginRequestPolicy,
            Self::ResponseHeadersPolicy(_) => DocumentKind::ResponseHeadersPolicy,
            Self::PublicKey(_) => DocumentKind::PublicKey,
            Self::KeyGroup(_) => DocumentKind::KeyGroup,
            Self::Distribution(_) => DocumentKind::Distribution,
        }
    }

    /// As what distributions refer to it.
    pub(super) fn resource_kind(&self) -> Option<Kind> {
        match self {
            Self::CachePolicy(_) => Some(Kind::CachePolicy),
            Self::OriginRequestPolicy(_) => Some(Kind::OriginRequestPolicy),
            Self::ResponseHeadersPolicy(_) => Some(Kind::ResponseHeadersPolicy),
            Self::PublicKey(_) => Some(Kind::PublicKey),
            Self::KeyGroup(_) => Some(Kind::KeyGroup),
            Self::Distribution(_) => None,
        }
    }

    /// What tells it from others of its kind, here and at every control plane: its name, or its caller reference.
    pub(super) fn identity(&self) -> &str {
        match self {
            Self::CachePolicy(policy) => &policy.name,
            Self::OriginRequestPolicy(policy) => &policy.name,
            Self::ResponseHeadersPolicy(policy) => &policy.name,
            Self::PublicKey(policy) => &policy.name,
            Self::KeyGroup(policy) => &policy.name,
            Self::Distribution(spec) => &spec.caller_reference,
        }
    }

    pub(super) fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
        match self {
            Self::CachePolicy(policy) => &mut policy.tags,
            Self::OriginRequestPolicy(policy) => &mut policy.tags,
            Self::ResponseHeadersPolicy(policy) => &mut policy.tags,
            Self::PublicKey(policy) => &mut policy.tags,
            Self::KeyGroup(policy) => &mut policy.tags,
            Self::Distribution(spec) => &mut spec.tags,
        }
    }

    pub(super) fn tags(&self) -> &BTreeMap<String, String> {
        match self {
            Self::CachePolicy(policy) => &policy.tags,
            Self::OriginRequestPolicy(policy) => &policy.tags,
            Self::ResponseHeadersPolicy(policy) => &policy.tags,
            Self::PublicKey(policy) => &policy.tags,
            Self::KeyGroup(policy) => &policy.tags,
            Self::Distribution(spec) => &spec.tags,
        }
    }

    /// As it is sent, if distributions refer to it.
    pub(super) fn resource_config(&self) -> Option<v1::ResourceConfig> {
        use v1::resource_config::Kind as Wire;
        let kind = match self {
            Self::CachePolicy(policy) => Wire::CachePolicy(policy.into()),
            Self::OriginRequestPolicy(policy) => Wire::OriginRequestPolicy(policy.into()),
            Self::ResponseHeadersPolicy(policy) => Wire::ResponseHeadersPolicy(policy.into()),
            Self::PublicKey(policy) => Wire::PublicKey(policy.into()),
            Self::KeyGroup(policy) => Wire::KeyGroup(policy.into()),
            Self::Distribution(_) => return None,
        };
        Some(v1::ResourceConfig { kind: Some(kind) })
    }

    /// The same with names in place of ids.
    pub(super) fn with_names(self, names: &Names) -> Self {
        match self {
            Self::Distribution(spec) => Self::Distribution(Box::new(spec.with_names(names))),
            Self::KeyGroup(group) => Self::KeyGroup(group.with_names(names)),
            other => other,
        }
    }

    pub(super) fn document(&self) -> Document<'_> {
        Document { kind: self.kind(), config: self }
    }

    pub(super) async fn create(&self, client: &Client, names: &mut Names) -> Result<Done, Error> {
        let done = match self {
            Self::CachePolicy(policy) => policy.create(client).await?.into(),
            Self::OriginRequestPolicy(policy) => policy.create(client).await?.into(),
            Self::ResponseHeadersPolicy(thing) => thing.create(client).await?.into(),
            Self::PublicKey(thing) => thing.create(client).await?.into(),
            Self::KeyGroup(group) => group.clone().with_ids(names)?.create(client).await?.into(),
            Self::Distribution(spec) => {
                let config = (&spec.as_ref().clone().with_ids(names)?).into();
                client.create_distribution(config).await?.into()
            }
        };
        self.name(&done, names);
        Ok(done)
    }

    pub(super) async fn update(
        &self,
        client: &Client,
        there: &Existing,
        names: &mut Names,
    ) -> Result<Done, Error> {
        let Existing { id, etag, .. } = there;
        let done = match self {
            Self::CachePolicy(policy) => policy.update(client, id, etag).await?.into(),
            Self::OriginRequestPolicy(policy) => policy.update(client, id, etag).await?.into(),
            Self::ResponseHeadersPolicy(thing) => thing.update(client, id, etag).await?.into(),
            Self::PublicKey(thing) => thing.update(client, id, etag).await?.into(),
            Self::KeyGroup(group) => group.clone().with_ids(names)?.update(client, id, etag).await?.into(),
            Self::Distribution(spec) => {
                let config = (&spec.as_ref().clone().with_ids(names)?).into();
                client.update_distribution(id, etag, config).await?.into()
            }
        };
        self.name(&done, names);
        Ok(done)
    }

    fn name(&self, done: &Done, names: &mut Names) {
        if let Some(kind) = self.resource_kind() {
            names.insert(kind, self.identity(), &done.id);
        }
    }
}

impl Existing {
    /// Deletes it; a distribution is disabled first.
    pub(super) async fn delete(&self, client: &Client, names: &Names) -> Result<(), Error> {
        let Self { id, etag, thing } = self;
        match thing {
            Thing::CachePolicy(_) => CachePolicySpec::delete(client, id, etag).await,
            Thing::OriginRequestPolicy(_) => OriginRequestPolicySpec::delete(client, id, etag).await,
            Thing::ResponseHeadersPolicy(_) => ResponseHeadersPolicySpec::delete(client, id, etag).await,
            Thing::PublicKey(_) => PublicKeySpec::delete(client, id, etag).await,
            Thing::KeyGroup(_) => KeyGroupSpec::delete(client, id, etag).await,
            Thing::Distribution(spec) => {
                let mut etag = etag.clone();
                if spec.enabled {
                    let disabled = DistributionSpec { enabled: false, ..spec.as_ref().clone() };
                    let config = (&disabled.with_ids(names)?).into();
                    etag = client.update_distribution(id, &etag, config).await?.etag;
                }
                client.delete_distribution(id, &etag).await
            }
        }
    }

    /// From the wire, with names in place of ids.
    pub(super) fn distribution(wire: &v1::Distribution, names: &Names) -> Result<Self, Error> {
        let config = wire.config.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("get distribution {}: it has no config", wire.id))
        })?;
        let spec = DistributionSpec::try_from(config)?.with_names(names);
        let thing = Thing::Distribution(Box::new(spec));
        Ok(Self { id: wire.id.clone(), etag: wire.etag.clone(), thing })
    }
}

impl Everything {
    /// All policies that were created.
    pub(super) async fn policies(client: &Client) -> Result<Self, Error> {
        async fn of<N: Noun>(client: &Client, thing: impl Fn(N) -> Thing) -> Result<Vec<Existing>, Error> {
            let all = N::list(client, v1::PolicyType::Custom, v1::PolicyFilter::default()).await?;
            let existing = |policy: PolicyDocument<N>| Existing {
                id: policy.id,
                etag: policy.etag,
                thing: thing(policy.config),
            };
            Ok(all.into_iter().map(existing).collect())
        }
        let mut existing = of(client, Thing::CachePolicy).await?;
        existing.extend(of(client, Thing::OriginRequestPolicy).await?);
        existing.extend(of(client, Thing::ResponseHeadersPolicy).await?);
        existing.extend(of(client, Thing::PublicKey).await?);
        existing.extend(of(client, Thing::KeyGroup).await?);
        let mut names = Names::managed();
        for policy in &existing {
            if let Some(kind) = policy.thing.resource_kind() {
                names.insert(kind, policy.thing.identity(), &policy.id);
            }
        }
        let existing = existing
            .into_iter()
            .map(|there| Existing { thing: there.thing.with_names(&names), ..there })
            .collect();
        Ok(Self { existing, names })
    }

    /// The same, and all distributions.
    pub(super) async fn all(client: &Client) -> Result<Self, Error> {
        let mut all = Self::policies(client).await?;
        for wire in client.distributions().all().await? {
            all.existing.push(Existing::distribution(&wire, &all.names)?);
        }
        Ok(all)
    }

    /// What is there of a kind with this identity.
    pub(super) fn find(&self, kind: DocumentKind, identity: &str) -> Option<&Existing> {
        self.existing.iter().find(|there| there.thing.kind() == kind && there.thing.identity() == identity)
    }
}

impl From<Thing> for Read {
    /// One that stands in no file.
    fn from(thing: Thing) -> Self {
        let unplaced = |violation: Violation| {
            let field = violation.field.strip_prefix("config.").unwrap_or(&violation.field).to_owned();
            Violation { field, ..violation }
        };
        Self { thing, locate: Box::new(unplaced) }
    }
}

impl<S> From<PolicyDocument<S>> for Done {
    fn from(policy: PolicyDocument<S>) -> Self {
        Self { id: policy.id, distribution: None }
    }
}

impl From<v1::Distribution> for Done {
    fn from(distribution: v1::Distribution) -> Self {
        Self { id: distribution.id.clone(), distribution: Some(distribution) }
    }
}
