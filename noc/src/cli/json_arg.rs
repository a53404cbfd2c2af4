//! JSON on the command line, or in a file that it names.

use std::str::FromStr;

/// The longest file that is read, in bytes.
const MOST: u64 = 64 * 1024;

/// Text, or with `@FILE` what is in the file. Whether it is JSON, whoever takes it says.
#[derive(Clone, Debug)]
pub(super) struct JsonArg(pub(super) String);

impl FromStr for JsonArg {
    type Err = String;
    fn from_str(text: &str) -> Result<JsonArg, String> {
        let Some(path) = text.strip_prefix('@') else { return Ok(JsonArg(text.to_owned())) };
        let failed = |error: std::io::Error| format!("{path} cannot be read: {error}");
        if std::fs::metadata(path).map_err(failed)?.len() > MOST {
            return Err(format!("{path} is longer than {} KiB", MOST / 1024));
        }
        std::fs::read_to_string(path).map(JsonArg).map_err(failed)
    }
}
