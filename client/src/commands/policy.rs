//! `headland cache-policy`, `origin-request-policy` and `response-headers-policy`: what cache behaviors of many distributions share. What is
//! done with them is also done with public keys and key groups (`key.rs`).

use std::{collections::BTreeMap, path::PathBuf};

use headland::{
    client::Client,
    error::{Error, ErrorKind},
    spec::{
        CachePolicySpec, KeyGroupSpec, NotRepresentable, OriginRequestPolicySpec, PolicyDocument,
        PublicKeySpec, ResponseHeadersPolicySpec, Spec,
    },
    v1,
};
use serde::Serialize;

use super::{Session, names, source, tags};
use crate::output::Table;

/// Create, look at and change cache policies: how long objects are kept, and what tells them apart
#[derive(Debug, clap::Args)]
pub(crate) struct CachePolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

/// Create, look at and change origin request policies: what reaches origins beside what is in the cache key
#[derive(Debug, clap::Args)]
pub(crate) struct OriginRequestPolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

/// Create, look at and change response headers policies: what is removed from, and added to, every response
#[derive(Debug, clap::Args)]
pub(crate) struct ResponseHeadersPolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

const CREATE_EXAMPLES: &str = "\
Examples:
  headland cache-policy create -f policy.yaml
  headland origin-request-policy create -f - -o json";

const GET_EXAMPLES: &str = "\
Examples:
  headland cache-policy get 658327ea-f89d-4fab-a63d-7e88639e58f6
  headland cache-policy get 658327ea-f89d-4fab-a63d-7e88639e58f6 -o yaml | tee policy.yaml";

const LIST_EXAMPLES: &str = "\
Examples:
  headland cache-policy list --type custom
  headland cache-policy list --tag team=web
  headland origin-request-policy list -o json";

const UPDATE_EXAMPLES: &str = "\
Examples:
  headland cache-policy update 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11 -f policy.yaml";

const DELETE_EXAMPLES: &str = "\
Examples:
  headland cache-policy delete 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11";

#[derive(Debug, clap::Subcommand)]
pub(super) enum PolicyCommand {
    /// Create a policy from a file
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// File that holds the policy, YAML or JSON; - is stdin
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
    },
    /// Show one policy, managed or created
    ///
    /// What -o yaml prints can be edited and given to `update -f`, or, without its id, to `create -f`.
    #[command(after_help = GET_EXAMPLES)]
    Get {
        /// The policy's id
        id: String,
    },
    /// List policies: the managed ones, then the others in order of id
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only those that come with the program, or only those that were created
        #[arg(long = "type", value_name = "TYPE")]
        wanted: Option<PolicyType>,
        #[command(flatten)]
        tags: tags::Filter,
        /// Only the one with this name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Replace a policy by what a file says
    ///
    /// Every distribution that uses it obeys the new one. If the file is what `get -o yaml` printed, edited, the change is refused
    /// when somebody else changed the policy in between.
    #[command(after_help = UPDATE_EXAMPLES)]
    Update {
        /// The policy's id
        id: String,
        /// File that holds the whole policy, YAML or JSON; - is stdin
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
        /// Change only this state of the policy, and refuse if it is another by now
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
    /// Delete a policy that no distribution uses
    #[command(after_help = DELETE_EXAMPLES)]
    Delete {
        /// The policy's id
        id: String,
        /// Delete only this state of the policy, and refuse if it is another by now
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
}

/// Which policies a list is about.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum PolicyType {
    /// Those that come with the program.
    Managed,
    /// Those that were created.
    Custom,
}

/// One kind of policy: its calls, and what is shown of it.
pub(super) trait Noun: Spec + Serialize + Clone {
    const NOUN: &'static str;
    /// Whether some of it come with the program.
    const HAS_MANAGED: bool;

    /// The same with ids in place of names.
    async fn with_ids(self, _client: &Client) -> Result<Self, Error> {
        Ok(self)
    }
    async fn create(&self, client: &Client) -> Result<PolicyDocument<Self>, Error>;
    async fn get(client: &Client, id: &str) -> Result<PolicyDocument<Self>, Error>;
    async fn list(
        client: &Client,
        wanted: v1::PolicyType,
        filter: v1::PolicyFilter,
    ) -> Result<Vec<PolicyDocument<Self>>, Error>;
    async fn update(&self, client: &Client, id: &str, etag: &str) -> Result<PolicyDocument<Self>, Error>;
    async fn delete(client: &Client, id: &str, etag: &str) -> Result<(), Error>;
    fn name(&self) -> &str;
    fn comment(&self) -> &str;
    fn tags(&self) -> &BTreeMap<String, String>;
}

/// Of `created` ones none are managed.
macro_rules! noun {
    ($Spec:ident, $noun:literal, $create:ident, $get:ident, $list:ident, $update:ident, $delete:ident) => {
        noun!(@ true, async |client: &Client, wanted, filter| client.$list(wanted, filter).await, $Spec, $noun, $create, $get, $update, $delete);
    };
    (created $Spec:ident, $noun:literal, $create:ident, $get:ident, $list:ident, $update:ident, $delete:ident $(, $refers:item)?) => {
        noun!(@ false, async |client: &Client, _, filter| client.$list(filter).await, $Spec, $noun, $create, $get, $update, $delete $(, $refers)?);
    };
    (@ $managed:literal, $list:expr, $Spec:ident, $noun:literal, $create:ident, $get:ident, $update:ident, $delete:ident $(, $refers:item)?) => {
        impl Noun for $Spec {
            const NOUN: &'static str = $noun;
            const HAS_MANAGED: bool = $managed;

            $($refers)?

            async fn create(&self, client: &Client) -> Result<PolicyDocument<Self>, Error> {
                Ok((&client.$create(self.into()).await?).try_into()?)
            }

            async fn get(client: &Client, id: &str) -> Result<PolicyDocument<Self>, Error> {
                Ok((&client.$get(id).await?).try_into()?)
            }

            async fn list(
                client: &Client,
                wanted: v1::PolicyType,
                filter: v1::PolicyFilter,
            ) -> Result<Vec<PolicyDocument<Self>>, Error> {
                let list = $list;
                let all = list(client, wanted, filter).await?;
                let documents: Result<_, NotRepresentable> = all.iter().map(TryInto::try_into).collect();
                Ok(documents?)
            }

            async fn update(
                &self,
                client: &Client,
                id: &str,
                etag: &str,
            ) -> Result<PolicyDocument<Self>, Error> {
                Ok((&client.$update(id, etag, self.into()).await?).try_into()?)
            }

            async fn delete(client: &Client, id: &str, etag: &str) -> Result<(), Error> {
                client.$delete(id, etag).await
            }

            fn name(&self) -> &str {
                &self.name
            }

            fn comment(&self) -> &str {
                &self.comment
            }

            fn tags(&self) -> &BTreeMap<String, String> {
                &self.tags
            }
        }
    };
}

noun!(
    CachePolicySpec,
    "cache policy",
    create_cache_policy,
    get_cache_policy,
    list_cache_policies,
    update_cache_policy,
    delete_cache_policy
);
noun!(
    OriginRequestPolicySpec,
    "origin request policy",
    create_origin_request_policy,
    get_origin_request_policy,
    list_origin_request_policies,
    update_origin_request_policy,
    delete_origin_request_policy
);
noun!(
    ResponseHeadersPolicySpec,
    "response headers policy",
    create_response_headers_policy,
    get_response_headers_policy,
    list_response_headers_policies,
    update_response_headers_policy,
    delete_response_headers_policy
);

noun!(
    created
    PublicKeySpec,
    "public key",
    create_public_key,
    get_public_key,
    list_public_keys,
    update_public_key,
    delete_public_key
);
noun!(
    created
    KeyGroupSpec,
    "key group",
    create_key_group,
    get_key_group,
    list_key_groups,
    update_key_group,
    delete_key_group,
    async fn with_ids(self, client: &Client) -> Result<Self, Error> {
        names::resolved_group(self, client).await
    }
);

pub(crate) async fn run_cache_policy(args: CachePolicyArgs, session: &mut Session<'_>) -> Result<(), Error> {
    run::<CachePolicySpec>(args.command, session).await
}

pub(crate) async fn run_origin_request_policy(
    args: OriginRequestPolicyArgs,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    run::<OriginRequestPolicySpec>(args.command, session).await
}

pub(crate) async fn run_response_headers_policy(
    args: ResponseHeadersPolicyArgs,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    run::<ResponseHeadersPolicySpec>(args.command, session).await
}

pub(super) async fn run<N: Noun>(command: PolicyCommand, session: &mut Session<'_>) -> Result<(), Error> {
    match command {
        PolicyCommand::Create { file } => {
            let file = source::read::<N>(&file)?;
            let created = async {
                let spec = N::with_ids(file.spec().clone(), &session.client).await?;
                spec.create(&session.client).await
            };
            say_created(&created.await.map_err(|e| e.map_violations(|v| file.locate(v)))?, session)
        }
        PolicyCommand::Get { id } => {
            let policy = N::get(&session.client, &id).await?;
            print(&policy, session)
        }
        PolicyCommand::List { wanted, tags, name } => {
            let wanted = match wanted {
                None => v1::PolicyType::Unspecified,
                Some(PolicyType::Managed) => v1::PolicyType::Managed,
                Some(PolicyType::Custom) => v1::PolicyType::Custom,
            };
            let filter = v1::PolicyFilter { tags: tags.wire(), name: name.unwrap_or_default() };
            let all = N::list(&session.client, wanted, filter).await?;
            session.output.data(session.settings.output.0, &all, || {
                let headings = ["ID", "NAME", "TYPE", "REVISION", "COMMENT"];
                let is_shown = |heading: &&str| N::HAS_MANAGED || *heading != "TYPE";
                let mut table = Table::of_things(&headings.into_iter().filter(is_shown).collect::<Vec<_>>());
                for policy in &all {
                    let (config, of) = (&policy.config, type_of(policy));
                    match N::HAS_MANAGED {
                        true => {
                            table.row(&[&policy.id, &config.name(), &of, &policy.revision, &config.comment()])
                        }
                        false => {
                            table.row(&[&policy.id, &config.name(), &policy.revision, &config.comment()])
                        }
                    }
                }
                table
            })
        }
        PolicyCommand::Update { id, file, etag } => {
            let file = source::read::<N>(&file)?;
            if let Some(other) = file.id().filter(|other| *other != id) {
                let message = format!("update {} {id}: {} describes {other}", N::NOUN, file.name());
                return Err(Error::new(ErrorKind::Usage, message)
                    .with_hint("name the policy that the file is of, or remove the file's id"));
            }
            let etag = match etag.as_deref().or(file.etag()) {
                Some(etag) => etag.to_owned(),
                None => N::get(&session.client, &id).await?.etag,
            };
            let updated = async {
                let spec = N::with_ids(file.spec().clone(), &session.client).await?;
                spec.update(&session.client, &id, &etag).await
            };
            let updated = updated.await.map_err(|e| e.map_violations(|v| file.locate(v)))?;
            session.output.say(&format!("updated {} {id} to revision {}", N::NOUN, updated.revision));
            print(&updated, session)
        }
        PolicyCommand::Delete { id, etag } => {
            let etag = match etag {
                Some(etag) => etag,
                None => N::get(&session.client, &id).await?.etag,
            };
            N::delete(&session.client, &id, &etag).await?;
            session.output.say(&format!("deleted {} {id}", N::NOUN));
            Ok(())
        }
    }
}

/// Says that there is a new one, and prints it.
pub(super) fn say_created<N: Noun>(
    created: &PolicyDocument<N>,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    session.output.say(&format!("created {} {}", N::NOUN, created.id));
    print(created, session)
}

fn type_of<S>(policy: &PolicyDocument<S>) -> &'static str {
    if policy.managed == Some(true) { "managed" } else { "custom" }
}

fn print<N: Noun>(policy: &PolicyDocument<N>, session: &mut Session<'_>) -> Result<(), Error> {
    session.output.data(session.settings.output.0, policy, || {
        let mut table = Table::of_fields();
        table.row(&[&"id", &policy.id]);
        table.row(&[&"name", &policy.config.name()]);
        if N::HAS_MANAGED {
            table.row(&[&"type", &type_of(policy)]);
        }
        table.row(&[&"etag", &policy.etag]);
        table.row(&[&"revision", &policy.revision]);
        table.row(&[&"create_time", &policy.create_time]);
        table.row(&[&"update_time", &policy.update_time]);
        table.row(&[&"comment", &policy.config.comment()]);
        table.row(&[&"tags", &tags::text(policy.config.tags())]);
        table.row(&[&"config", &"-o yaml shows it"]);
        table
    })
}
