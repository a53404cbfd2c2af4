//! Publishing: the signed bundle goes to the operators' interface of a NOC.

use super::cannot;
use crate::cli::CommandError;
use crate::cli::args::PublishArgs;
use crate::noc_client::operators;
use zeroize::Zeroizing;

pub(super) async fn publish(args: &PublishArgs, bundle: &[u8]) -> Result<(), CommandError> {
    // Fails when somebody else has installed it before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let read = |file: &std::path::Path| std::fs::read_to_string(file).map_err(|error| cannot(file, "read", &error));
    let token = Zeroizing::new(read(&args.token_file)?);
    let noc = operators::Operators::new(&args.noc, &read(&args.ca)?, token.trim())?;
    let channel = args.channel.as_str();
    Ok(noc.publish_applet(args.organisation, channel, bundle).await?)
}
