//! `headland export`: files from which everything that is there can be made again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use headland::{
    error::{Error, ErrorKind},
    model::Kind,
};

use super::{
    Session,
    things::{APPLIED_BY, Everything, Existing, Thing},
};
use crate::output::Format;

const EXAMPLES: &str = "\
Examples:
  headland export --all --dir site/
  headland export EABCDEFGHIJKLM --dir site/
  headland export EABCDEFGHIJKLM | headland --endpoint http://other:7070 apply -f - --yes";

/// Write files from which distributions and policies can be made again
///
/// A distribution comes with the policies that it uses, named by their names: the files hold nothing that a control plane assigned,
/// and mean the same to another one. `headland apply` takes them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Ids of distributions and policies
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// Everything that was created
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Folder to write to, one file for each; made if it is not there [default: all to stdout, as one text]
    #[arg(long, short, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Replace files that say something else
    #[arg(long, requires = "dir")]
    overwrite: bool,
}

pub(crate) async fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let mut things = chosen(args, session).await?;
    for thing in &mut things {
        // Who made it is no part of what it is.
        thing.tags_mut().remove(APPLIED_BY);
    }
    things.sort_by_key(Thing::kind);
    match &args.dir {
        Some(dir) => {
            for path in write(&things, dir, args.overwrite, session.settings.output.0)? {
                session.output.say(&format!("wrote {}", path.display()));
            }
            Ok(())
        }
        None => match session.settings.output.0 {
            Format::Json => {
                let documents: Vec<_> = things.iter().map(Thing::document).collect();
                session.output.data(Format::Json, &documents, String::new)
            }
            Format::Yaml | Format::Table => session.output.text(stream(&things)?.trim_end_matches('\n')),
        },
    }
}

async fn chosen(args: &Args, session: &Session<'_>) -> Result<Vec<Thing>, Error> {
    if args.all {
        let all = Everything::all(&session.client).await?;
        return Ok(all.existing.into_iter().map(|there| there.thing).collect());
    }
    let Everything { existing, names } = Everything::policies(&session.client).await?;
    let mut chosen: BTreeMap<String, Thing> = BTreeMap::new();
    let mut used: BTreeSet<(Kind, String)> = BTreeSet::new();
    for id in &args.ids {
        if let Some(policy) = existing.iter().find(|policy| policy.id == *id) {
            chosen.insert(id.clone(), policy.thing.clone());
            continue;
        }
        let wire = session.client.get_distribution(id).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Error::new(ErrorKind::NotFound, format!("export {id}: there is no such thing")).with_hint(
                    "name distributions and created policies by their ids; managed policies are everywhere",
                )
            }
            _ => error,
        })?;
        let there = Existing::distribution(&wire, &names)?;
        if let Thing::Distribution(spec) = &there.thing {
            used.extend(spec.names_used().into_iter().map(|(kind, name)| (kind, name.to_owned())));
        }
        chosen.insert(there.id, there.thing);
    }
    let is_used = |used: &BTreeSet<(Kind, String)>, there: &Existing| {
        let thing = &there.thing;
        thing.resource_kind().is_some_and(|kind| used.contains(&(kind, thing.identity().to_owned())))
    };
    // A key group comes with its public keys, whether it was named or is used.
    let groups = existing.iter().filter(|there| chosen.contains_key(&there.id) || is_used(&used, there));
    let keys: Vec<String> = groups
        .filter_map(|there| match &there.thing {
            Thing::KeyGroup(group) => Some(group.public_key_ids.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    used.extend(keys.into_iter().map(|name| (Kind::PublicKey, name)));
    for policy in existing {
        if is_used(&used, &policy) {
            chosen.insert(policy.id.clone(), policy.thing);
        }
    }
    Ok(chosen.into_values().collect())
}

/// All of them as one text of several documents.
pub(super) fn stream(things: &[Thing]) -> Result<String, Error> {
    let texts: Result<Vec<_>, _> = things.iter().map(|thing| text(thing, Format::Yaml)).collect();
    Ok(texts?.join("---\n"))
}

fn text(thing: &Thing, format: Format) -> Result<String, Error> {
    let not_written = |e: String| Error::new(ErrorKind::Internal, format!("write {}: {e}", thing.identity()));
    let text = match format {
        Format::Json => {
            serde_json::to_string_pretty(&thing.document()).map_err(|e| not_written(e.to_string()))?
        }
        Format::Yaml | Format::Table => {
            serde_saphyr::to_string(&thing.document()).map_err(|e| not_written(e.to_string()))?
        }
    };
    Ok(format!("{}\n", text.trim_end_matches('\n')))
}

/// Writes one file for each thing into a folder. Nothing is written if a file with other content is in the way.
pub(super) fn write(
    things: &[Thing],
    dir: &Path,
    overwrite: bool,
    format: Format,
) -> Result<Vec<PathBuf>, Error> {
    let extension = if format == Format::Json { "json" } else { "yaml" };
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for thing in things {
        let stem = format!("{}-{}", thing.kind(), in_file_name(thing.identity()));
        let numbers = std::iter::once(String::new()).chain((2..).map(|n| format!("-{n}")));
        let mut paths = numbers.map(|number| dir.join(format!("{stem}{number}.{extension}")));
        if let Some(path) = paths.find(|path| !files.contains_key(path)) {
            files.insert(path, text(thing, format)?);
        }
    }
    let differs =
        |(path, text): &(&PathBuf, &String)| fs::read_to_string(path).is_ok_and(|there| there != **text);
    if let Some((path, _)) = files.iter().find(differs).filter(|_| !overwrite) {
        return Err(Error::new(
            ErrorKind::Io,
            format!("write {}: it is there and says something else", path.display()),
        )
        .with_hint("choose another folder with --dir, or --overwrite"));
    }
    let failed =
        |path: &Path, e: &std::io::Error| Error::new(ErrorKind::Io, format!("write {}: {e}", path.display()));
    fs::create_dir_all(dir).map_err(|e| failed(dir, &e))?;
    for (path, text) in &files {
        fs::write(path, text).map_err(|e| failed(path, &e))?;
    }
    Ok(files.into_keys().collect())
}

/// Most characters of an identity that stand in the name of its file.
const FILE_NAME_CHARS_MAX: usize = 80;

fn in_file_name(identity: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    identity.chars().take(FILE_NAME_CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::in_file_name;

    #[test]
    fn no_identity_leads_out_of_the_folder() {
        assert_eq!(in_file_name("../a b/ü.x"), "..-a-b--.x");
    }
}
