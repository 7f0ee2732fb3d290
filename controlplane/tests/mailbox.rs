//! The mails that a control plane without an SMTP server has put into its folder.

use std::path::PathBuf;

use crate::plane::{Plane, eventually};

#[derive(Debug, Clone)]
pub struct Mail {
    pub kind: String,
    pub to: String,
    pub subject: String,
    /// The whole plain part.
    pub text: String,
    file: PathBuf,
}

impl Mail {
    fn read(file: PathBuf) -> Self {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let mut parts = name.splitn(2, '-');
        let kind = parts.nth(1).unwrap().rsplit_once('-').unwrap().0.to_owned();
        let whole = std::fs::read_to_string(&file).unwrap();
        let header = |name: &str| {
            let line = whole.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {whole}"))
                .to_owned()
        };
        let (_, plain) = whole.split_once("Content-Type: text/plain").unwrap();
        let (head, plain) = plain.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("7bit"), "{head}");
        let (text, html) = plain.split_once("Content-Type: text/html").unwrap();
        assert!(html.contains("<html"));
        assert_eq!(header("Auto-Submitted: "), "auto-generated");
        Self {
            kind,
            to: header("To: "),
            subject: header("Subject: "),
            text: text.to_owned(),
            file,
        }
    }

    /// The first address in the text.
    pub fn link(&self) -> String {
        let at = self
            .text
            .find("http")
            .unwrap_or_else(|| panic!("no link in {}", self.text));
        let link = self.text[at..].split_whitespace().next().unwrap();
        link.to_owned()
    }

    pub fn token(&self) -> String {
        let link = self.link();
        link.split_once("?token=").unwrap().1.to_owned()
    }
}

impl Plane {
    /// All that lie there.
    pub fn mails(&self) -> Vec<Mail> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("mail")) else {
            return Vec::new();
        };
        let files = entries.map(|entry| entry.unwrap().path());
        let whole = files.filter(|file| file.extension().is_some_and(|e| e == "eml"));
        whole.map(Mail::read).collect()
    }

    /// Waits for such a mail, and takes it out.
    pub async fn mail(&self, kind: &str, to: &str) -> Mail {
        let mut found = None;
        eventually(async || {
            found = self
                .mails()
                .into_iter()
                .find(|m| m.kind == kind && m.to == to);
            found.is_some()
        })
        .await;
        let mail = found.unwrap();
        std::fs::remove_file(&mail.file).unwrap();
        mail
    }

    /// Waits until nothing is to be sent any more.
    pub async fn outbox_is_empty(&self) {
        eventually(async || {
            self.database
                .count("SELECT count(*) FROM mails WHERE failed_at IS NULL")
                .await
                == 0
        })
        .await;
    }
}
