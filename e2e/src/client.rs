//! A customer's access key, and the programs of others that use it: aws, rclone, s3cmd, Python with boto3.
//! Each has its default settings but for endpoint, path style and keys, in a home of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{clear_environment, fail, succeed};
use crate::tools;

const WITHIN: Duration = Duration::from_secs(120);

pub struct Client {
    pub tenant_id: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub endpoint: String,
    home: TempDir,
}

impl Client {
    /// `created` is the JSON of `tenant create` or `key create`.
    #[track_caller]
    pub fn new(folder: &Path, created: &Value, endpoint: &str) -> Self {
        let text = |name: &str| match created[name].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no {name} in {created}"),
        };
        let client = Self {
            tenant_id: text("tenant_id"),
            access_key_id: text("access_key_id"),
            secret_access_key: text("secret_access_key"),
            endpoint: endpoint.to_owned(),
            home: TempDir::with_prefix_in("home.", folder).expect("a folder can be made"),
        };
        client.configure();
        client
    }

    /// The same key at another endpoint.
    pub fn at(&self, endpoint: &str) -> Self {
        let created = serde_json::json!({
            "tenant_id": self.tenant_id,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
        });
        let folder = self.home.path().parent().expect("it is in a folder");
        Self::new(folder, &created, endpoint)
    }

    /// Trusts this certificate.
    pub fn with_certificate(self, certificate: &str) -> Self {
        let config = self.file("aws-config");
        let mut text = std::fs::read_to_string(&config).expect("it was written");
        text.push_str(&format!("ca_bundle = {certificate}\n"));
        std::fs::write(config, text).expect("a file can be written");
        self
    }

    /// As `id:secret`.
    pub fn pair(&self) -> String {
        format!("{}:{}", self.access_key_id, self.secret_access_key)
    }

    fn configure(&self) {
        let (id, secret) = (&self.access_key_id, &self.secret_access_key);
        let (endpoint, host) = (&self.endpoint, self.endpoint.trim_start_matches("http://"));
        let write = |name: &str, text: String| {
            std::fs::write(self.file(name), text).expect("a file can be written");
        };
        write(
            "aws-config",
            "[default]\nregion = us-east-1\ns3 =\n  signature_version = s3v4\n  addressing_style = path\n"
                .to_owned(),
        );
        write(
            "aws-credentials",
            format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"),
        );
        write(
            "rclone.conf",
            format!(
                "[v]\ntype = s3\nprovider = Other\naccess_key_id = {id}\nsecret_access_key = {secret}\n\
                 endpoint = {endpoint}\nforce_path_style = true\n"
            ),
        );
        write(
            "s3cfg",
            format!(
                "[default]\naccess_key = {id}\nsecret_key = {secret}\nhost_base = {host}\nhost_bucket = {host}\n\
                 use_https = False\n"
            ),
        );
    }

    /// In this client's home.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(tools::python_tool(name));
        clear_environment(&mut command);
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("AWS_CONFIG_FILE", self.file("aws-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.file("aws-credentials"))
            .env("RCLONE_CONFIG", self.file("rclone.conf"))
            .env("S3_ENDPOINT", &self.endpoint)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    pub fn aws_command(&self, words: &[&str]) -> Command {
        let mut command = self.command("aws");
        command.args(["--endpoint-url", &self.endpoint]).args(words);
        command
    }

    /// `aws …` that must succeed; gives its output.
    #[track_caller]
    pub fn aws(&self, words: &[&str]) -> String {
        succeed(&mut self.aws_command(words), WITHIN)
    }

    /// `aws …` that must fail; gives what it said.
    #[track_caller]
    pub fn aws_fails(&self, words: &[&str]) -> String {
        fail(&mut self.aws_command(words), WITHIN)
    }

    #[track_caller]
    pub fn rclone(&self, words: &[&str]) -> String {
        succeed(self.command("rclone").args(words), WITHIN)
    }

    #[track_caller]
    pub fn rclone_fails(&self, words: &[&str]) -> String {
        fail(self.command("rclone").args(words), WITHIN)
    }

    #[track_caller]
    pub fn s3cmd(&self, words: &[&str]) -> String {
        let mut command = self.command("s3cmd");
        command.arg("--config").arg(self.file("s3cfg")).args(words);
        succeed(&mut command, WITHIN)
    }

    /// A script of `e2e/clients`.
    pub fn python_command(&self, script: &str, words: &[&str]) -> Command {
        let mut command = self.command("python");
        command.arg(tools::script(script)).args(words);
        command
    }

    #[track_caller]
    pub fn python(&self, script: &str, words: &[&str]) -> String {
        succeed(&mut self.python_command(script, words), WITHIN)
    }

    /// A presigned URL for reading.
    #[track_caller]
    pub fn presign(&self, object: &str) -> String {
        self.aws(&["s3", "presign", object]).trim().to_owned()
    }
}
