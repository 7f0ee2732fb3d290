//! What `up` ends its start with: the addresses, and lines to paste.
//! It shows no secret; `tenant create` does that, to the one who asks.

use super::data_dir::DataDir;
use super::planes::Addresses;
use super::progress::say;
use crate::cli::DEFAULT_DATA_DIR;
use crate::settings::{Environment, reachable};

pub fn print(dir: &DataDir, addresses: &Addresses, environment: &Environment) {
    let dashboard = reachable(addresses.http);
    let s3 = environment
        .get("VAULTAIRE_S3_ENDPOINT")
        .map_or_else(|| reachable(addresses.s3[0].0), str::to_owned);
    let vaultaire = std::env::args()
        .next()
        .unwrap_or_else(|| "vaultaire".to_owned());
    let default = std::path::Path::new(DEFAULT_DATA_DIR)
        .canonicalize()
        .is_ok_and(|default| default == dir.path());
    let place = if default {
        String::new()
    } else {
        format!(" --data-dir {}", quoted(&dir.path().to_string_lossy()))
    };
    let further: Vec<String> = addresses
        .s3
        .iter()
        .skip(1)
        .map(|(address, _)| reachable(*address))
        .collect();
    let further = if further.is_empty() {
        String::new()
    } else {
        format!(" (and {})", further.join(", "))
    };
    let mail = match environment.get("VAULTAIRE_SMTP_URL") {
        Some(_) => String::new(),
        None => format!(
            "  Mail        {} (none is sent; after signing up, the page has the link)\n",
            dir.mail(environment).display()
        ),
    };
    say(&format!(
        "
  Dashboard   {dashboard}
  S3          {s3}{further}
  Logs        {}
{mail}
  Make a tenant, and store an object in another terminal:

    eval \"$({vaultaire} tenant create --name Demo --email demo@example.com --export{place})\"
    aws --endpoint-url {s3} s3 mb s3://photos
    echo hello | aws --endpoint-url {s3} s3 cp - s3://photos/hello.txt
    aws --endpoint-url {s3} s3 ls s3://photos
",
        dir.join("logs").display()
    ));
}

/// As one word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_is_pasted_is_one_word() {
        assert_eq!(quoted("/srv/vault-1"), "/srv/vault-1");
        assert_eq!(quoted("/srv/it's here"), r"'/srv/it'\''s here'");
    }
}
