//! `muster-noc component vendor`: what a vendor does where its keys are, and what the NOC does with it (decision 0049).

use super::super::{FolderArg, Output, answer, site};
use super::Described;
use anyhow::bail;
use clap::{Args, Subcommand};
use muster_noc::{Noc, TufKey, VendorFile, VendorView, read_vendor, vendor_fingerprint};
use muster_protocol::component::ComponentVendor;
use muster_protocol::time::UnixTime;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

#[derive(Subcommand)]
pub(in crate::cli) enum VendorCommand {
    /// Vendor: make a signing key, and print its public half.
    Key {
        /// A file for it, which must not be there yet.
        file: PathBuf,
    },
    /// Vendor: write what the NOC has to know: handle, public keys, names of components.
    Describe(DescribeArgs),
    /// Vendor: put a version into the metadata. Signatures have to be made anew.
    Release(Box<ReleaseArgs>),
    /// Vendor: make the metadata good for longer, without versions that are withdrawn. Signatures have to be made anew.
    Renew {
        /// The metadata.
        metadata: PathBuf,
        /// A version that is not to be had any more, as NAME=VERSION. May be given several times.
        #[arg(long, value_name = "NAME=VERSION")]
        withdraw: Vec<String>,
        #[command(flatten)]
        good: Good,
    },
    /// Vendor: sign the metadata with one key; the signature is added to the file.
    Sign {
        /// The key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The metadata.
        metadata: PathBuf,
    },
    /// NOC: register a vendor. Compare the fingerprint with it first.
    Add {
        #[command(flatten)]
        folder: FolderArg,
        /// What `vendor describe` has made.
        description: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// NOC: replace keys, threshold and components of a vendor.
    Change {
        #[command(flatten)]
        folder: FolderArg,
        /// What `vendor describe` has made.
        description: PathBuf,
        /// Metadata that the new keys have signed; needed unless those in force hold under them.
        #[arg(long, value_name = "FILE")]
        metadata: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// NOC: take what a vendor has signed.
    Publish {
        #[command(flatten)]
        folder: FolderArg,
        /// Its handle.
        vendor: String,
        /// The metadata, with enough signatures.
        metadata: PathBuf,
        /// Files of what is new in them.
        files: Vec<PathBuf>,
        /// A site that what is new is for, by name or number. May be given several times.
        #[arg(long)]
        site: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
    /// NOC: remove a vendor, and retire its components.
    Remove {
        #[command(flatten)]
        folder: FolderArg,
        /// Its handle.
        vendor: String,
        #[command(flatten)]
        output: Output,
    },
    /// NOC: list the vendors.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(in crate::cli) struct DescribeArgs {
    /// The vendor's handle: lower-case letters, digits and dashes.
    vendor: String,
    /// A public key, as `vendor key` has printed it. May be given several times.
    #[arg(long, required = true, value_name = "HEX")]
    key: Vec<String>,
    /// How many of the keys have to sign.
    #[arg(long, default_value_t = 1)]
    threshold: u64,
    /// The name of a component. May be given several times.
    #[arg(long, required = true, value_name = "NAME")]
    component: Vec<String>,
    /// The file, written over if it is there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct ReleaseArgs {
    /// The metadata, made if they are not there.
    #[arg(long)]
    metadata: PathBuf,
    #[command(flatten)]
    what: Described,
    #[command(flatten)]
    good: Good,
}

#[derive(Args)]
pub(in crate::cli) struct Good {
    /// Days for which the metadata are good.
    #[arg(long, default_value_t = 365)]
    days: u64,
}

impl VendorCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            VendorCommand::Key { file } => {
                let key = TufKey::generate()?;
                key.write(&file)?;
                println!("{}", key.public());
                Ok(())
            }
            VendorCommand::Describe(describe) => describe.run(),
            VendorCommand::Release(release) => {
                let ReleaseArgs { metadata, what, good } = *release;
                let mut file = if metadata.exists() { VendorFile::read(&metadata)? } else { VendorFile::new()? };
                let (spec, from) = what.spec(None, Vec::new());
                let target = file.add(&spec, &from)?;
                good.renew(&mut file, &metadata)?;
                println!("{target} is in {}.", metadata.display());
                Ok(())
            }
            VendorCommand::Renew { metadata, withdraw, good } => {
                let mut file = VendorFile::read(&metadata)?;
                for words in withdraw {
                    let Some((name, version)) = words.split_once('=') else {
                        bail!("`{words}` is not NAME=VERSION");
                    };
                    file.withdraw(name, version)?;
                }
                good.renew(&mut file, &metadata)
            }
            VendorCommand::Sign { key, metadata } => {
                let mut file = VendorFile::read(&metadata)?;
                file.sign(&TufKey::read(&key)?)?;
                file.write(&metadata)?;
                println!("{} has {} signatures, over:", metadata.display(), file.signatures());
                file.targets().iter().for_each(|target| println!("  {target}"));
                Ok(())
            }
            VendorCommand::Add { folder, description, output } => {
                let vendor = read_vendor(&description)?;
                answer(output, &Noc::open(&folder.dir)?.add_component_vendor(vendor)?, show)
            }
            VendorCommand::Change { folder, description, metadata, output } => {
                let vendor = read_vendor(&description)?;
                let metadata = metadata.map(|metadata| VendorFile::read(&metadata)).transpose()?;
                let noc = Noc::open(&folder.dir)?;
                answer(output, &noc.change_component_vendor(vendor, metadata.as_ref())?, show)
            }
            VendorCommand::Publish { folder, vendor, metadata, files, site, output } => {
                let noc = Noc::open(&folder.dir)?;
                let known = noc.sites_of(None)?;
                let find = |name: &String| Ok(site::find(&known, name)?.id);
                let sites = site.iter().map(find).collect::<anyhow::Result<Vec<_>>>()?;
                let file = VendorFile::read(&metadata)?;
                answer(output, &noc.publish_of_vendor(&vendor, &file, &files, &sites)?, |published| {
                    published.added.iter().for_each(|target| println!("{target} is new."));
                    published.retired.iter().for_each(|target| println!("{target} is retired."));
                    println!("What {} has signed is in force as {}.", published.vendor, published.version);
                })
            }
            VendorCommand::Remove { folder, vendor, output } => {
                answer(output, &Noc::open(&folder.dir)?.remove_component_vendor(&vendor)?, show)
            }
            VendorCommand::List { folder, output } => {
                answer(output, &Noc::open(&folder.dir)?.component_vendors()?, |all| all.iter().for_each(show))
            }
        }
    }
}

impl DescribeArgs {
    fn run(self) -> anyhow::Result<()> {
        let DescribeArgs { vendor, key: keys, threshold, component: components, out } = self;
        let text = serde_json::to_string_pretty(&ComponentVendor { vendor, components, keys, threshold })?;
        fs::write(&out, text)?;
        // As it is read by the NOC: what is wrong is found here.
        let vendor = read_vendor(&out).inspect_err(|_| drop(fs::remove_file(&out)))?;
        fs::write(&out, serde_json::to_string_pretty(&vendor)?)?;
        println!(
            "{} describes {}. Fingerprint of its keys: {}",
            out.display(),
            vendor.vendor,
            vendor_fingerprint(&vendor)
        );
        println!("Give it to the NOC, and the fingerprint by another way.");
        Ok(())
    }
}

impl Good {
    /// Numbers the metadata anew and writes them.
    fn renew(&self, file: &mut VendorFile, path: &std::path::Path) -> anyhow::Result<()> {
        let now = UnixTime::from_system(SystemTime::now()).0;
        file.renew(now, now + self.days.min(36_500) * 86_400)?;
        file.write(path)?;
        println!("{} has number {} and no signature. Next: `vendor sign`.", path.display(), file.version());
        Ok(())
    }
}

fn show(vendor: &VendorView) {
    let VendorView { vendor: of, fingerprint, version, .. } = vendor;
    let state = match (vendor.removed, version, vendor.expires) {
        (Some(_), _, _) => "removed".to_owned(),
        (None, Some(version), Some(expires)) => format!("signed {version}, good until {expires}"),
        _ => "has signed nothing yet".to_owned(),
    };
    let root = if vendor.named_by_root { "  named by the root" } else { "" };
    let (count, components) = (of.keys.len(), of.components.join(","));
    println!("{}  {components}  {} of {count} keys {fingerprint}  {state}{root}", of.vendor, of.threshold);
}
