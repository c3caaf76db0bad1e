//! `headland sign`: URLs and cookies for those who may read what is signed. Nothing is sent anywhere.

mod time;

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

use headland::{
    error::{Error, ErrorKind},
    sign::{Grant, Hash, POLICY_BYTES_MAX, SignError, Signer},
};

use self::time::Time;
use super::{Context, source};
use crate::{output::Format, settings::Settings};

/// Sign URLs and cookies, on this machine and with a private key of yours
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: SignCommand,
}

const URL_EXAMPLES: &str = "\
Examples:
  headland sign url https://cdn.example.com/a.mp4 --private-key private.pem --key-pair-id 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11 --expires 1h
  headland sign url https://cdn.example.com/a.mp4 --private-key private.pem --key-pair-id 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11 --expires 2099-12-24T18:00:00Z --ip 192.0.2.0/24";

const COOKIES_EXAMPLES: &str = "\
Examples:
  headland sign cookies --resource 'https://cdn.example.com/course/*' --private-key private.pem --key-pair-id 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11 --expires 12h
  headland sign cookies https://cdn.example.com/a.mp4 --private-key private.pem --key-pair-id 0b8c0a1e-6f3d-4c0e-9d5a-0f6f2a7f9f11 --expires 1h -o json";

#[derive(Debug, clap::Subcommand)]
enum SignCommand {
    /// Print a URL with its signature behind it
    ///
    /// The canned policy is used unless --starts, --ip, --resource or --policy ask for more than it can say.
    #[command(after_help = URL_EXAMPLES)]
    Url {
        /// The URL as viewers will ask for it, without the signature
        url: String,
        #[command(flatten)]
        with: With,
    },
    /// Print the cookies that allow the same, name=value, one a line
    #[command(after_help = COOKIES_EXAMPLES)]
    Cookies {
        /// The one URL they are for; --resource is for sets of them
        #[arg(required_unless_present_any = ["resource", "policy"])]
        url: Option<String>,
        #[command(flatten)]
        with: With,
    },
}

/// What is signed, and with what.
#[derive(Debug, clap::Args)]
struct With {
    /// File that holds the private key in PEM: RSA of 2048 bits, or ECDSA with the curve P-256
    #[arg(long, value_name = "FILE")]
    private_key: PathBuf,
    /// Id of its public key: headland public-key list
    #[arg(long, value_name = "ID")]
    key_pair_id: String,
    /// Until when: from now (1h30m), a date (2026-12-24T18:00:00Z), or @ and a Unix time
    #[arg(long, value_name = "TIME", required_unless_present = "policy", conflicts_with = "policy")]
    expires: Option<Time>,
    /// From when; default: at once
    #[arg(long, value_name = "TIME", conflicts_with = "policy")]
    starts: Option<Time>,
    /// For viewers at this address, or in this block of addresses, only
    #[arg(long, value_name = "CIDR", conflicts_with = "policy")]
    ip: Option<String>,
    /// For these URLs: * stands for any characters, ? for one, \? for a question mark
    #[arg(long, value_name = "WILDCARD", conflicts_with = "policy")]
    resource: Option<String>,
    /// File that holds a policy of your own, JSON; - is stdin
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// SHA-1, CloudFront's default, is signed by the openssl command
    #[arg(long, value_name = "HASH", default_value = "sha256")]
    hash_algorithm: HashAlgorithm,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum HashAlgorithm {
    Sha1,
    Sha256,
}

pub(crate) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Error> {
    let format: Format = Settings::of_process(context.flags)?.output.0;
    match &args.command {
        SignCommand::Url { url, with } => {
            let signer = with.signer()?;
            let signed = match with.policy()? {
                Some(policy) => signer.url_with_policy(url, &policy),
                None => signer.url(url, &with.grant()?),
            };
            let signed = signed.map_err(failed)?;
            context.output.data(format, &BTreeMap::from([("url", &signed)]), || &signed)
        }
        SignCommand::Cookies { url, with } => {
            let signer = with.signer()?;
            let cookies = match with.policy()? {
                Some(policy) => signer.cookies_with_policy(&policy),
                None => signer.cookies(url.as_deref(), &with.grant()?),
            };
            let cookies = cookies.map_err(failed)?;
            let lines = || {
                let lines = cookies.iter().map(|(name, value)| format!("{name}={value}"));
                lines.collect::<Vec<_>>().join("\n")
            };
            let named: BTreeMap<_, _> = cookies.iter().map(|(name, value)| (name, value)).collect();
            context.output.data(format, &named, lines)
        }
    }
}

impl With {
    fn signer(&self) -> Result<Signer, Error> {
        let (_, pem) = source::text(&self.private_key)?;
        let hash = match self.hash_algorithm {
            HashAlgorithm::Sha1 => Hash::Sha1,
            HashAlgorithm::Sha256 => Hash::Sha256,
        };
        Signer::from_pem(pem.as_bytes(), &self.key_pair_id, hash).map_err(failed)
    }

    /// The policy that is given, if one is.
    fn policy(&self) -> Result<Option<String>, Error> {
        let Some(file) = &self.policy else { return Ok(None) };
        let (name, text) = source::text(file)?;
        let text = text.trim();
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&text.replace("\\?", "\\\\?")) {
            return Err(Error::new(
                ErrorKind::Spec,
                format!("read the policy {name}: it is not JSON: {error}"),
            )
            .with_hint(format!(
                "it is signed as it is: at most {POLICY_BYTES_MAX} bytes, with one Statement"
            )));
        }
        Ok(Some(text.to_owned()))
    }

    fn grant(&self) -> Result<Grant, Error> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let refused = |reason: &str| {
            Error::new(ErrorKind::Usage, format!("sign: --expires {reason}"))
                .with_hint("say until when it is to be valid: --expires 1h, or a date that is to come")
        };
        let until = self.expires.as_ref().ok_or_else(|| refused("is missing"))?.after(now);
        if until <= now {
            return Err(refused("is over already"));
        }
        Ok(Grant {
            until,
            from: self.starts.as_ref().map(|starts| starts.after(now)),
            network: self.ip.clone(),
            resource: self.resource.clone(),
        })
    }
}

fn failed(error: SignError) -> Error {
    let hint = match &error {
        SignError::Url { .. } => "give the whole URL as viewers will ask for it, and no more",
        SignError::Policy(_) => "headland sign url --help says what a policy can be made of",
        SignError::Key(_) => "docs/signed-urls.md shows how keys are made: openssl genpkey",
    };
    Error::new(ErrorKind::Usage, error.to_string()).with_hint(hint)
}
