//! Reads a backup from its beginning to its end, and believes nothing of which the checksum does not tell.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{CHECKSUM, END_OF_TABLE, FORMAT, Head, ROWS, SEQUENCES, TABLE, TableHead};

pub(super) type Sequences = BTreeMap<String, (i64, bool)>;

pub(super) enum Part {
    /// Rows follow, each by [`Reader::row`].
    Table(TableHead),
    Sequences(Sequences),
    Rows(BTreeMap<String, u64>),
    /// The checksum is right, and nothing comes after it.
    End,
}

pub(super) struct Reader {
    from: BufReader<File>,
    hash: Sha256,
    line: Vec<u8>,
    pub bytes: u64,
}

impl Reader {
    pub async fn open(path: &Path) -> anyhow::Result<(Self, Head)> {
        let file = File::open(path)
            .await
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let mut reader = Self {
            from: BufReader::with_capacity(1 << 20, file),
            hash: Sha256::new(),
            line: Vec::new(),
            bytes: 0,
        };
        let line = reader.text().await?;
        ensure!(
            line == FORMAT,
            "{} is no backup that this program reads: its first line is not `{FORMAT}`",
            path.display()
        );
        let head = serde_json::from_str(&reader.text().await?).context("its head is damaged")?;
        Ok((reader, head))
    }

    /// The next line with its end; it is in `self.line`.
    async fn next(&mut self) -> anyhow::Result<()> {
        self.line.clear();
        self.from.read_until(b'\n', &mut self.line).await?;
        ensure!(
            self.line.ends_with(b"\n"),
            "the backup is cut off: its end is missing"
        );
        self.bytes += self.line.len() as u64;
        Ok(())
    }

    async fn text(&mut self) -> anyhow::Result<String> {
        self.next().await?;
        if !self.line.starts_with(CHECKSUM.as_bytes()) {
            self.hash.update(&self.line);
        }
        let text = String::from_utf8(self.line.clone()).context("a line is damaged")?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    pub async fn part(&mut self) -> anyhow::Result<Part> {
        let line = self.text().await?;
        let damaged = || {
            format!(
                "a line is damaged: {}",
                line.chars().take(40).collect::<String>()
            )
        };
        if let Some(table) = line.strip_prefix(TABLE) {
            return Ok(Part::Table(
                serde_json::from_str(table).with_context(damaged)?,
            ));
        }
        if let Some(all) = line.strip_prefix(SEQUENCES) {
            return Ok(Part::Sequences(
                serde_json::from_str(all).with_context(damaged)?,
            ));
        }
        if let Some(counts) = line.strip_prefix(ROWS) {
            return Ok(Part::Rows(
                serde_json::from_str(counts).with_context(damaged)?,
            ));
        }
        let Some(checksum) = line.strip_prefix(CHECKSUM) else {
            bail!(damaged());
        };
        ensure!(
            checksum == hex::encode(self.hash.clone().finalize()),
            "the backup is damaged: its checksum is another"
        );
        ensure!(
            self.from.fill_buf().await?.is_empty(),
            "the backup is damaged: something comes after its end"
        );
        Ok(Part::End)
    }

    /// The next row of a table, or `None` at its end.
    pub async fn row(&mut self) -> anyhow::Result<Option<&[u8]>> {
        self.next().await?;
        self.hash.update(&self.line);
        Ok((self.line != END_OF_TABLE).then_some(&self.line))
    }
}

/// Reads all of it once: only then is it worth restoring.
pub(super) async fn verify(path: &Path) -> anyhow::Result<Head> {
    let (mut reader, head) = Reader::open(path).await?;
    let mut found = BTreeMap::new();
    let mut told = None;
    loop {
        match reader.part().await? {
            Part::Table(table) => {
                let mut count = 0u64;
                while reader.row().await?.is_some() {
                    count += 1;
                }
                found.insert(table.table, count);
            }
            Part::Sequences(_) => {}
            Part::Rows(counts) => told = Some(counts),
            Part::End => break,
        }
    }
    ensure!(
        told.as_ref() == Some(&found),
        "the backup is damaged: it says to have other rows than it has"
    );
    Ok(head)
}
