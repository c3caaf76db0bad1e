//! `headland public-key` and `headland key-group`: who may sign URLs and cookies.

use std::{collections::BTreeMap, path::PathBuf};

use headland::{
    error::{Error, ErrorKind},
    spec::{KeyGroupSpec, PublicKeySpec},
};

use super::{
    Session, names,
    policy::{Noun as _, PolicyCommand, run, say_created},
    source, tags,
};

/// Create, look at and change public keys: what signatures of URLs and cookies are verified with
#[derive(Debug, clap::Args)]
pub(crate) struct PublicKeyArgs {
    #[command(subcommand)]
    command: PublicKeyCommand,
}

/// Create, look at and change key groups: which public keys cache behaviors trust
#[derive(Debug, clap::Args)]
pub(crate) struct KeyGroupArgs {
    #[command(subcommand)]
    command: KeyGroupCommand,
}

const CREATE_KEY_EXAMPLES: &str = "\
Examples:
  headland public-key create --name web-2026 --pem public.pem
  headland public-key create -f key.yaml";

const CREATE_GROUP_EXAMPLES: &str = "\
Examples:
  headland key-group create --name web --key web-2026
  headland key-group create -f group.yaml -o json";

const GET_KEY_EXAMPLES: &str = "\
Examples:
  headland public-key get 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11 -o yaml | tee key.yaml";

const LIST_KEYS_EXAMPLES: &str = "\
Examples:
  headland public-key list -o json";

const UPDATE_KEY_EXAMPLES: &str = "\
Examples:
  headland public-key update 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11 -f key.yaml";

const DELETE_KEY_EXAMPLES: &str = "\
Examples:
  headland public-key delete 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11";

const GET_GROUP_EXAMPLES: &str = "\
Examples:
  headland key-group get 7d2c9e9a-58b3-4a43-8f5b-8b6f3c1d2e4f -o yaml | tee group.yaml";

const LIST_GROUPS_EXAMPLES: &str = "\
Examples:
  headland key-group list";

const UPDATE_GROUP_EXAMPLES: &str = "\
Examples:
  headland key-group update 7d2c9e9a-58b3-4a43-8f5b-8b6f3c1d2e4f -f group.yaml";

const DELETE_GROUP_EXAMPLES: &str = "\
Examples:
  headland key-group delete 7d2c9e9a-58b3-4a43-8f5b-8b6f3c1d2e4f";

#[derive(Debug, clap::Subcommand)]
enum PublicKeyCommand {
    /// Create a public key from its PEM, or from a file that says it all
    ///
    /// Its id is the Key-Pair-Id of what is signed with the private key, which stays with whoever signs. `openssl genpkey -algorithm EC
    /// -pkeyopt ec_paramgen_curve:P-256 -out private.pem` makes one, and `openssl pkey -in private.pem -pubout` prints its public key.
    #[command(after_help = CREATE_KEY_EXAMPLES)]
    Create {
        /// File that holds the key in PEM: RSA of 2048 bits, or ECDSA with the curve P-256; - is stdin
        #[arg(long, value_name = "FILE", requires = "name", required_unless_present = "file")]
        pem: Option<PathBuf>,
        /// A name that no other public key has
        #[arg(long, requires = "pem")]
        name: Option<String>,
        /// For people
        #[arg(long, requires = "pem")]
        comment: Option<String>,
        /// File that holds name, comment and public_key_pem, YAML or JSON; - is stdin
        #[arg(long, short, value_name = "FILE", conflicts_with = "pem")]
        file: Option<PathBuf>,
    },
    /// Show one public key
    #[command(after_help = GET_KEY_EXAMPLES)]
    Get {
        /// The key's id
        id: String,
    },
    /// List public keys in order of id
    #[command(after_help = LIST_KEYS_EXAMPLES)]
    List {
        #[command(flatten)]
        tags: tags::Filter,
        /// Only the one with this name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Replace name and comment of a public key by what a file says; the key itself cannot be changed
    #[command(after_help = UPDATE_KEY_EXAMPLES)]
    Update {
        /// The key's id
        id: String,
        /// File that holds it all, as `get -o yaml` prints it, YAML or JSON; - is stdin
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
        /// Change only this state of the key, and refuse if it is another by now
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
    /// Delete a public key that no key group has
    #[command(after_help = DELETE_KEY_EXAMPLES)]
    Delete {
        /// The key's id
        id: String,
        /// Delete only this state of the key, and refuse if it is another by now
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
}

#[derive(Debug, clap::Subcommand)]
enum KeyGroupCommand {
    /// Create a key group of public keys, or from a file that says it all
    #[command(after_help = CREATE_GROUP_EXAMPLES)]
    Create {
        /// Id or name of a public key; repeat it for more, up to 5
        #[arg(long = "key", value_name = "KEY", requires = "name", required_unless_present = "file")]
        keys: Vec<String>,
        /// A name that no other key group has
        #[arg(long, requires = "keys")]
        name: Option<String>,
        /// For people
        #[arg(long, requires = "keys")]
        comment: Option<String>,
        /// File that holds name, comment and public_key_ids, YAML or JSON; - is stdin
        #[arg(long, short, value_name = "FILE", conflicts_with = "keys")]
        file: Option<PathBuf>,
    },
    /// Show one key group
    #[command(after_help = GET_GROUP_EXAMPLES)]
    Get {
        /// The group's id
        id: String,
    },
    /// List key groups in order of id
    #[command(after_help = LIST_GROUPS_EXAMPLES)]
    List {
        #[command(flatten)]
        tags: tags::Filter,
        /// Only the one with this name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Replace a key group by what a file says
    ///
    /// Every distribution that trusts it obeys the new one: this is how keys are replaced.
    #[command(after_help = UPDATE_GROUP_EXAMPLES)]
    Update {
        /// The group's id
        id: String,
        /// File that holds the whole group, YAML or JSON; - is stdin
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
        /// Change only this state of the group, and refuse if it is another by now
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
    /// Delete a key group that no distribution trusts
    #[command(after_help = DELETE_GROUP_EXAMPLES)]
    Delete {
        /// The group's id
        id: String,
        /// Delete only this state of the group, and refuse if it is another by now
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
}

pub(crate) async fn run_public_key(args: PublicKeyArgs, session: &mut Session<'_>) -> Result<(), Error> {
    use PublicKeyCommand as Key;
    let command = match args.command {
        Key::Create { pem: Some(pem), name, comment, .. } => {
            let (_, public_key_pem) = source::text(&pem)?;
            let (name, comment) = (name.unwrap_or_default(), comment.unwrap_or_default());
            let spec = PublicKeySpec { name, comment, public_key_pem, tags: BTreeMap::new() };
            return say_created(&spec.create(&session.client).await?, session);
        }
        Key::Create { file, .. } => PolicyCommand::Create { file: required(file)? },
        Key::Get { id } => PolicyCommand::Get { id },
        Key::List { tags, name } => PolicyCommand::List { wanted: None, tags, name },
        Key::Update { id, file, etag } => PolicyCommand::Update { id, file, etag },
        Key::Delete { id, etag } => PolicyCommand::Delete { id, etag },
    };
    run::<PublicKeySpec>(command, session).await
}

pub(crate) async fn run_key_group(args: KeyGroupArgs, session: &mut Session<'_>) -> Result<(), Error> {
    use KeyGroupCommand as Group;
    let command = match args.command {
        Group::Create { file: Some(file), .. } => PolicyCommand::Create { file },
        Group::Create { keys, name, comment, .. } => {
            let (name, comment) = (name.unwrap_or_default(), comment.unwrap_or_default());
            let spec = KeyGroupSpec { name, comment, public_key_ids: keys, tags: BTreeMap::new() };
            let spec = names::resolved_group(spec, &session.client).await?;
            return say_created(&spec.create(&session.client).await?, session);
        }
        Group::Get { id } => PolicyCommand::Get { id },
        Group::List { tags, name } => PolicyCommand::List { wanted: None, tags, name },
        Group::Update { id, file, etag } => PolicyCommand::Update { id, file, etag },
        Group::Delete { id, etag } => PolicyCommand::Delete { id, etag },
    };
    run::<KeyGroupSpec>(command, session).await
}

fn required(file: Option<PathBuf>) -> Result<PathBuf, Error> {
    file.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "create the public key: neither --pem nor --file is given")
    })
}
