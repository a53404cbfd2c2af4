//! `muster applet`: a vendor makes an applet, looks at it, signs it and publishes it. Only `publish` needs a network.

mod new;
mod preview;
mod publish;

use super::args::{AppletCommand, PublishArgs};
use super::{CommandError, Exit, Streams, write_json};
use crate::{applet_folder, files};
use data_encoding::BASE64;
use muster_applet::bundle::Bundle;
use muster_applet::{Faults, signed};
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest key file that is read.
const MAX_KEY: u64 = 1024;

pub(super) async fn applet(
    json: bool,
    command: AppletCommand,
    streams: &mut Streams<'_>,
) -> Result<Exit, CommandError> {
    match command {
        AppletCommand::New { folder, name } => {
            let files = new::new(&folder, name.as_deref())?;
            say(json, streams, &json!({ "folder": folder, "files": files }), |out| {
                writeln!(out, "Made {} with {} files.", folder.display(), files.len())?;
                writeln!(out, "Change them, and look at it with: muster applet preview {}", folder.display())
            })
        }
        AppletCommand::Check { applet } => check(json, &applet, streams),
        AppletCommand::Preview { applet, language } => preview::preview(json, &read(&applet)?.1, &language, streams),
        AppletCommand::Pack { folder, out } => {
            let bundle = applet_folder::read(&folder)?;
            let out = out.unwrap_or_else(|| named(&bundle, "unsigned"));
            write(&out, &bundle.to_bytes())?;
            made(json, streams, &bundle, &out, None)
        }
        AppletCommand::Key { file } => key(json, &file, streams),
        AppletCommand::Sign { applet, key, out } => {
            let (author, bundle) = (author(&key)?, read(&applet)?.1);
            let out = out.unwrap_or_else(|| named(&bundle, "applet"));
            write(&out, &signed::sign(&bundle, &author))?;
            made(json, streams, &bundle, &out, Some(&author.public()))
        }
        AppletCommand::Publish(args) => publish(json, &args, streams).await,
    }
}

/// Tells everything that is wrong, or that nothing is.
fn check(json: bool, applet: &Path, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    match read(applet) {
        Ok((author, bundle)) => {
            let manifest = bundle.manifest();
            let value = json!({ "name": manifest.name, "version": manifest.version, "author": author.map(|key| key.to_base64()), "faults": [] });
            say(json, streams, &value, |out| {
                writeln!(out, "{} {} is in order.", manifest.name, manifest.version)?;
                match author {
                    Some(key) => writeln!(out, "Signed by {}", key.to_base64()),
                    None => Ok(()),
                }
            })
        }
        Err(CommandError::Faults(Faults(faults))) => {
            let listed: Vec<_> =
                faults.iter().map(|fault| json!({ "place": fault.place, "message": fault.message })).collect();
            say(json, streams, &json!({ "faults": listed }), |out| {
                faults.iter().try_for_each(|fault| writeln!(out, "{}", super::table::printable(&fault.to_string())))
            })?;
            Ok(Exit::Failure)
        }
        Err(error) => Err(error),
    }
}

fn key(json: bool, file: &Path, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    if file.exists() {
        let message = format!("{} is there already, and a key cannot be made again", file.display());
        return Err(CommandError::other("file_exists", message, "Choose another name, or move it away."));
    }
    let author = SecretKey::generate(&mut *crate::engine::entropy());
    let text = Zeroizing::new(BASE64.encode(&*author.seed()) + "\n");
    files::replace_private(file, text.as_bytes()).map_err(|error| cannot(file, "written", &error))?;
    let public = author.public().to_base64();
    say(json, streams, &json!({ "file": file, "public": public }), |out| {
        writeln!(out, "Made {}. Keep it secret and keep a copy: who has it signs in your name.", file.display())?;
        writeln!(out, "The NOC's operator trusts you with: muster-noc applet author add NAME {public}")
    })
}

async fn publish(json: bool, args: &PublishArgs, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let (author, bundle) = read(&args.applet)?;
    if author.is_none() {
        let message = format!("{} is not signed", args.applet.display());
        return Err(CommandError::other("not_signed", message, "Sign it with `muster applet sign`."));
    }
    let bytes = std::fs::read(&args.applet).map_err(|error| cannot(&args.applet, "read", &error))?;
    publish::publish(args, &bytes).await?;
    let manifest = bundle.manifest();
    let value = json!({ "name": manifest.name, "version": manifest.version, "channel": args.channel });
    say(json, streams, &value, |out| {
        writeln!(out, "Published {} {} on the channel {}.", manifest.name, manifest.version, args.channel)
    })
}

/// A folder, a packed or a signed file; its author, if it is signed.
fn read(applet: &Path) -> Result<(Option<PublicKey>, Bundle), CommandError> {
    if applet.is_dir() {
        return Ok((None, applet_folder::read(applet)?));
    }
    let bytes = applet_folder::file(applet)?;
    match Bundle::from_bytes(&bytes) {
        Ok(bundle) => Ok((None, bundle)),
        // What begins like a packed one is one, and what is wrong with it is what counts.
        Err(faults) if bytes.first().is_some_and(|first| first >> 5 == 5) => Err(faults.into()),
        Err(_) => signed::open(&bytes).map(|(author, bundle)| (Some(author), bundle)).map_err(CommandError::from),
    }
}

fn author(file: &Path) -> Result<SecretKey, CommandError> {
    let bad = |message: String| {
        CommandError::other("bad_author_key", message, "Make one with `muster applet key FILE`, and give its file.")
    };
    let length = std::fs::metadata(file).map_err(|error| cannot(file, "read", &error))?.len();
    if length > MAX_KEY {
        return Err(bad(format!("{} is no key: it is too long", file.display())));
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|error| cannot(file, "read", &error))?);
    let seed = BASE64.decode(text.trim().as_bytes()).ok().map(Zeroizing::new);
    let seed: Option<Zeroizing<[u8; 32]>> = seed.and_then(|seed| seed.as_slice().try_into().ok()).map(Zeroizing::new);
    seed.map(|seed| SecretKey::from_seed(&seed)).ok_or_else(|| bad(format!("{} is no key", file.display())))
}

fn named(bundle: &Bundle, ending: &str) -> PathBuf {
    let manifest = bundle.manifest();
    PathBuf::from(format!("{}-{}.{ending}", manifest.name, manifest.version))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    std::fs::write(file, bytes).map_err(|error| cannot(file, "written", &error))
}

fn cannot(file: &Path, what: &str, error: &io::Error) -> CommandError {
    let message = format!("{} cannot be {what}: {error}", file.display());
    CommandError::other("applet_file", message, "Check the name, the permissions and the space on the disk.")
}

fn made(
    json: bool,
    streams: &mut Streams<'_>,
    bundle: &Bundle,
    out: &Path,
    author: Option<&PublicKey>,
) -> Result<Exit, CommandError> {
    let manifest = bundle.manifest();
    let value = json!({ "name": manifest.name, "version": manifest.version, "file": out, "author": author.map(PublicKey::to_base64) });
    say(json, streams, &value, |stream| {
        let next = if author.is_some() { "publish" } else { "sign" };
        writeln!(stream, "Wrote {}. Next: muster applet {next} {}", out.display(), out.display())
    })
}

/// JSON, or what people read.
fn say(
    json: bool,
    streams: &mut Streams<'_>,
    value: &serde_json::Value,
    text: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<Exit, CommandError> {
    if json {
        write_json(streams.out, value)?;
    } else {
        text(streams.out)?;
    }
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests;
