//! The supervised processes in the order of their start; they stop in the reverse one.
//! One that is not gone is never followed by the next.

use tokio_util::sync::CancellationToken;

use super::child::{Child, Program};
use crate::serve::Ending;

#[derive(Default)]
pub struct Tree {
    children: Vec<Child>,
    /// Files that a child leaves outside the data directory.
    left_overs: Vec<std::path::PathBuf>,
}

impl Tree {
    pub fn start(&mut self, program: Program) -> anyhow::Result<&mut Child> {
        let child = Child::start(program)?;
        self.children.push(child);
        Ok(self.children.last_mut().expect("one was just pushed"))
    }

    pub fn sweep_at_the_end(&mut self, files: impl IntoIterator<Item = std::path::PathBuf>) {
        self.left_overs.extend(files);
    }

    /// Stops each in turn, the last first. A further signal kills what does not stop.
    pub async fn stop(mut self, ending: &mut Ending) {
        let hurry = CancellationToken::new();
        while let Some(child) = self.children.pop() {
            let mut stopping = std::pin::pin!(child.stop(&hurry));
            loop {
                tokio::select! {
                    () = &mut stopping => break,
                    () = ending.asked() => hurry.cancel(),
                }
            }
        }
        for file in &self.left_overs {
            let _ = std::fs::remove_file(file);
        }
    }
}
